"""Cached data sets equal those read from files; outdated or damaged entries are made again."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mimamba.drivers.driver import StreamInfo
from mimamba.models.datasets import cache
from mimamba.models.datasets.cache import DATA, INDEX, ChecksummedCacheIndex, read_cached
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial
from mimamba.models.signal.electrode import Electrode

INDICES = (np.arange(50), np.array([2, 3, 4, 9, 10, 40]), np.array([7]))
READS: list[str] = []


@dataclass(frozen=True)
class Made:
    """A data set whose samples are its file's length."""

    root: Path
    name: str = "made"

    def channels(self) -> tuple[str, ...]:
        return ("a", "b")

    def files(self) -> list[Path]:
        if not self.root.exists():
            raise DatasetError("a file", "none", "make one")
        return [self.root]

    def read(self, montage: Sequence[str]) -> Dataset:
        READS.append(self.name)
        size = self.root.stat().st_size
        trials = [
            Trial(f"s{n}", f"t{n}", np.full((len(index), 2), size + n, np.float32), index, (n, 1))
            for n, index in enumerate(INDICES)
        ]
        electrodes = tuple(Electrode(name, name, row, 1.5) for row, name in enumerate(montage))
        info = StreamInfo("made", "made", 256.0, ("a", "b"), 0.5, 1000.0, False, True, ("Told.",))
        rest = Trial("s2", "rest", np.zeros((3, 2), np.float32), np.arange(3), ())
        outputs = {"o": ("x", "y", "z"), "p": ("no", "yes")}
        every = tuple(trials)
        return Dataset(
            "made", "Words.", info, electrodes, outputs, every, {"s0": every[0], "s2": rest}
        )


@pytest.fixture
def source(tmp_path: Path) -> Made:
    READS.clear()
    path = tmp_path / "source"
    path.write_bytes(b"1234567")
    return Made(path)


def read(source: Made, tmp_path: Path, montage: Sequence[str] = ("Fp1", "Fp2")) -> Dataset:
    return read_cached(source, montage, tmp_path / "cache")


def entry(tmp_path: Path) -> Path:
    (only,) = (tmp_path / "cache").iterdir()
    return only


def check_same(made: Dataset, wanted: Dataset) -> None:
    for name in ("name", "source", "info", "montage", "outputs", "people"):
        assert getattr(made, name) == getattr(wanted, name)
    assert made.rest.keys() == wanted.rest.keys()
    pairs = [*zip(made.trials, wanted.trials, strict=True), (made.rest["s2"], wanted.rest["s2"])]
    for one, other in pairs:
        assert (one.person, one.name, one.labels) == (other.person, other.name, other.labels)
        np.testing.assert_array_equal(one.index, other.index)
        np.testing.assert_array_equal(one.data, other.data)
        assert (one.data.dtype.name, one.index.dtype.name) == ("float32", "int64")
    assert made.rest["s0"] is made.trials[0]


def test_what_is_kept_is_what_was_read(source: Made, tmp_path: Path) -> None:
    wanted = source.read(("Fp1", "Fp2"))
    check_same(read(source, tmp_path), wanted)
    again = read(source, tmp_path)
    check_same(again, wanted)
    assert len(READS) == 2  # the one above, and the first
    assert isinstance(again.trials[0].data, np.memmap)
    assert not again.trials[0].data.flags.writeable


@pytest.mark.parametrize("name", [DATA, INDEX])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "empty"])
def test_a_damaged_copy_is_made_anew(source: Made, tmp_path: Path, name: str, damage: str) -> None:
    read(source, tmp_path)
    path = entry(tmp_path) / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        content[middle] ^= 1
        kept = {"cut": middle, "flipped": len(content), "empty": 0}[damage]
        path.write_bytes(bytes(content[:kept]))
    made = read(source, tmp_path)
    assert len(READS) == 2
    check_same(made, source.read(("Fp1", "Fp2")))
    read(source, tmp_path)
    assert len(READS) == 3


def test_a_pickle_in_its_place_is_not_loaded(source: Made, tmp_path: Path) -> None:
    read(source, tmp_path)
    np.save(entry(tmp_path) / DATA, np.array([{"a": 1}], object), allow_pickle=True)
    check_same(read(source, tmp_path), source.read(("Fp1", "Fp2")))
    assert len(READS) == 3


def test_a_source_that_changed_is_read_again(source: Made, tmp_path: Path) -> None:
    read(source, tmp_path)
    source.root.write_bytes(b"12345")
    assert read(source, tmp_path).trials[0].data[0, 0] == 5.0
    os.utime(source.root, ns=(1, 1))
    read(source, tmp_path)
    assert len(READS) == 3
    entry(tmp_path)  # still one


def test_another_format_is_made_anew(source: Made, tmp_path: Path) -> None:
    read(source, tmp_path)
    path = entry(tmp_path) / INDEX
    index = msgspec.json.decode(path.read_bytes(), type=ChecksummedCacheIndex).index
    other = bytes(index).replace(b'"format":1,', b'"format":2,', 1)
    assert other != bytes(index)
    changed = ChecksummedCacheIndex(zlib.crc32(other), msgspec.Raw(other))
    path.write_bytes(msgspec.json.encode(changed))
    read(source, tmp_path)
    read(source, tmp_path)
    assert len(READS) == 2


def test_each_montage_and_name_has_its_own(source: Made, tmp_path: Path) -> None:
    for _ in range(2):
        assert read(source, tmp_path, ("Cz", "Pz")).montage[0].electrode == "Cz"
        assert read(source, tmp_path).montage[0].electrode == "Fp1"
        read(Made(source.root, "other"), tmp_path)
    assert sorted(READS) == ["made", "made", "other"]


def test_a_map_in_use_outlives_its_copy(source: Made, tmp_path: Path) -> None:
    before = read(source, tmp_path)
    source.root.write_bytes(b"12")
    read(source, tmp_path)
    assert before.trials[0].data[0, 0] == 7.0


def test_a_reading_that_fails_leaves_nothing(source: Made, tmp_path: Path) -> None:
    source.root.unlink()
    with pytest.raises(DatasetError):
        read(source, tmp_path)
    assert not (tmp_path / "cache").exists()


def test_a_writing_that_fails_leaves_nothing_and_harms_nothing(
    source: Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write_data", full)
    assert read(source, tmp_path).trials[0].data[0, 0] == 7.0
    assert "No space left" in caplog.text
    assert not list((tmp_path / "cache").iterdir())
