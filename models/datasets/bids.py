"""Any BIDS-EEG data set: its files by mne-bids, its signals by the project's own readers.

A label comes from the task, from ``trial_type`` in ``events.tsv``, or from a column of
``participants.tsv`` or ``scans.tsv``. A label of ``n/a`` is none, and makes no trial.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.errors import DriverError, LibraryMissing
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.models.datasets.bids_tables import (
    LabelledSpan,
    describe_dataset,
    labelled_spans,
    labels_of_people,
    labels_of_scans,
)
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial, make_info
from mimamba.models.signal.montage import Electrode, MontageError, meet_montage

EXTENSIONS = [".edf", ".bdf", ".vhdr", ".fif", ".set"]
"""Of a recording's first file."""


@dataclass(frozen=True)
class BidsOptions:
    """How labels are taken from a BIDS data set.

    Parameters
    ----------
    label
        ``task``, ``trial_type``, ``participants:COLUMN`` or ``scans:COLUMN``.
    rest
        The task that is a person's rest: their first recording of it.
    tasks
        Those whose recordings make trials; all where there are none.
    classes
        The labels that make trials; all where there are none.
    seconds
        How long an event lasts. Without it, its duration, or where that is 0 or ``n/a``, until the
        next event.
    """

    label: str = "task"
    rest: str | None = None
    tasks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    seconds: float | None = None

    def __post_init__(self) -> None:
        table, _, column = self.label.partition(":")
        known = self.label in {"task", "trial_type"}
        if not known and not (table in {"participants", "scans"} and column):
            raise DatasetError(
                "a label from task, trial_type, participants:COLUMN or scans:COLUMN",
                self.label or "nothing",
                "choose one of them",
            )
        if self.seconds is not None and not (self.label == "trial_type" and self.seconds > 0):
            raise DatasetError(
                "seconds over 0, of events", f"{self.seconds:g}, {self.label}", "take seconds out"
            )

    @property
    def output(self) -> str:
        """What the output is called where nobody says."""
        return self.label.rpartition(":")[2]


@dataclass(frozen=True)
class BidsRecording:
    """A recording's file, and what its name says."""

    path: Path
    person: str
    name: str
    task: str


@dataclass(frozen=True, eq=False)
class MontageRecording:
    """A recording's facts, and its channels that stand for the montage."""

    found: BidsRecording
    recording: Recording
    met: tuple[Electrode, ...]
    whole: Trial

    def trial(self, span: LabelledSpan) -> Trial:
        """An event's span; it may be empty."""
        index = self.whole.index
        rows = slice(*np.searchsorted(index, (span.start, span.stop)).tolist())
        return replace(
            self.whole,
            name=f"{self.found.name}_event-{span.number:03d}",
            data=self.whole.data[rows],
            index=index[rows] - span.start,
        )


@dataclass(frozen=True)
class Bids:
    """A BIDS data set's folder."""

    root: Path
    options: BidsOptions = field(default_factory=BidsOptions)

    @property
    def name(self) -> str:
        return self.root.resolve().name

    def files(self) -> list[Path]:
        """People's files and the whole set's tables; raises DatasetError if it has no recording."""
        _recordings(self.root)
        tables = (*self.root.glob("*.tsv"), *self.root.glob("*.json"))
        below = (path for person in self.root.glob("sub-*") for path in person.rglob("*"))
        return sorted(path for path in (*tables, *below) if path.is_file())

    def read(self, montage: Sequence[str]) -> Dataset:
        """The trials and rest that the options name; raises DatasetError."""
        recordings = self._chosen()
        labels = self._labels(recordings)
        taken = [_take(found, montage) for found in recordings]
        for other in taken[1:]:
            _check_same(taken[0], other)
        labelled = [pair for one in taken for pair in self._trials(one, labels)]
        classes = self._classes({label for _, label in labelled})
        made = {
            id(trial): replace(trial, labels=(classes.index(label),))
            for trial, label in labelled
            if label in classes
        }
        resting = [one for one in taken if one.found.task == self.options.rest]
        first = {one.found.person: one.whole for one in reversed(resting)}
        info, montage_met = self._facts(taken)
        return Dataset(
            self.name,
            describe_dataset(self.root),
            info,
            montage_met,
            {self.options.output: classes},
            tuple(made.values()),
            {person: made.get(id(trial), trial) for person, trial in first.items()},
        )

    def _chosen(self) -> list[BidsRecording]:
        """The recordings of the tasks asked for, and of rest."""
        every = _recordings(self.root)
        there = sorted({found.task for found in every})
        rest = self.options.rest
        for task in (*self.options.tasks, *((rest,) if rest is not None else ())):
            if task not in there:
                raise DatasetError(f"the task {task}", ", ".join(there), "choose among these")
        return [found for found in every if self._makes_trials(found) or found.task == rest]

    def _makes_trials(self, found: BidsRecording) -> bool:
        return not self.options.tasks or found.task in self.options.tasks

    def _labels(self, recordings: Sequence[BidsRecording]) -> dict[Path, str]:
        """Of whole recordings, where they have one."""
        table, _, column = self.options.label.partition(":")
        if table == "task":
            return {found.path: found.task for found in recordings}
        if table == "participants":
            people = labels_of_people(self.root, column)
            return {f.path: people[f.person] for f in recordings if f.person in people}
        return labels_of_scans(self.root, column) if table == "scans" else {}

    def _trials(
        self, taken: MontageRecording, labels: dict[Path, str]
    ) -> Iterator[tuple[Trial, str]]:
        """Each with its label in words."""
        if not self._makes_trials(taken.found):
            return
        if self.options.label == "trial_type":
            for span in labelled_spans(taken.found.path, taken.recording, self.options.seconds):
                trial = taken.trial(span)
                if trial.n_times:
                    yield trial, span.label
        elif taken.found.path in labels:
            yield taken.whole, labels[taken.found.path]

    def _classes(self, there: set[str]) -> tuple[str, ...]:
        """The labels that make trials, sorted."""
        for label in self.options.classes:
            if label not in there:
                raise DatasetError(
                    f"the label {label}", ", ".join(sorted(there)) or "none", "choose among these"
                )
        return tuple(sorted(set(self.options.classes) or there))

    def _facts(self, taken: Sequence[MontageRecording]) -> tuple[StreamInfo, tuple[Electrode, ...]]:
        """Of the whole set, as its recordings tell them."""
        infos = [one.recording.info for one in taken]
        info, montage = make_info(self.name, self.root, infos[0].sfreq, taken[0].met)
        bits, ranges = {one.uv_per_bit for one in infos}, {one.range_uv for one in infos}
        info = replace(
            info,
            uv_per_bit=bits.pop() if len(bits) == 1 else None,
            range_uv=ranges.pop() if len(ranges) == 1 else None,
            simulated=any(one.simulated for one in infos),
            notices=tuple(dict.fromkeys(notice for one in infos for notice in one.notices)),
        )
        return info, montage


