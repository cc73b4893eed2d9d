"""Safe unpickler for arrays of numbers only, since an ordinary one can run any code.

DEAP's files were written by Python 2, so text is latin1. People save them again with Python 3,
in any protocol, and with keys of bytes. The names that a pickled array contains are replaced by
classes that check each value before numpy gets it.
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
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.recording import one_line
from mimamba.models.datasets.dataset import DatasetError, damaged_file

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


def unpickle_arrays(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Read the arrays of a pickled dict, by key, from a file of at most ``max_bytes``.

    Raises
    ------
    DatasetError
        If the file is damaged, too large, or contains anything except arrays of numbers.
    """
    try:
        if (size := path.stat().st_size) > max_bytes:
            raise damaged_file(path, f"at most {max_bytes:,} bytes", f"{size:,}")
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about odd escapes in text
            _check_numbers(content)
            made = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except _OtherContent as error:
        raise _other_content(path, f"{error}"[:200]) from error
    except BROKEN as error:
        raise damaged_file(
            path, "a pickle of arrays of numbers", f"{type(error).__name__}: {error}"[:200]
        ) from error
    if not isinstance(made, dict):
        raise _other_content(path, f"a {type(made).__name__}")
    return {_text(path, key): _taken(path, key, value) for key, value in made.items()}


def _other_content(path: Path, found: str) -> DatasetError:
    """Return the error for a pickle that is intact, but contains something else."""
    return DatasetError(
        f"a pickled dict of arrays of numbers in {path}",
        one_line(found),
        "save it again as a dict of NumPy arrays, or take the file of the data set",
    )


def _text(path: Path, key: object) -> str:
    """Return a key as text: loading a file of Python 2 with bytes makes keys of bytes."""
    if isinstance(key, bytes) and key.isascii():
        return key.decode("ascii")
    if not isinstance(key, str):
        raise _other_content(path, f"a key {key!r}"[:80])
    return key


def _check_numbers(content: bytes) -> None:
    """Raise UnpicklingError for a memo index that is too high, ValueError if it is no pickle."""
    for opcode, number, _ in pickletools.genops(content):
        if opcode.name in {"PUT", "BINPUT", "LONG_BINPUT"} and int(number or 0) > MAX_MEMO:
            raise pickle.UnpicklingError(f"it refers to object number {number:,}")


def _taken(path: Path, key: object, value: object) -> NDArray[Any]:
    if not isinstance(value, _Array) or value.values is None:
        raise _other_content(path, f"a {type(value).__name__.strip('_')} as {key!r}"[:80])
    return value.values


class _OtherContent(pickle.UnpicklingError):
    """A pickle that is intact contains something else than arrays of numbers."""


class _Array:
    """Replacement of ``numpy.ndarray``: created empty, then filled by its state."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, content = state
        self.fill(content, kind, shape, "F" if by_column else "C")

    def fill(self, content: object, kind: object, shape: Any, order: Literal["C", "F"]) -> None:
        """Set the values; raises UnpicklingError unless they fit the type and the shape."""
        if not isinstance(kind, _DType):
            raise pickle.UnpicklingError("an array without a type")
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise pickle.UnpicklingError("an invalid shape")
        if not isinstance(content, bytes | bytearray | str):
            raise _OtherContent("an array of objects")
        raw = content.encode("latin1") if isinstance(content, str) else content
        if math.prod(shape) * kind.dtype.itemsize != len(raw):
            raise pickle.UnpicklingError(f"{len(raw)} bytes for an array {shape}")
        self.values = np.frombuffer(raw, kind.dtype).reshape(shape, order=order)


class _DType:
    """Replacement of ``numpy.dtype``; the byte order comes with its state."""

    __slots__ = ("dtype",)

    def __init__(self, name: str, *_flags: object) -> None:
        if not NUMBERS.fullmatch(name):
            raise _OtherContent(f"an array of {name}, not of numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise _OtherContent("an array of records")
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


def _from_buffer(
    content: object, kind: object, shape: Any, order: object, axes: Any = None
) -> _Array:
    """Replace numpy's function for arrays in protocol 5, which has the values as one buffer."""
    if order not in {"C", "F", "K"}:
        raise pickle.UnpicklingError(f"an array of order {order!r}"[:80])
    array = _Array()
    array.fill(content, kind, shape, "F" if order == "F" else "C")
    if order == "K" and axes is not None and array.values is not None:
        array.values = array.values.transpose(axes)
    return array


ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): lambda *_: _Array(),
    ("numpy", "dtype"): _DType,
    # Python 3 writes bytes for Python 2 as text in latin1.
    ("_codecs", "encode"): lambda text, *_: text,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        make = ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if make is None:
            raise _OtherContent(f"it contains {module}.{name}, which is not an array")
        return _AllowedName(make)
