"""Data set of several people: trials, with a label for each output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import one_line
from mimamba.models.signal.electrode import Electrode


class DatasetError(Mismatch):
    """Data set that is missing, damaged, or does not contain what was asked for."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Part of a recording with one label per output: a stimulus, a whole recording, or an event.

    Parameters
    ----------
    person
        Identifier of the person, such as ``s01`` or ``sub-01``.
    name
        Name that is unique within the person, such as ``trial-07`` or ``task-rest_run-1``.
    data
        (n_times, n_channels) float32, µV, finite, channels in montage order; may be a read-only
        memory map.
    index
        (n_times,) position of each sample, including lost samples: a jump is a gap.
    labels
        One label index per output; empty for rest that is not a trial.
    """

    person: str
    name: str
    data: NDArray[np.float32]
    index: NDArray[np.int64]
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.data.ndim != 2 or self.index.shape != self.data.shape[:1]:
            raise ValueError(
                f"Expected data (n_times, n_channels) and an index (n_times,), but "
                f"found {self.data.shape} and {self.index.shape}."
            )

    @property
    def n_times(self) -> int:
        return int(self.data.shape[0])

    def chunks(self, n_times: int, sfreq: float) -> Iterator[Chunk]:
        """Yield views of up to ``n_times`` samples that never span a gap.

        Timestamps are positions divided by ``sfreq`` in Hz, which is in ``Dataset.info``.
        """
        borders = [0, *(np.flatnonzero(np.diff(self.index) != 1) + 1).tolist(), self.n_times]
        for start, stop in pairwise(borders):
            for first in range(start, stop, n_times):
                rows = slice(first, min(first + n_times, stop))
                stamps = self.index[rows] / sfreq
                yield Chunk(self.data[rows], stamps, int(self.index[first]))


def continuous_trial(
    path: Path, person: str, name: str, samples: NDArray[np.floating], labels: tuple[int, ...]
) -> Trial:
    """Make a trial without gaps from a file's samples (n_times, n_channels) in µV.

    Raises
    ------
    DatasetError
        If there are no samples, or one of them is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        data = np.ascontiguousarray(samples, np.float32)
    if not len(data) or not np.isfinite(data).all():
        found = "one that is not a number" if len(data) else "no samples"
        raise damaged_file(path, "samples that are numbers", f"{found} in {name} of {person}")
    return Trial(person, name, data, np.arange(len(data)), labels)


def make_info(
    name: str, root: Path, sfreq: float, met: Sequence[Electrode]
) -> tuple[StreamInfo, tuple[Electrode, ...]]:
    """Return the stream info and the montage of a data set reduced to the montage's channels."""
    ch_names = tuple(electrode.channel for electrode in met)
    montage = tuple(replace(electrode, row=row) for row, electrode in enumerate(met))
    return StreamInfo(name, str(root), sfreq, ch_names, live=False), montage


def damaged_file(path: Path, wanted: str, found: str) -> DatasetError:
    """Make the error for a file that does not match its data set's description."""
    remedy = "copy the file again from the data set"
    return DatasetError(f"{wanted} in {path}", one_line(found), remedy)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The trials of several people, with the same channels, rate and outputs.

    Parameters
    ----------
    name
        Name, such as ``deap`` or ``arith``.
    source
        Title, authors and stated licence, for the model card.
    info
        Stream info of every trial. ``ch_names`` are in montage order, as named in the data set.
    montage
        The requested electrodes, in order. ``row`` is the column of ``Trial.data``.
    outputs
        Names of the labels by output.
    trials
        The trials, grouped by person.
    rest
        Rest by person, if the data set has any. It may be one of ``trials`` (the same object): the
        part used as the baseline is then left out of training and evaluation.
    """

    name: str
    source: str
    info: StreamInfo
    montage: tuple[Electrode, ...]
    outputs: dict[str, tuple[str, ...]]
    trials: tuple[Trial, ...]
    rest: Mapping[str, Trial]

    @property
    def people(self) -> tuple[str, ...]:
        """Everyone who has a trial, in the order of the trials."""
        return tuple(dict.fromkeys(trial.person for trial in self.trials))

    def relabelled(self, labels: Sequence[tuple[int, ...]]) -> Dataset:
        """Return the same trials with other labels, one tuple per trial."""
        made = {
            id(trial): replace(trial, labels=new)
            for trial, new in zip(self.trials, labels, strict=True)
        }
        rest = {person: made.get(id(trial), trial) for person, trial in self.rest.items()}
        return replace(self, trials=tuple(made[id(trial)] for trial in self.trials), rest=rest)
