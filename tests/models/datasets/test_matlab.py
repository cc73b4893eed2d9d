"""MATLAB files are read, or refused in one line that names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.datasets.matlab import load_matlab, numbers


def write(folder: Path, compressed: bool = False) -> Path:
    path = folder / "a.mat"
    savemat(path, {"x": np.arange(6.0).reshape(2, 3), "y": {"z": 1.0}}, do_compression=compressed)
    return path


def test_variables_by_name(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = load_matlab(path)
    assert sorted(found) == ["x", "y"]
    assert found["y"].z == 1.0
    np.testing.assert_array_equal(load_matlab(path, ["x", "absent"])["x"], [[0, 1, 2], [3, 4, 5]])


def test_version_7_3_is_told_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "new.mat"
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024"
    path.write_bytes(text.ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n".ljust(512, b"\0"))
    with pytest.raises(DatasetError, match=r"7\.3 \(HDF5\). Load it in MATLAB and save it again"):
        load_matlab(path)


@pytest.mark.parametrize("compressed", [False, True])
@given(share=st.floats(0.0, 0.99))
def test_a_file_that_is_cut(
    tmp_path_factory: pytest.TempPathFactory, compressed: bool, share: float
) -> None:
    path = write(tmp_path_factory.mktemp("cut"), compressed)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    try:
        told, found = str(path), load_matlab(path)
    except DatasetError as error:
        told, found = str(error), {}
    assert str(path) in told
    assert "\n" not in told
    assert len(found) < 2  # cut between two variables, or after the header


@pytest.mark.parametrize("value", [None, "text", np.array([None])])
def test_what_is_no_numbers(value: object) -> None:
    with pytest.raises(DatasetError, match="numbers as x in"):
        numbers(Path("a.mat"), "x", value)
