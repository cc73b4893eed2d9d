from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.vendors.brainflow import recognises
from mimamba.drivers.open import open_driver, open_recording
from tests.drivers.formats import files


def rows(n_columns: int, stamp: int, rate: float, n_times: int = 1000) -> list[str]:
    """Rows of some board: packet numbers, zeros, stamps."""
    table = np.zeros((n_times, n_columns))
    table[:, 1:] = np.random.default_rng(5).normal(size=(n_times, n_columns - 1))
    table[:, 0] = np.arange(n_times) % 256
    table[:, stamp] = 1.7e9 + np.arange(n_times) / rate
    table[:, stamp + 1] = 0
    return ["\t".join(f"{cell:.6f}" for cell in row) for row in table]


def test_a_muse(tmp_path: Path) -> None:
    made = read_recording(files.brainflow(tmp_path, 6000))
    assert (made.info.sfreq, made.info.ch_names) == (256.0, files.LABELS)
    assert (made.info.range_uv, made.info.simulated) == (1000.0, False)
    np.testing.assert_array_equal(made.data, files.signal(6000).astype(np.float32))
    np.testing.assert_array_equal(made.index, np.arange(6000))
    np.testing.assert_allclose(made.timestamps, 1.7e9 + np.arange(6000) / 256, atol=1e-5)
    assert [(marker.index, marker.label) for marker in made.markers[:2]] == [(100, "1"), (600, "1")]
    assert made.info.notices == ("The columns are read as those of BrainFlow's board muse_2.",)


def test_a_lost_notification_is_counted_exactly(tmp_path: Path) -> None:
    path = files.brainflow(tmp_path, 6000)
    lines = path.read_text().splitlines()
    made = read_recording(files.text(path, lines[:1200] + lines[1212:]))
    assert [(c.first, c.n_times) for c in made.chunks(9999)] == [(0, 1200), (1212, 4788)]


@pytest.mark.parametrize(
    ("n_columns", "stamp", "rate", "board", "n_channels"),
    [
        (12, 10, 256.0, "crown", 8),
        (32, 30, 125.0, "cyton_daisy", 16),
        (24, 22, 250.0, "cyton", 8),
        (15, 13, 200.0, "ganglion", 4),
        (19, 17, 250.0, "unicorn", 8),
    ],
)
def test_the_board_is_found_by_columns_and_rate(
    tmp_path: Path, n_columns: int, stamp: int, rate: float, board: str, n_channels: int
) -> None:
    made = read_recording(files.text(tmp_path / "x.csv", rows(n_columns, stamp, rate)))
    assert (made.info.sfreq, made.info.n_channels) == (rate, n_channels)
    assert made.info.notices[-1].endswith(f" {board}.")


def test_a_board_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    path = files.text(tmp_path / "x.csv", rows(12, 10, 250.0))
    with pytest.raises(BadRecording, match=r"brainbit, notion_1, notion_2.*Name it with board="):
        read_recording(path)
    made = read_recording(path, options=ReadOptions(board="notion_2"))
    assert made.info.ch_names[:2] == ("CP5", "F5")
    assert read_recording(path, options=ReadOptions(board="13")).info.ch_names[:2] == ("CP6", "F6")
    with pytest.raises(BadRecording, match=r"columns of board cyton, but found 12 columns"):
        read_recording(path, options=ReadOptions(board="cyton"))
    with pytest.raises(BadRecording, match="a board of BrainFlow, by name or number"):
        read_recording(path, options=ReadOptions(board="toaster"))


def test_the_board_may_stand_in_the_url(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_text("\n".join(rows(24, 22, 250.0)) + "\n")
    with open_driver(f"replay://{path}?board=cyton&speed=max") as driver:
        assert driver.info.sfreq == 250.0
    assert open_recording(f"replay://{path}?board=cyton").info.sfreq == 250.0


def test_board_goes_with_brainflow_alone(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match=r"muse-lsl CSV .*Remove board="):
        read_recording(files.muselsl(tmp_path, 500), options=ReadOptions(board="muse_2"))


def test_what_no_board_has_written(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="with 9 columns"):
        read_recording(files.text(tmp_path / "x.csv", rows(9, 5, 250.0)))
    with pytest.raises(BadRecording, match="UNIX times"):
        read_recording(files.text(tmp_path / "y.csv", rows(15, 6, 200.0)))  # stamps elsewhere
    with pytest.raises(BadRecording, match="its rate"):
        read_recording(files.text(tmp_path / "z.csv", rows(15, 13, 50.0)))


@settings(max_examples=30)
@given(st.integers(200, 2900))
def test_a_file_cut_anywhere_keeps_its_whole_rows(
    tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    path = files.brainflow(tmp_path_factory.mktemp("cut"), 400)
    content = path.read_bytes()[:size]
    path.write_bytes(content)
    made = read_recording(path)
    assert made.n_times == content.count(b"\n")
    np.testing.assert_array_equal(made.data, files.signal(400)[: made.n_times].astype(np.float32))


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"0.0\t1.0\t2.0\t3.0\t4.0\n", True),
        (b"0.0\t1.0\t2.0\t3.0\t4.0" * 300, False),
        (b"\t".join([b"1.000000"] * 400), True),  # a first line longer than what is looked at
        (b"0.0\t1.0\n", False),
        (b"a\tb\tc\td\te\n1\t2\t3\t4\t5\n", False),
        (b"nan\tnan\tnan\tnan\tnan\n", False),
    ],
)
def test_what_is_recognised(head: bytes, is_one: bool) -> None:
    assert recognises(head) == is_one


