from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import read_recording
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


def test_rows_without_a_time_of_day(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="packet number, 8 channels and times"):
        read(tmp_path, header(":", "."), files.openbci_legacy)


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
