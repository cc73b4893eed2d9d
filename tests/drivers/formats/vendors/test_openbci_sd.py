from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import ReadOptions, read_recording
from tests.drivers.formats import files

LSB = 4.5e6 / 24 / (2**23 - 1)


def counts(n_times: int, n_channels: int) -> NDArray[np.int64]:
    found = np.rint(files.signal(n_times, n_channels) * 1000).astype(np.int64)
    found[:2] = [[2**23 - 1], [-(2**23)]]
    return found


def lines(n_times: int = 1000, n_channels: int = 8, seconds: float | None = None) -> list[str]:
    """Rows of the card, with the accelerometer in every tenth, between a start and an end."""
    rows = [
        ",".join([f"{k % 256:02X}", *(f"{value & 0xFFFFFF:06X}" for value in row)])
        + (",0010,0200,0F00" if k % 10 == 0 else "")
        for k, row in enumerate(counts(n_times, n_channels).tolist())
    ]
    total = n_times / 250 if seconds is None else seconds
    end = ["%STOP AT", "000F4240", "%Total time mS:", f"{total * 1000:.0f}", "%min Write time", "4"]
    return ["%STARTED", *rows, *end]


@pytest.mark.parametrize("n_channels", [8, 16])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_whole_file(tmp_path: Path, n_channels: int, end: str) -> None:
    made = read_recording(files.text(tmp_path / "OBCI_01.TXT", lines(1000, n_channels), end))
    assert (made.info.sfreq, made.info.n_channels) == (250.0, n_channels)
    np.testing.assert_allclose(made.data, counts(1000, n_channels) * LSB, rtol=1e-6)
    np.testing.assert_array_equal(made.index, np.arange(1000))
    assert made.info.uv_per_bit == pytest.approx(LSB)
    assert made.info.notices == (
        "The rows have no time: samples that were lost show only by the packet number.",
        "Values are read at the board's default gain, 24.",
    )


def test_losses_show_by_the_packet_number(tmp_path: Path) -> None:
    text = lines()
    made = read_recording(files.text(tmp_path / "some.txt", text[:301] + text[306:]))
    assert [(c.first, c.n_times) for c in made.chunks(9999)] == [(0, 300), (305, 695)]


def test_malformed_rows(tmp_path: Path) -> None:
    text = lines()
    text[500] = text[500][:20]
    made = read_recording(files.text(tmp_path / "some.txt", text))
    np.testing.assert_array_equal(made.index, np.delete(np.arange(1000), 499))
    assert "1 rows are malformed, row 500 first." in made.info.notices
    text[600:700] = ["00,nothing"] * 100
    with pytest.raises(BadRecording, match=r"8 channels in hexadecimal .* row 500 first"):
        read_recording(files.text(tmp_path / "some.txt", text))


def test_the_total_time_decides_about_the_rate_unless_a_person_does(tmp_path: Path) -> None:
    path = files.text(tmp_path / "some.txt", lines(seconds=2.0))
    made = read_recording(path)
    assert made.info.sfreq == 500.0
    assert "250 Hz, but the total time gives 500 Hz" in made.info.notices[0]
    assert read_recording(path, options=ReadOptions(sfreq=125.0)).info.sfreq == 125.0
    made = read_recording(files.text(tmp_path / "some.txt", lines(seconds=2.7)))
    assert made.info.sfreq == 250.0
    assert "370.4 Hz; sfreq= decides otherwise" in made.info.notices[0]


def test_a_file_without_its_end(tmp_path: Path) -> None:
    made = read_recording(files.text(tmp_path / "some.txt", lines()[:700]), ChannelChoice(("2",)))
    assert (made.info.sfreq, made.n_times, made.info.ch_names) == (250.0, 699, ("2",))
