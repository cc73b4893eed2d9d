from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording
from tests.drivers.formats import files

LAYOUTS = [files.openbci_legacy, files.openbci_5, files.openbci_6]
Change = Callable[[list[str]], list[str]]


def read(folder: Path, change: Change, layout: Callable[[Path, int], Path]) -> Recording:
    path = layout(folder, 1000)
    files.text(path, change(path.read_text().splitlines()))
    return read_recording(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(tmp_path: Path, layout: Callable[[Path, int], Path]) -> None:
    made = read_recording(layout(tmp_path, 1000))
    assert (made.info.sfreq, made.info.live) == (250.0, False)
    assert made.info.ch_names == tuple("12345678")
    assert made.info.range_uv == 187500.0
    np.testing.assert_array_equal(made.data, files.signal(1000, 8).astype(np.float32))
    np.testing.assert_array_equal(made.index, np.arange(1000))
    np.testing.assert_allclose(made.timestamps, 1.5e9 + np.arange(1000) / 250, atol=1e-2)
    marks = [(100, "1"), (600, "1")] if layout is files.openbci_6 else []
    assert [(marker.index, marker.label) for marker in made.markers] == marks


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lost_packets_are_counted_exactly(
    tmp_path: Path, layout: Callable[[Path, int], Path]
) -> None:
    made = read(tmp_path, lambda lines: lines[:-300] + lines[-295:], layout)
    assert [(chunk.first, chunk.n_times) for chunk in made.chunks(9999)] == [(0, 700), (705, 295)]


def test_channels_are_chosen_by_number_and_named(tmp_path: Path) -> None:
    path = files.openbci_6(tmp_path, 300)
    made = read_recording(path, ChannelChoice(("8", "1"), ("TP9", "AF7")))
    assert made.info.ch_names == ("TP9", "AF7")
    np.testing.assert_array_equal(made.data, files.signal(300, 8)[:, [7, 0]].astype(np.float32))


def test_a_cut_row_and_an_empty_cell(tmp_path: Path) -> None:
    path = files.openbci_5(tmp_path, 300)
    lines = path.read_text().splitlines(keepends=True)
    cells = lines[200].split(",")
    lines[200] = ",".join([*cells[:3], " ", *cells[4:]])
    path.write_text("".join(lines)[:-9])
    made = read_recording(path)
    np.testing.assert_array_equal(made.index, np.delete(np.arange(299), 195))
    assert made.info.notices == (
        "The last row has no line end: it may be incomplete, and is left out.",
        "The first row is all zeros, even its time: left out.",
        "1 of 299 samples lack a number in some channel: they count as lost.",
    )


def header(old: str, new: str) -> Change:
    return lambda lines: [line.replace(old, new) for line in lines]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (header("Sample Rate = 250 Hz", "Sample Rate = 0 Hz"), "a sample rate"),
        (header("Sample Rate", "Rate"), "a sample rate"),
        (header("channels = 8", "channels = 999"), "number of channels"),
        (header("channels = 8", "channels = all"), "number of channels"),
        (header("channels = 8", "channels = 4"), "4 EXG columns, but found 8"),
        (lambda lines: lines[:5], "none in"),
    ],
)
def test_nonsense_in_the_header(tmp_path: Path, change: Change, found: str) -> None:
    with pytest.raises(BadRecording, match=found):
        read(tmp_path, change, files.openbci_6)


def old(
    version: int, n_channels: int = 8, n_times: int = 1500, start: float = 45_054.0
) -> list[str]:
    """Lines as GUI 1 (no time) and GUI 2 to 4.0.1 (a time of day) write them."""
    lines = ["%OpenBCI Raw EEG Data", "%", "%Sample Rate = 250.0 Hz", "%First Column = SampleIndex"]
    for k, row in enumerate(files.signal(n_times, n_channels).round(2).tolist()):
        at = (start + k / 250) % 86_400
        time = f"{at // 3600:02.0f}:{at // 60 % 60:02.0f}:{at % 60:06.3f}"
        cells = [str(k % 256), *(f"{value:.2f}" for value in row), "0.016", "0.474", "0.114"]
        lines.append(", ".join(cells + ([time] if version > 1 else [])))
    return lines


