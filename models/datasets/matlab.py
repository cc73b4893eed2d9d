"""MATLAB files up to version 7, read by SciPy with clear errors for damaged ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.models.datasets.dataset import DatasetError, damaged_file

BROKEN = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, EOFError),
    *(OverflowError, MemoryError, RuntimeError, struct.error, zlib.error),
)
"""Errors that SciPy raises for a truncated or damaged file, in addition to ``MatReadError``."""


def load_matlab(path: Path, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Read a file's variables by name: all, or those of ``names`` that exist.

    Axes of length 1 are removed. A struct has its fields as attributes; a cell array is an array of
    objects.

    Raises
    ------
    DatasetError
        If the file is damaged, or of MATLAB 7.3, which is HDF5.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, variable_names=names, squeeze_me=True, struct_as_record=False)
    except NotImplementedError as error:
        raise DatasetError(
            f"a MATLAB file up to version 7 at {path}",
            "one of version 7.3 (HDF5)",
            "load it in MATLAB and save it again with save(NAME, '-v7')",
        ) from error
    except (MatReadError, *BROKEN) as error:
        raise damaged_file(
            path, "a complete MATLAB file", f"{type(error).__name__}: {error}"[:200]
        ) from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def numbers(path: Path, name: str, value: object) -> NDArray[Any]:
    """Return a variable as an array of numbers; raises DatasetError if it is not one."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise damaged_file(path, f"numbers as {name}", f"{array.dtype.name}")
    return array
