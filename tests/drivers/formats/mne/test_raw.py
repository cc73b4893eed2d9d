"""FIF and BrainVision, which MNE opens for us."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import read_recording
from tests.drivers.formats import files


@pytest.mark.parametrize("make", [files.fif, files.brainvision, files.eeglab])
def test_a_whole_file(tmp_path: Path, make: object) -> None:
    assert callable(make)
    path = make(tmp_path, 1000)
    made = read_recording(path)
    assert (made.info.name, made.info.source_id) == (path.name, str(path))
    assert (made.info.sfreq, made.info.ch_names) == (256.0, files.LABELS)
    np.testing.assert_allclose(made.data, files.signal(1000, 5)[:, :4], rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(made.index, np.arange(1000))
    np.testing.assert_allclose(made.timestamps, np.arange(1000) / 256)
    (marker,) = made.markers
    assert (marker.index, marker.source) == (128, "annotations")
    assert made.info.notices[0].startswith("Left out: ")


@pytest.mark.parametrize("date", [None, 1.7e9])
def test_fif_annotations_and_pauses(tmp_path: Path, date: float | None) -> None:
    info = mne.create_info(["TP9", "TP10"], 256.0, "eeg")
    raw = mne.io.RawArray(np.zeros((2, 1000)), info, first_samp=777, verbose="ERROR")
    raw.set_meas_date(date)
    raw.set_annotations(mne.Annotations([1.0, 2.0], [0.0, 0.5], ["look", "BAD_ACQ_SKIP"]))
    raw.info["bads"] = ["TP10"]
    raw.save(tmp_path / "some_raw.fif", verbose="ERROR")
    read = mne.io.read_raw_fif(tmp_path / "some_raw.fif", verbose="ERROR")
    events, _ = mne.events_from_annotations(read, regexp="look", verbose="ERROR")
    made = read_recording(tmp_path / "some_raw.fif")
    assert [m.index for m in made.markers] == [events[0, 0] - read.first_samp]
    assert [(c.first, c.n_times) for c in made.chunks(9999)] == [(0, 512), (640, 360)]
    assert made.info.notices == ("TP10: marked as bad in the file.",)


def test_channels_that_are_asked_for(tmp_path: Path) -> None:
    path = files.fif(tmp_path, 500)
    made = read_recording(path, ChannelChoice(("ECG", "2"), ("a", "b")))
    assert (made.info.ch_names, made.info.notices) == (("a", "b"), ())
    np.testing.assert_allclose(made.data, files.signal(500, 5)[:, [4, 1]], rtol=1e-6, atol=1e-5)


def test_a_file_without_eeg(tmp_path: Path) -> None:
    info = mne.create_info(["x"], 256.0, "misc")
    raw = mne.io.RawArray(np.ones((1, 1000)), info, verbose="ERROR")
    raw.save(tmp_path / "some_raw.fif", verbose="ERROR")
    with pytest.raises(BadRecording, match="EEG channels, but found x"):
        read_recording(tmp_path / "some_raw.fif")
    made = read_recording(tmp_path / "some_raw.fif", ChannelChoice(("x",)))
    assert made.data[0, 0] == 1.0
    assert made.info.notices == ("x: not a voltage; the values are treated as µV.",)


def test_a_fif_tag_that_leads_back(tmp_path: Path) -> None:
    path = files.fif(tmp_path, 500)
    content = bytearray(path.read_bytes())
    content[12:16] = (4).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(BadRecording, match="cut off or damaged at byte 0"):
        read_recording(path)


def test_a_fif_file_that_is_cut(tmp_path: Path) -> None:
    path = files.fif(tmp_path, 5000)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(BadRecording, match="cut off or damaged"):
        read_recording(path)


@pytest.mark.parametrize("name", ["../made.eeg", "/etc/hostname", "a\\b.eeg"])
def test_a_header_may_name_no_file_elsewhere(tmp_path: Path, name: str) -> None:
    path = files.brainvision(tmp_path, 500)
    path.write_text(path.read_text().replace("made.eeg", name))
    with pytest.raises(BadRecording, match=r"DataFile in the folder of .*Move it there"):
        read_recording(path)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("NumberOfChannels=5", "NumberOfChannels=99999999", "1 to 1024 channels"),
        ("NumberOfChannels=5", "NumberOfChannels=five", "1 to 1024 channels"),
        ("SamplingInterval=3906.25", "SamplingInterval=0", "cut off or damaged"),
        ("made.eeg", "absent.eeg", "absent.eeg"),
        ("[Common Infos]", "", "cut off or damaged"),
    ],
)
def test_nonsense_in_a_header(tmp_path: Path, old: str, new: str, found: str) -> None:
    path = files.brainvision(tmp_path, 500)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BadRecording, match=found) as caught:
        read_recording(path)
    assert "\n" not in str(caught.value)


def test_a_header_by_another_name(tmp_path: Path) -> None:
    path = files.brainvision(tmp_path, 500)
    with pytest.raises(BadRecording, match=r"header \(\.vhdr\)"):
        read_recording(path.rename(tmp_path / "made.txt"))
