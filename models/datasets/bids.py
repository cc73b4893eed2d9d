"""Any EEG data set in BIDS: mne-bids finds the files, mimamba's own readers read the signals.

Labels come from the task, from ``trial_type`` or ``value`` in ``events.tsv``, or from a column of
``participants.tsv`` or ``scans.tsv``. The label ``n/a`` makes no trial. Source: the BIDS
specification, https://bids-specification.readthedocs.io, and Pernet et al., "EEG-BIDS", 2019.
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
    EVENT_COLUMNS,
    LabelledSpan,
    check_labels,
    describe_dataset,
    labelled_spans,
    labels_of_people,
    labels_of_scans,
)
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial, make_info
from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.montage import MontageError, match_montage

EXTENSIONS = [".edf", ".bdf", ".vhdr", ".fif", ".set"]
"""File name extensions of recordings; for formats with several files, of the first one."""


@dataclass(frozen=True)
class BidsOptions:
    """Labels and tasks to use from a BIDS data set.

    Parameters
    ----------
    label
        ``task``, ``trial_type``, ``value``, ``participants:COLUMN`` or ``scans:COLUMN``.
    rest
        Task whose first recording is a person's rest.
    tasks
        Tasks whose recordings make trials; empty for all.
    classes
        Labels that make trials; empty for all.
    seconds
        Length of each event's trial, s. None for the event's duration or, if that is 0 or ``n/a``,
        up to the next event.
    """

    label: str = "task"
    rest: str | None = None
    tasks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    seconds: float | None = None

    def __post_init__(self) -> None:
        table, _, column = self.label.partition(":")
        known = self.label == "task" or self.label in EVENT_COLUMNS
        if not known and not (table in {"participants", "scans"} and column):
            raise DatasetError(
                "a label from task, trial_type, value, participants:COLUMN or scans:COLUMN",
                self.label or "nothing",
                "choose one of them",
            )
        if self.seconds is not None and not (self.label in EVENT_COLUMNS and self.seconds > 0):
            raise DatasetError(
                "seconds above 0, with the label trial_type or value",
                f"{self.seconds:g} with {self.label}",
                "leave out --seconds",
            )

    @property
    def output(self) -> str:
        """Default name of the output."""
        return self.label.rpartition(":")[2]


@dataclass(frozen=True)
class BidsRecording:
    """File of a recording, with the entities of its name."""

    path: Path
    person: str
    name: str
    task: str


@dataclass(frozen=True, eq=False)
class MontageRecording:
    """Recording reduced to the montage's channels."""

    found: BidsRecording
    recording: Recording
    met: tuple[Electrode, ...]
    whole: Trial

    def trial(self, span: LabelledSpan) -> Trial:
        """Return the trial of an event's span, which may be empty."""
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
    """Data set in a BIDS folder."""

    root: Path
    options: BidsOptions = field(default_factory=BidsOptions)

    @property
    def name(self) -> str:
        return self.root.resolve().name

    def files(self) -> list[Path]:
        """List all files of people, and the tables; raises DatasetError without recordings."""
        find_recordings(self.root)
        tables = (*self.root.glob("*.tsv"), *self.root.glob("*.json"))
        below = (path for person in self.root.glob("sub-*") for path in person.rglob("*"))
        return sorted(path for path in (*tables, *below) if path.is_file())

    def channels(self) -> tuple[str, ...]:
        """Return the EEG channels of the first recording; raises DatasetError."""
        first = self._chosen()[0]
        try:
            return read_recording(first.path).info.ch_names
        except DriverError as error:
            raise DatasetError(error.expected, error.found, error.remedy) from error

    def read(self, montage: Sequence[str]) -> Dataset:
        """Read the trials and rest that the options name; raises DatasetError."""
        recordings = self._chosen()
        labels = self._labels(recordings)
        taken = [_take(found, montage) for found in recordings]
        for other in taken[1:]:
            _check_same(taken[0], other)
        labelled = [pair for one in taken for pair in self._trials(one, labels)]
        if not labelled and self.options.label in EVENT_COLUMNS:
            check_labels([found.path for found in recordings], self.options.label)
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
        """Return the recordings of the chosen tasks and of rest."""
        every = find_recordings(self.root)
        there = sorted({found.task for found in every})
        rest = self.options.rest
        for task in (*self.options.tasks, *((rest,) if rest is not None else ())):
            if task not in there:
                raise DatasetError(f"the task {task}", ", ".join(there), "choose from these")
        return [found for found in every if self._makes_trials(found) or found.task == rest]

    def _makes_trials(self, found: BidsRecording) -> bool:
        return not self.options.tasks or found.task in self.options.tasks

    def _labels(self, recordings: Sequence[BidsRecording]) -> dict[Path, str]:
        """Return the labels of whole recordings, by path."""
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
        """Yield each trial of a recording with the name of its label."""
        if not self._makes_trials(taken.found):
            return
        label = self.options.label
        if label in EVENT_COLUMNS:
            path, seconds = taken.found.path, self.options.seconds
            for span in labelled_spans(path, taken.recording, label, seconds):
                trial = taken.trial(span)
                if trial.n_times:
                    yield trial, span.label
        elif taken.found.path in labels:
            yield taken.whole, labels[taken.found.path]

    def _classes(self, there: set[str]) -> tuple[str, ...]:
        """Return the labels that make trials, sorted."""
        for label in self.options.classes:
            if label not in there:
                raise DatasetError(
                    f"the label {label}", ", ".join(sorted(there)) or "none", "choose from these"
                )
        return tuple(sorted(set(self.options.classes) or there))

    def _facts(self, taken: Sequence[MontageRecording]) -> tuple[StreamInfo, tuple[Electrode, ...]]:
        """Combine the stream info of all recordings; return it with the montage."""
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