@pytest.mark.parametrize(
    ("name", "sfreq", "shape", "first", "marks"),
    [
        ("brainflow_synthetic_write_file", 250.0, (2000, 16), 11.827948, [(1000, "7")]),
        ("brainflow_synthetic_streamer", 250.0, (2001, 16), 11.827948, [(1000, "7")]),
        ("derived_brainflow_muse2_256hz", 256.0, (7680, 4), 10.742, [(774, "1"), (1683, "2")]),
        ("derived_brainflow_ganglion_200hz", 200.0, (6000, 4), 11.288127, [(604, "1")]),
    ],
)
def test_real_files(
    shared_data: Path,
    name: str,
    sfreq: float,
    shape: tuple[int, int],
    first: float,
    marks: list[tuple[int, str]],
) -> None:
    made = read_recording(shared_data / "formats" / "brainflow" / f"{name}.csv")
    assert (made.info.sfreq, made.data.shape) == (sfreq, shape)
    np.testing.assert_array_equal(made.index, np.arange(shape[0]))
    assert made.data[0, 0] == np.float32(first)
    assert made.info.simulated == ("synthetic" in name)
    assert [(m.index, m.label) for m in made.markers[: len(marks)]] == marks


@pytest.mark.parametrize("header", ["none", "names", "numbers"])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_other_delimiters_and_headers(tmp_path: Path, delimiter: str, header: str) -> None:
    path = files.brainflow(tmp_path, 2000)
    expected = read_recording(path)
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    if delimiter == ";":  # as a spreadsheet of a locale with a decimal comma saves it
        rows = [[cell.replace(".", ",") for cell in row] for row in rows]
    numbers = [str(column) for column in range(len(rows[0]))]
    names = [*[f"channel {number}" for number in numbers[1:]], "Timestamp"]
    headers = {"none": [], "names": [names], "numbers": [numbers]}
    lines = [delimiter.join(row) for row in [*headers[header], *rows]]
    found = read_recording(files.text(tmp_path / "other.csv", lines))
    np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_array_equal(found.index, expected.index)
    assert found.markers == expected.markers
    assert found.info.ch_names == expected.info.ch_names


@pytest.mark.parametrize("apart", [60.0, 6 * 3600.0, -3600.0])
def test_two_sessions_in_one_file(tmp_path: Path, apart: float) -> None:
    lines = files.brainflow(tmp_path, 6000).read_text().splitlines()
    cells = [line.split("\t") for line in lines]
    for each in cells:
        each[6] = f"{float(each[6]) + 6000 / 256 + apart:.6f}"
    both = files.text(tmp_path / "both.csv", [*lines, *("\t".join(each) for each in cells)])
    made = read_recording(both)
    assert made.n_times == 12_000
    lost = made.end - 12_000
    assert lost == pytest.approx(60 * 256 if apart == 60 else 0, abs=12)
    assert any("jumps" in notice for notice in made.info.notices) == (apart != 60)


def test_a_person_s_rate_decides(tmp_path: Path) -> None:
    path = files.brainflow(tmp_path, 6000)
    assert open_recording(f"replay://{path}?sfreq=250&board=muse_2").info.sfreq == 250.0


def test_rows_that_change_their_number_of_cells_are_named(tmp_path: Path) -> None:
    lines = files.brainflow(tmp_path, 1000).read_text().splitlines()
    longer = [f"{line}\t1.0" for line in lines[700:]]
    with pytest.raises(BadRecording, match=r"rows of 8 cells .* 300 of 1000 malformed, row 701"):
        read_recording(files.text(tmp_path / "x.csv", [*lines[:700], *longer]))
