"""What a data set is: people, their trials, and a label per trial and output."""

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
from mimamba.models.signal.montage import Electrode


class DatasetError(Mismatch):
    """A data set is absent, damaged, or does not hold what was asked for; one clear line."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One stretch with one label per output: a stimulus, a recording, or an event's span.

    Parameters
    ----------
    person
        Who, as in ``s01`` or ``sub-01``.
    name
        Unique within the person, as in ``trial-07`` or ``task-rest_run-1``.
    data
        (n_times, n_channels) float32, µV, finite, channels in montage order; may be a read-only
        memory map.
    index
        (n_times,) each sample's position from 0, lost samples counted: a jump is a gap.
    labels
        One label index per output; empty for rest that is no trial.
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
        """Views of up to ``n_times`` samples that never span a gap.

        Their timestamps are the samples' positions over ``sfreq``, Hz: ``Dataset.info`` has it.
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
    """A trial without gaps of samples (n_times, n_channels), µV, from a file.

    Raises
    ------
    DatasetError
        If there are none, or one of them is no number.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        data = np.ascontiguousarray(samples, np.float32)
    if not len(data) or not np.isfinite(data).all():
        found = "one that is no number" if len(data) else "none"
        raise damaged_file(path, "samples that are numbers", f"{found} in {name} of {person}")
    return Trial(person, name, data, np.arange(len(data)), labels)


def make_info(
    name: str, root: Path, sfreq: float, met: Sequence[Electrode]
) -> tuple[StreamInfo, tuple[Electrode, ...]]:
    """A set's facts, and its montage, once only the channels that were met are left, in order."""
    ch_names = tuple(electrode.channel for electrode in met)
    montage = tuple(replace(electrode, row=row) for row, electrode in enumerate(met))
    return StreamInfo(name, str(root), sfreq, ch_names, live=False), montage


def damaged_file(path: Path, wanted: str, found: str) -> DatasetError:
    """The error for a file that is not as its data set's description says."""
    remedy = "copy the file anew from the data set"
    return DatasetError(f"{wanted} in {path}", one_line(found), remedy)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The trials of several people, with the same channels, rate and outputs.

    Parameters
    ----------
    name
        As in ``deap`` or ``arith``.
    source
        In words, for a model's card: what, by whom, and the licence as the data set states it.
    info
        The facts of every trial's samples. ``ch_names`` are in montage order, as the data set calls
        them.
    montage
        The electrodes that were wanted, in order. ``row`` is the column of ``Trial.data``.
    outputs
        The labels' names by output.
    trials
        Those of one person stand together.
    rest
        By person, a stretch of rest without a label, where the set has one. May be one of
        ``trials``, the same object: its first minute then serves as the baseline, and is not
        judged.
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
        """Everybody who has a trial, in the trials' order."""
        return tuple(dict.fromkeys(trial.person for trial in self.trials))

    def relabelled(self, labels: Sequence[tuple[int, ...]]) -> Dataset:
        """The same trials with these labels, one tuple per trial; rest that is a trial stays it."""
        made = {
            id(trial): replace(trial, labels=new)
            for trial, new in zip(self.trials, labels, strict=True)
        }
        rest = {person: made.get(id(trial), trial) for person, trial in self.rest.items()}
        return replace(self, trials=tuple(made[id(trial)] for trial in self.trials), rest=rest)
