"""Cache of data sets on disk, which later starts map into memory.

There is one folder per data set, montage and set of options. ``data.npy`` holds the chosen channels
of all trials, one after the other; ``index.json`` holds the position of each trial and the source
files. Four channels need 157 MB for DEAP, about 170 MB for DREAMER and 490 MB for SEED.

An entry is written atomically. It is used only if its format, the sizes and times of its source
files and its checksums match; otherwise it is made again. A process killed while writing leaves an
unused folder ``.making-*``.
"""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from mimamba.drivers.driver import StreamInfo
from mimamba.models.datasets.dataset import Dataset, Trial
from mimamba.models.signal.electrode import Electrode

FORMAT = 1
"""Version of the cache; increase it when its content or the reading of data sets changes."""
DATA, INDEX = "data.npy", "index.json"
logger = logging.getLogger(__name__)

FileStamp = tuple[str, int, int]
"""Path of a source file, its size in bytes and its modification time in ns."""


class DatasetSource(Protocol):
    """Source of a data set: its files, and the way to read them.

    The ``repr`` must contain the kind, root and options: it is the key of the cache entry.
    """

    @property
    def name(self) -> str:
        """Name of the data set."""

    def channels(self) -> tuple[str, ...]:
        """Return the names of all EEG channels; raises DatasetError if the data set is missing."""

    def files(self) -> list[Path]:
        """List the files of the data set; raises DatasetError if it is missing."""

    def read(self, montage: Sequence[str]) -> Dataset:
        """Read the data set, reduced to the channels for these electrodes."""


class TrialEntry(msgspec.Struct, frozen=True):
    """Trial in the index; ``runs`` are its parts without gaps: first position, sample count."""

    person: str
    name: str
    labels: tuple[int, ...]
    runs: tuple[tuple[int, int], ...]

    @property
    def n_times(self) -> int:
        return sum(count for _, count in self.runs)


class CacheIndex(msgspec.Struct, frozen=True):
    """Content of ``data.npy``; the first ``n_trials`` entries are trials, the others only rest."""

    format: int
    stamps: tuple[FileStamp, ...]
    checksum: int
    name: str
    source: str
    info: StreamInfo
    montage: tuple[Electrode, ...]
    outputs: dict[str, tuple[str, ...]]
    entries: tuple[TrialEntry, ...]
    n_trials: int
    rest: dict[str, int]


class ChecksummedCacheIndex(msgspec.Struct, frozen=True):
    """Index with the checksum of its text."""

    checksum: int
    index: msgspec.Raw


def read_cached(
    source: DatasetSource, montage: Sequence[str], folder: Path | None = None
) -> Dataset:
    """Return a data set from the cache, or read its files and add it to the cache.

    Parameters
    ----------
    source
        Files of the data set.
    montage
        Names of the electrodes.
    folder
        Folder of the cache; None for the user's cache folder.

    Raises
    ------
    DatasetError, MontageError
        If the data set cannot be read.
    """
    folder = folder or user_cache_path("mimamba") / "datasets"
    stamps = tuple(map(_stamp, source.files()))
    entry = folder / _key(source, montage)
    kept = _load(entry, stamps)
    if kept is not None:
        return kept
    dataset = source.read(montage)
    try:
        _keep(entry, dataset, stamps)
    except OSError as error:
        logger.warning("Could not cache %s in %s: %s", dataset.name, folder, error)
        return dataset
    return _load(entry, stamps) or dataset


def _stamp(path: Path) -> FileStamp:
    facts = path.stat()
    return str(path), facts.st_size, facts.st_mtime_ns


def _key(source: DatasetSource, montage: Sequence[str]) -> str:
    """Return the entry's name; the source's repr contains its kind, root and options."""
    text = repr((source, list(montage)))
    return f"{source.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _load(entry: Path, stamps: Sequence[FileStamp]) -> Dataset | None:
    """Load an entry, or return None if it is missing, outdated or damaged."""
    try:
        sealed = msgspec.json.decode((entry / INDEX).read_bytes(), type=ChecksummedCacheIndex)
        if zlib.crc32(bytes(sealed.index)) != sealed.checksum:
            return None
        index = msgspec.json.decode(sealed.index, type=CacheIndex)
        data = np.load(entry / DATA, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError, msgspec.MsgspecError):
        return None
    shape = (sum(each.n_times for each in index.entries), index.info.n_channels)
    if (index.format, index.stamps) != (FORMAT, tuple(stamps)):
        return None
    if (data.shape, data.dtype) != (shape, np.float32) or zlib.crc32(data) != index.checksum:
        return None
    return _dataset(index, data)


def _dataset(index: CacheIndex, data: NDArray[np.float32]) -> Dataset:
    stops = np.cumsum([entry.n_times for entry in index.entries]).tolist()
    every = [
        Trial(
            entry.person,
            entry.name,
            data[stop - entry.n_times : stop],
            np.concatenate([np.arange(first, first + count) for first, count in entry.runs]),
            entry.labels,
        )
        for entry, stop in zip(index.entries, stops, strict=True)
    ]
    return Dataset(
        index.name,
        index.source,
        index.info,
        index.montage,
        index.outputs,
        tuple(every[: index.n_trials]),
        {person: every[place] for person, place in index.rest.items()},
    )


def _keep(entry: Path, dataset: Dataset, stamps: tuple[FileStamp, ...]) -> None:
    """Write an entry atomically, replacing an existing one."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
        dir=entry.parent, prefix=".making-", ignore_cleanup_errors=True
    ) as making:
        new = Path(making) / "new"
        new.mkdir(mode=0o700)  # EEG is personal data
        _write(new, dataset, stamps)
        if entry.exists():
            entry.rename(Path(making) / "old")
        new.rename(entry)


def _write(folder: Path, dataset: Dataset, stamps: tuple[FileStamp, ...]) -> None:
    every = list({id(t): t for t in (*dataset.trials, *dataset.rest.values())}.values())
    places = {id(trial): place for place, trial in enumerate(every)}
    index = CacheIndex(
        FORMAT,
        stamps,
        _write_data(folder / DATA, every, dataset.info.n_channels),
        dataset.name,
        dataset.source,
        dataset.info,
        dataset.montage,
        dataset.outputs,
        tuple(TrialEntry(t.person, t.name, t.labels, _runs(t.index)) for t in every),
        len(dataset.trials),
        {person: places[id(trial)] for person, trial in dataset.rest.items()},
    )
    text = msgspec.json.encode(index)
    sealed = ChecksummedCacheIndex(zlib.crc32(text), msgspec.Raw(text))
    (folder / INDEX).write_bytes(msgspec.json.encode(sealed))


def _write_data(path: Path, trials: Sequence[Trial], n_channels: int) -> int:
    """Write the samples of all trials and return their checksum."""
    shape = (sum(trial.n_times for trial in trials), n_channels)
    checksum = 0
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        for trial in trials:
            samples = np.ascontiguousarray(trial.data, "<f4").data
            checksum = zlib.crc32(samples, checksum)
            file.write(samples)
    return checksum


def _runs(index: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    borders = [0, *(np.flatnonzero(np.diff(index) != 1) + 1).tolist(), len(index)]
    return tuple((int(index[start]), stop - start) for start, stop in pairwise(borders))
