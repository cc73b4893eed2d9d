"""A pickle of arrays is read; of anything else not a word is believed, and nothing runs."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy._core.numeric import _frombuffer  # type: ignore[attr-defined]
from numpy.typing import NDArray

from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.datasets.unpickler import unpickle_arrays
from tests.models.datasets.layouts import python2_array, python2_pickle

ARRAY = np.arange(24, dtype="<f8").reshape(2, 3, 4)


def read(tmp_path: Path, content: bytes) -> dict[str, NDArray[Any]]:
    path = tmp_path / "s01.dat"
    path.write_bytes(content)
    return unpickle_arrays(path)


def refused(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(DatasetError) as told:
        read(tmp_path, content)
    assert str(tmp_path / "s01.dat") in str(told.value)
    assert "\n" not in str(told.value)
    return told.value.found


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<f2", "|i1", ">i2", "<u4"])
def test_python_2_arrays(tmp_path: Path, kind: str) -> None:
    array = ARRAY.astype(kind)
    made = read(tmp_path, python2_pickle({"labels": array[0], "data": array}))
    assert list(made) == ["labels", "data"]
    np.testing.assert_array_equal(made["labels"], array[0])
    np.testing.assert_array_equal(made["data"], array)
    assert made["data"].dtype == array.dtype


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("key", ["data", b"data"])
@pytest.mark.parametrize(
    "array",
    [ARRAY, np.asfortranarray(ARRAY), ARRAY.transpose(1, 0, 2), ARRAY[:, ::2], ARRAY.astype(">i2")],
)
def test_python_3_arrays(
    tmp_path: Path, protocol: int, key: str | bytes, array: NDArray[Any]
) -> None:
    made = read(tmp_path, pickle.dumps({key: array}, protocol))
    np.testing.assert_array_equal(made["data"], array)


def test_python_2_itself_agrees_on_the_layout() -> None:
    made = pickle.loads(python2_pickle({"data": ARRAY}), encoding="latin1")  # noqa: S301
    np.testing.assert_array_equal(made["data"], ARRAY)


class Command:
    """Pickled, it asks for a command to be run when it is read."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_no_command_is_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    content = pickle.dumps({"data": ARRAY, "labels": Command(f"touch {mark}")}, protocol)
    assert "system" in refused(tmp_path, content)
    assert not mark.exists()
    pickle.loads(content)  # noqa: S301
    assert mark.exists()  # so the pickle was one that runs


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.array([1, "a", None], object), "an array of O8"),
        (np.zeros(2, [("a", "f8")]), "an array of V8"),
        (np.zeros(2, "U3"), "an array of U3"),
        (np.zeros(2, complex), "an array of c16"),
        (np.zeros(2, "M8[s]"), "an array of M8"),
        (np.float64(1.0), "numpy.core.multiarray.scalar"),
        (3, "a int"),
        ([1.0], "a list"),
        (Path, "pathlib"),
    ],
)
def test_what_is_no_array_of_numbers(tmp_path: Path, value: object, found: str) -> None:
    told = refused(tmp_path, pickle.dumps({"data": value}, 2)).replace("numpy._core", "numpy.core")
    assert found in told


@pytest.mark.parametrize("value", [[ARRAY], {1: ARRAY}, {b"\xff": 1}, None])
def test_what_is_no_dict_of_arrays(tmp_path: Path, value: object) -> None:
    refused(tmp_path, pickle.dumps(value, 2))


@pytest.mark.parametrize("name", ["numpy\nndarray", "numpy.core.multiarray\n_reconstruct"])
def test_the_names_themselves_cannot_be_changed(tmp_path: Path, name: str) -> None:
    content = b"\x80\x02c" + name.encode() + b"\nN}U\x05_makeU\x01xs\x86b."
    assert "a state for a name" in refused(tmp_path, content)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_the_error_says_what_an_intact_pickle_has_in_it(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "s01.dat").write_bytes(pickle.dumps({"data": Path("x")}, protocol))
    with pytest.raises(
        DatasetError, match=r"it contains pathlib.* Save it again as a dict"
    ) as told:
        unpickle_arrays(tmp_path / "s01.dat")
    assert "Copy" not in str(told.value)


@pytest.mark.parametrize(
    "arguments",
    [
        (b"1234", np.dtype("f8"), (1,), "C"),  # too few bytes
        (b"12345678", np.dtype("f8"), (-1,), "C"),
        (b"12345678", np.dtype("f8"), (1,), "X"),
        (b"12345678", None, (1,), "C"),
        ([1.0], np.dtype("f8"), (1,), "C"),
        (b"12345678", np.dtype("O"), (1,), "C"),
    ],
)
def test_buffers_that_contradict_themselves(tmp_path: Path, arguments: tuple[Any, ...]) -> None:
    class Buffer:
        def __reduce__(self) -> tuple[Any, ...]:
            return _frombuffer, arguments

    refused(tmp_path, pickle.dumps({"data": Buffer()}, 5))


def test_a_buffer_longer_than_the_file(tmp_path: Path) -> None:
    refused(tmp_path, b"\x80\x05}\x8c\x04data\x96" + (2**40).to_bytes(8, "little") + b"12345678s.")


def test_an_array_without_its_values(tmp_path: Path) -> None:
    array = python2_array(ARRAY)
    empty = array[: array.index(b"R") + 1]
    refused(tmp_path, b"\x80\x02}U\x04data" + empty + b"s.")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (struct.pack("<i", 5), struct.pack("<i", 2)),  # more rows than values
        (struct.pack("<i", -2), struct.pack("<i", 2)),
        (b"U\x02f9", b"U\x02f8"),
        (b"T" + struct.pack("<i", 1000), b"T" + struct.pack("<i", 192)),
    ],
)
def test_arrays_that_contradict_themselves(tmp_path: Path, wrong: bytes, right: bytes) -> None:
    content = python2_pickle({"data": ARRAY})
    assert right in content
    refused(tmp_path, content.replace(right, wrong, 1))


def test_numbers_that_would_take_all_memory(tmp_path: Path) -> None:
    assert "object number" in refused(tmp_path, b"\x80\x02}r\xff\xff\xff\xff.")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.dat"
    path.write_bytes(python2_pickle({"data": ARRAY}).ljust(346, b"\0"))
    with pytest.raises(DatasetError, match=r"at most 100 bytes.* but found 346"):
        unpickle_arrays(path, max_bytes=100)


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="IsADirectoryError"):
        unpickle_arrays(tmp_path)


CONTENT = python2_pickle({"labels": ARRAY[0], "data": ARRAY})
NEWER = pickle.dumps({"labels": ARRAY[0], "data": ARRAY}, 5)


@given(st.integers(0, len(CONTENT) - 1))
def test_a_file_that_is_cut(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    refused(tmp_path_factory.mktemp("cut"), CONTENT[:length])


@given(
    st.sampled_from([CONTENT, NEWER]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=3))),
)
def test_a_file_that_is_damaged_harms_nothing(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, changes: list[tuple[float, bytes]]
) -> None:
    content = bytearray(whole)
    for share, new in changes:
        place = int(share * len(whole))
        content[place : place + len(new)] = new
    folder = tmp_path_factory.mktemp("damaged")
    try:
        told, made = "", read(folder, bytes(content))
    except DatasetError as error:
        told, made = str(error), {}
    assert "\n" not in told
    assert all(array.dtype.kind in "iuf" for array in made.values())