def find_recordings(root: Path) -> list[BidsRecording]:
    """Find the recordings by person, session, task and run; raises DatasetError without any."""
    try:
        from mne_bids import find_matching_paths
    except ImportError as error:
        raise LibraryMissing(
            "mne-bids, which finds the files of BIDS",
            f"not installed ({error.name})",
            "install it: pip install mne-bids",
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
            "set --root to the folder with dataset_description.json",
        )
    found.sort(key=lambda one: _natural(one.path.as_posix()))
    for one, other in pairwise(found):
        if (one.person, one.name) == (other.person, other.name):
            raise DatasetError(
                "one file per recording", f"{one.path} and {other.path.name}", "keep one of them"
            )
    return found


def _name(path: Path) -> str:
    """Return the entities of a file name after the person, such as ``ses-01_task-rest_run-1``."""
    return path.name.partition("_")[2].rpartition("_eeg.")[0]


def _natural(text: str) -> tuple[int | str, ...]:
    """Return a sort key that puts run-2 before run-10."""
    parts = re.split(r"(\d+)", text)  # every second part is a number
    return tuple(int(part) if n % 2 else part for n, part in enumerate(parts))


def _take(found: BidsRecording, montage: Sequence[str]) -> MontageRecording:
    """Read a recording; raises DatasetError with the file's name."""
    try:
        recording = read_recording(found.path)
        met = tuple(match_montage(montage, recording.info.ch_names))
    except (DriverError, MontageError) as error:
        here = "" if str(found.path) in str(error) else f" in {found.path}"
        raise DatasetError(error.expected, f"{error.found}{here}", error.remedy) from error
    data = np.ascontiguousarray(recording.data[:, [electrode.row for electrode in met]])
    whole = Trial(found.person, found.name, data, recording.index, ())
    return MontageRecording(found, replace(recording, data=data), met, whole)


def _check_same(first: MontageRecording, other: MontageRecording) -> None:
    """Raise DatasetError if two recordings differ in their sampling rate or chosen channels."""
    one, two = (
        f"{', '.join(e.channel for e in taken.met)} at {taken.recording.info.sfreq:g} Hz"
        for taken in (first, other)
    )
    if one != two:
        raise DatasetError(
            f"the same channels and rate in every recording: {one} in {first.found.path}",
            f"{two} in {other.found.path}",
            "choose another montage, or only tasks with the same channels and rate",
        )