def read_lines(folder: Path, lines: list[str], sfreq: float | None = None) -> Recording:
    path = files.text(folder / "old.txt", lines)
    return read_recording(path, options=ReadOptions(sfreq=sfreq))


@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("n_channels", [4, 8, 16])
def test_before_version_4_1_the_columns_tell(tmp_path: Path, version: int, n_channels: int) -> None:
    made = read_lines(tmp_path, old(version, n_channels))
    assert (made.info.sfreq, made.info.n_channels) == (250.0, n_channels)
    np.testing.assert_array_equal(
        made.data, files.signal(1500, n_channels).round(2).astype(np.float32)
    )
    np.testing.assert_array_equal(made.index, np.arange(1500))
    assert made.timestamps[-1] - made.timestamps[0] == pytest.approx(5.996, abs=0.01)
    assert any("no time" in notice for notice in made.info.notices) == (version == 1)


@pytest.mark.parametrize("lost", [250, 512])
def test_losses_before_version_4_1(tmp_path: Path, lost: int) -> None:
    lines = old(3, n_times=2000)
    made = read_lines(tmp_path, lines[:754] + lines[754 + lost :])
    assert [(c.first, c.n_times) for c in made.chunks(9999)] == [
        (0, 750),
        (750 + lost, 1250 - lost),
    ]
    lines = old(1)
    made = read_lines(tmp_path, lines[:754] + lines[759:])
    assert [(c.first, c.n_times) for c in made.chunks(9999)] == [(0, 750), (755, 745)]


def test_midnight(tmp_path: Path) -> None:
    made = read_lines(tmp_path, old(3, start=86_397.0))
    np.testing.assert_array_equal(made.index, np.arange(1500))
    assert made.info.notices == ()


def test_decimal_commas(tmp_path: Path) -> None:
    lines = [
        line
        if line.startswith("%")
        else re.sub(r"(?<=\d)\.(?=\d)", ",", line.rpartition(", ")[0])
        + f", 12:30:{54 + n // 250:02d}.{n % 250 * 4:03d}"
        for n, line in enumerate(old(3, n_times=1000), -4)
    ]
    made = read_lines(tmp_path, lines)
    np.testing.assert_array_equal(made.data, files.signal(1000, 8).round(2).astype(np.float32))
    assert made.info.notices == ("Numbers have decimal commas; they are read as decimal points.",)


@pytest.mark.parametrize(
    ("declared", "n_channels", "found"),
    [
        (8, 16, "rows of 8 channels, .*: 16 channels"),
        (16, 8, "rows of 16 channels, .*: 8 channels"),
    ],
)
def test_a_header_that_contradicts_the_rows(
    tmp_path: Path, declared: int, n_channels: int, found: str
) -> None:
    lines = old(3, n_channels)
    lines[1] = f"%Number of channels = {declared}"
    with pytest.raises(BadRecording, match=found):
        read_lines(tmp_path, lines)
    with pytest.raises(BadRecording, match=r"11 cells in row 5\. Add a line %Number of channels"):
        read_lines(tmp_path, old(3, 6))


def test_rows_that_change_their_number_of_cells_are_named(tmp_path: Path) -> None:
    lines = old(3)
    with pytest.raises(BadRecording, match=r"rows of 13 cells .* row 501 first"):
        read_lines(tmp_path, lines[:504] + [f"{line}, 1.0" for line in lines[504:]])


def test_the_accelerometer_is_no_time(tmp_path: Path) -> None:
    lines = old(1)
    lines[1] = "%Number of channels = 8"
    made = read_lines(tmp_path, lines)
    np.testing.assert_allclose(made.timestamps, np.arange(1500) / 250)
    text = "The rows have no time: samples that were lost show only by the packet number."
    assert made.info.notices == (text,)


