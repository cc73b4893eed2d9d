"""MATLAB files, up to the format of version 7, and the errors that damaged ones lead to."""

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
"""What SciPy raises where a file is cut or damaged, beside its own ``MatReadError``."""


def load_matlab(path: Path, names: Sequence[str] | None = None) -> dict[str, Any]:
    """A file's variables by name: all, or those asked for that are there.

    Axes of length 1 are gone; a struct has its fields as attributes, a cell array is an array of
    objects.

    Raises
    ------
    DatasetError
        If it is damaged, or of MATLAB 7.3, whose files are HDF5.
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
            path, "a whole MATLAB file", f"{type(error).__name__}: {error}"[:200]
        ) from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def numbers(path: Path, name: str, value: object) -> NDArray[Any]:
    """A variable as an array of numbers; raises DatasetError where it is none."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise damaged_file(path, f"numbers as {name}", f"{array.dtype.name}")
    return array