def _recordings(root: Path) -> list[BidsRecording]:
    """By person, session, task and run; raises DatasetError if there is none."""
    try:
        from mne_bids import find_matching_paths
    except ImportError as error:
        raise LibraryMissing(
            "mne-bids, which finds the files of BIDS",
            f"not installed ({error.name})",
            "install it: pip install 'mimamba[files]'",
        ) from error
    choice = {"datatypes": "eeg", "suffixes": "eeg", "extensions": EXTENSIONS}
    found = [
        BidsRecording(path.fpath, f"sub-{path.subject}", _name(path.fpath), path.task)
        for path in (find_matching_paths(root, **choice) if root.is_dir() else ())
        if path.fpath.relative_to(root).parts[0].startswith("sub-")  # else a derivative
    ]
    if not found:
        raise DatasetError(
            "recordings such as sub-01/eeg/sub-01_task-rest_eeg.edf",
            f"none in {root}",
            "correct the root: the folder with dataset_description.json",
        )
    found.sort(key=lambda one: _natural(one.path.as_posix()))
    for one, other in pairwise(found):
        if (one.person, one.name) == (other.person, other.name):
            raise DatasetError(
                "one file per recording", f"{one.path} and {other.path.name}", "keep one of them"
            )
    return found


def _name(path: Path) -> str:
    """What a file's name says beside the person, as in ``ses-01_task-rest_run-1``."""
    return path.name.partition("_")[2].rpartition("_eeg.")[0]


def _natural(text: str) -> tuple[int | str, ...]:
    """A key by which run-2 comes before run-10."""
    parts = re.split(r"(\d+)", text)  # every second one is a number
    return tuple(int(part) if n % 2 else part for n, part in enumerate(parts))


def _take(found: BidsRecording, montage: Sequence[str]) -> MontageRecording:
    """Read a recording; raises DatasetError, which names the file."""
    try:
        recording = read_recording(found.path)
        met = tuple(meet_montage(montage, recording.info.ch_names))
    except (DriverError, MontageError) as error:
        here = "" if str(found.path) in str(error) else f" in {found.path}"
        raise DatasetError(error.expected, f"{error.found}{here}", error.remedy) from error
    data = np.ascontiguousarray(recording.data[:, [electrode.row for electrode in met]])
    whole = Trial(found.person, found.name, data, recording.index, ())
    return MontageRecording(found, replace(recording, data=data), met, whole)


def _check_same(first: MontageRecording, other: MontageRecording) -> None:
    """Raises DatasetError if two recordings differ in their rate or chosen channels."""
    one, two = (
        f"{', '.join(e.channel for e in taken.met)} at {taken.recording.info.sfreq:g} Hz"
        for taken in (first, other)
    )
    if one != two:
        raise DatasetError(
            f"the same channels and rate in every recording: {one} in {first.found.path}",
            f"{two} in {other.found.path}",
            "choose another montage, or tasks that agree",
        )