def test_the_stamps_decide_about_a_wrong_rate(tmp_path: Path) -> None:
    lines = [line.replace("250.0 Hz", "200,0 Hz") for line in old(3, n_times=3000)]
    made = read_lines(tmp_path, lines)
    assert (made.info.sfreq, made.end) == (250.0, 3000)
    assert made.info.notices[0].startswith(
        "The declared rate is 200 Hz, but the stamps give 250 Hz"
    )
    assert read_lines(tmp_path, lines, sfreq=220.0).info.sfreq == 220.0


def test_a_time_of_day_that_cannot_be_read(tmp_path: Path) -> None:
    made = read(tmp_path, header(":", "."), files.openbci_legacy)  # UNIX time follows it
    np.testing.assert_array_equal(made.index, np.arange(1000))


@pytest.mark.parametrize(
    ("board", "n_channels", "range_uv"),
    [("Ganglion", 8, 15686.0), ("Cyton", 8, 187500.0), ("Unknown", 8, None)],
)
def test_what_is_known_of_the_board(
    tmp_path: Path, board: str, n_channels: int, range_uv: float | None
) -> None:
    made = read(tmp_path, header("BoardCytonSerial", f"Board{board}"), files.openbci_6)
    assert made.info.n_channels == n_channels
    assert made.info.range_uv == pytest.approx(range_uv, abs=1)
    np.testing.assert_array_equal(made.index, np.arange(1000))


def test_the_same_eeg_from_the_three_layouts_of_one_recording(shared_data: Path) -> None:
    folder = shared_data / "formats" / "openbci_gui"
    name = "OpenBCI_GUI-{}-blinks-jawClench-alpha.txt"
    legacy, five, six = (read_recording(folder / name.format(v)) for v in ("legacy", "v5", "v6"))
    for made in (legacy, five, six):
        assert (made.data.shape, made.info.sfreq) == ((22490, 8), 250.0)
        np.testing.assert_array_equal(made.index, np.arange(22490))
        np.testing.assert_array_equal(made.data, six.data)
        np.testing.assert_array_equal(made.timestamps, six.timestamps)
    assert (
        six.data[0, :4].tolist()
        == np.array([61379.36, 49492.89, -16597.06, -21309.75], np.float32).tolist()
    )


def test_a_ganglion(shared_data: Path) -> None:
    path = shared_data / "formats" / "openbci_gui" / "derived_OpenBCI-RAW-ganglion_200hz.txt"
    made = read_recording(path, ChannelChoice(names=("TP9", "AF7", "AF8", "TP10")))
    assert (made.info.sfreq, made.data.shape) == (200.0, (6000, 4))
    np.testing.assert_array_equal(made.index, np.arange(6000))
    assert (
        made.data[1].tolist()
        == np.array([41.065995, 44.769712, 38.765918, 44.425831], np.float32).tolist()
    )


def test_rows_that_do_not_begin_with_a_packet_number(tmp_path: Path) -> None:
    lines = [line if line.startswith("%") else f"0.5, {line.partition(', ')[2]}" for line in old(3)]
    with pytest.raises(
        BadRecording, match=r"packet number at the start .*, but found 0.5 in row 1"
    ):
        read_lines(tmp_path, lines)


def test_a_column_of_stamps_that_has_no_times(tmp_path: Path) -> None:
    def without(lines: list[str]) -> list[str]:
        cells = [line.split(",") for line in lines]
        for row in cells:
            if len(row) > 12 and row[0].strip().replace(".", "").isdecimal():
                row[10] = "0"
        return [",".join(row) for row in cells[:700] + cells[705:]]

    made = read(tmp_path, without, files.openbci_6)
    lost = made.end - made.n_times
    assert lost == 5
    assert made.info.notices == (
        "The rows have no time: samples that were lost show only by the packet number.",
    )
