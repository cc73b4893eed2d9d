"""Safe unpickler for arrays of numbers only, since an ordinary one can run any code.

DEAP's files were written by Python 2, so text is latin1. The four names that a pickled array
contains are replaced by classes that check each value before numpy gets it.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.models.datasets.dataset import damaged_file

MAX_BYTES = 2**30
"""Maximum file size, bytes. One person of DEAP has 103 MB."""
MAX_MEMO = 1000
"""Highest memo index. A pickle numbers the objects it refers to, and memory is allocated up to the
highest number; two arrays need a few dozen."""
NUMBERS = re.compile(r"[fiu][1248]")
"""numpy's names of numeric types, without the byte order."""
BROKEN = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError),
    *(IndexError, ImportError, OverflowError, MemoryError, RecursionError, OSError),
)
"""Errors that unpickling raises for bytes that are not a pickle (documentation of ``pickle``)."""


def unpickle_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a pickled dict, by key.

    Raises
    ------
    DatasetError
        If the file is damaged, too large, or contains anything except arrays of numbers.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise damaged_file(path, f"at most {MAX_BYTES:,} bytes", f"{path.stat().st_size:,}")
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about odd escapes in text
            _check_numbers(content)
            made = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except BROKEN as error:
        raise damaged_file(
            path, "a pickle of arrays of numbers", f"{type(error).__name__}: {error}"[:200]
        ) from error
    if not isinstance(made, dict) or not all(isinstance(key, str) for key in made):
        raise damaged_file(path, "a dict of arrays", f"a {type(made).__name__}")
    return {key: _taken(path, key, value) for key, value in made.items()}


def _check_numbers(content: bytes) -> None:
    """Raise UnpicklingError for a memo index that is too high, ValueError if it is no pickle."""
    for opcode, number, _ in pickletools.genops(content):
        if opcode.name in {"PUT", "BINPUT", "LONG_BINPUT"} and int(number or 0) > MAX_MEMO:
            raise pickle.UnpicklingError(f"it refers to object number {number:,}")


def _taken(path: Path, key: str, value: object) -> NDArray[Any]:
    if not isinstance(value, _Array) or value.values is None:
        raise damaged_file(path, f"an array as {key}", f"a {type(value).__name__.strip('_')}")
    return value.values


class _Array:
    """Replacement of ``numpy.ndarray``: created empty, then filled by its state."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, content = state
        if not isinstance(kind, _DType):
            raise pickle.UnpicklingError("an array without a type")
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise pickle.UnpicklingError("an invalid shape")
        if not isinstance(content, (bytes, str)):
            raise pickle.UnpicklingError("an array of objects")
        raw = content.encode("latin1") if isinstance(content, str) else content
        if math.prod(shape) * kind.dtype.itemsize != len(raw):
            raise pickle.UnpicklingError(f"{len(raw)} bytes for an array {shape}")
        flat = np.frombuffer(raw, kind.dtype)
        self.values = flat.reshape(shape, order="F" if by_column else "C")


class _DType:
    """Replacement of ``numpy.dtype``; the byte order comes with its state."""

    __slots__ = ("dtype",)

    def __init__(self, name: str, *_flags: object) -> None:
        if not NUMBERS.fullmatch(name):
            raise pickle.UnpicklingError(f"an array of {name}, not of numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array of records")
        if state[1] in {"<", ">"}:
            self.dtype = self.dtype.newbyteorder(state[1])


class _AllowedName:
    """One of the allowed names. It can be called, but refuses a state."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __call__(self, *arguments: object) -> object:
        return self._make(*arguments)

    def __setstate__(self, _: object) -> None:
        raise pickle.UnpicklingError("a state for a name")


ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("numpy", "ndarray"): lambda *_: _Array(),
    ("numpy", "dtype"): _DType,
    # Python 3 writes bytes for Python 2 as text in latin1.
    ("_codecs", "encode"): lambda text, *_: text,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        make = ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if make is None:
            raise pickle.UnpicklingError(f"it contains {module}.{name}, which is not an array")
        return _AllowedName(make)
