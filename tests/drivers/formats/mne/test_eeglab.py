"""EEGLAB's sets: in one file or two, and what is refused with a clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import read_recording
from tests.drivers.formats import files


def changed(path: Path, flat: bool = False, **fields: Any) -> Path:
    """The same set with other fields."""
    content = loadmat(path, squeeze_me=True, struct_as_record=True, mat_dtype=True)["EEG"]
    values = {name: content[name].item() for name in content.dtype.names} | fields
    values["chanlocs"] = fields.get(
        "chanlocs", np.array([(name,) for name in (*files.LABELS, "VEOG")], [("labels", object)])
    )
    values["event"] = np.array([])
    savemat(path, values if flat else {"EEG": values}, appendmat=False)
    return path


@pytest.mark.parametrize("flat", [False, True])
def test_samples_in_a_file_beside_it(tmp_path: Path, flat: bool) -> None:
    path = files.eeglab(tmp_path, 500)
    files.signal(500, 5).astype("<f4").tofile(tmp_path / "made.fdt")  # column by column
    made = read_recording(changed(path, flat, data="made.fdt"))
    np.testing.assert_allclose(made.data, files.signal(500, 5)[:, :4], rtol=1e-6, atol=1e-5)
    assert made.info.notices == ("Left out: VEOG (MISC).",)


@pytest.mark.parametrize("name", ["../made.fdt", "/etc/made.fdt"])
def test_samples_in_another_folder_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "set").mkdir()
    files.signal(500, 5).astype("<f4").tofile(tmp_path / "made.fdt")
    path = changed(files.eeglab(tmp_path / "set", 500), data=name)
    with pytest.raises(BadRecording, match=r"samples of .* in its folder|cut off or damaged"):
        read_recording(path)


def test_declared_types_come_before_names(tmp_path: Path) -> None:
    kinds = ("EEG", "EEG", "EEG", "", "EOG")
    labels = ("a", "b", "c", "trigger", "e")
    locations = np.array(
        list(zip(labels, kinds, strict=True)), [("labels", object), ("type", object)]
    )
    path = changed(files.eeglab(tmp_path, 500), chanlocs=locations)
    made = read_recording(path)
    assert made.info.ch_names == ("a", "b", "c")
    assert made.info.notices[0] == "Left out: trigger (MISC), e (EOG)."
    assert read_recording(path, ChannelChoice(("e",))).info.ch_names == ("e",)


def test_epochs_are_refused(tmp_path: Path) -> None:
    data = files.signal(500, 5).T.reshape(5, 100, 5).astype(np.float32)
    path = changed(files.eeglab(tmp_path, 500), data=data, trials=5, pnts=100)
    with pytest.raises(BadRecording, match=r"a continuous recording in .*, but found epochs"):
        read_recording(path)


def test_other_matlab_files(tmp_path: Path) -> None:
    path = tmp_path / "some.set"
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    with pytest.raises(BadRecording, match=r"version 5 to 7 at .*, but found one of version 7.3"):
        read_recording(path)
    savemat(tmp_path / "s01.mat", {"data": np.zeros(9)})
    with pytest.raises(BadRecording, match="a MATLAB file of EEGLAB"):
        read_recording(tmp_path / "s01.mat")
    (tmp_path / "s01.mat").rename(path)
    with pytest.raises(BadRecording, match=r"EEGLAB file at .* cut off or damaged"):
        read_recording(path)


def test_a_set_that_is_cut(tmp_path: Path) -> None:
    path = files.eeglab(tmp_path, 5000)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(BadRecording, match="cut off or damaged"):
        read_recording(path)
