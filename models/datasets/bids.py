"""Any EEG data set in BIDS: mne-bids finds the files, mimamba's own readers read the signals.

Labels come from the task, or from columns of tables (``bids_labels``), one for each output. The
label ``n/a`` makes no trial. Recordings may have different channels and rates: the montage's
electrodes are what must be there, and all are resampled to the lowest rate. Source: the BIDS
specification, https://bids-specification.readthedocs.io, and Pernet et al., "EEG-BIDS", 2019.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.errors import DriverError, LibraryMissing
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.models.datasets.bids_labels import (
    ENTITIES,
    EVENT_COLUMNS,
    EVENT_NUMBER,
    LabelSource,
    OwnTable,
    entity_cells,
    parse_sources,
    rate_labels,
    read_table,
)
from mimamba.models.datasets.bids_tables import (
    EventRow,
    LabelledSpan,
    Labels,
    check_event_column,
    check_labels,
    describe_dataset,
    event_columns,
    labelled_spans,
    labels_of_people,
    labels_of_scans,
    read_events,
)
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial, make_info
from mimamba.models.datasets.resampling import resample_place, resample_trial
from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.montage import MontageError, match_montage

EXTENSIONS = [".edf", ".bdf", ".vhdr", ".fif", ".set"]
"""File name extensions of recordings; for formats with several files, of the first one."""
OTHER = "choose electrodes with --montage, or only tasks with the same channels"


@dataclass(frozen=True)
class BidsOptions:
    """Labels and tasks to use from a BIDS data set.

    Parameters
    ----------
    label
        Sources of the labels as in ``bids_labels``, separated by commas: one for each output.
    rest
        Task whose first recording is a person's rest.
    tasks
        Tasks whose recordings make trials; empty for all.
    classes
        Labels that make trials; empty for all.
    seconds
        Length of each event's trial, s. None for the event's duration or, if that is 0 or ``n/a``,
        up to the next event.
    threshold
        Labels that are numbers are high above it; None leaves them as they are.
    """

    label: str = "task"
    rest: str | None = None
    tasks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    seconds: float | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        kinds = {source.kind for source in self.sources}
        if self.seconds is not None and not (kinds & {"events", "table"} and self.seconds > 0):
            raise DatasetError(
                "seconds above 0, with labels of events",
                f"{self.seconds:g} with {self.label}",
                "leave out --seconds",
            )
        if self.classes and len(self.sources) > 1:
            raise DatasetError(
                "classes of one output", f"{len(self.sources)} outputs", "leave out --classes"
            )

    @property
    def sources(self) -> tuple[LabelSource, ...]:
        """Source of each output's labels."""
        return parse_sources(self.label)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Default names of the outputs."""
        return tuple(source.column for source in self.sources)


@dataclass(frozen=True)
class BidsRecording:
    """File of a recording, with the entities of its name."""

    path: Path
    person: str
    name: str
    task: str


LabelFunction: TypeAlias = Callable[[BidsRecording, EventRow | None], str | None]
"""Gives the label of a recording, or of an event in it; None if there is none."""


@dataclass(frozen=True, eq=False)
class MontageRecording:
    """Recording reduced to the montage's channels, with the whole of it at ``sfreq``, Hz."""

    found: BidsRecording
    recording: Recording
    met: tuple[Electrode, ...]
    whole: Trial
    sfreq: float

    def resampled(self, sfreq: float) -> MontageRecording:
        """Return the same at another rate, Hz."""
        if sfreq == self.sfreq:
            return self
        return replace(self, whole=resample_trial(self.whole, self.sfreq, sfreq), sfreq=sfreq)

    def trial(self, span: LabelledSpan) -> Trial:
        """Return the trial of an event's span, which may be empty."""
        index, own = self.whole.index, self.recording.info.sfreq
        start, stop = (resample_place(at, own, self.sfreq) for at in (span.start, span.stop))
        rows = slice(*np.searchsorted(index, (start, stop)).tolist())
        return replace(
            self.whole,
            name=f"{self.found.name}_event-{span.number:03d}",
            data=self.whole.data[rows],
            index=index[rows] - start,
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
        own = (self.root / str(each.file) for each in self.options.sources if each.file)
        tables = {*self.root.glob("*.tsv"), *self.root.glob("*.json"), *own}
        below = (path for person in self.root.glob("sub-*") for path in person.rglob("*"))
        return sorted(path for path in (*tables, *below) if path.is_file())

    def channels(self) -> tuple[str, ...]:
        """Return the EEG channels that all chosen recordings have; raises DatasetError."""
        chosen = self._chosen()
        common: tuple[str, ...] = ()
        for found in chosen:
            try:
                there = read_recording(found.path).info.ch_names
            except DriverError as error:
                raise DatasetError(error.expected, error.found, error.remedy) from error
            common = tuple(each for each in common or there if each in there)
            if not common:
                raise DatasetError(
                    "channels that all recordings have", f"none of them in {found.path}", OTHER
                )
        return common

    def read(self, montage: Sequence[str]) -> Dataset:
        """Read the trials and rest that the options name; raises DatasetError."""
        recordings = self._chosen()
        tables = {
            source: read_table(self.root, source)
            for source in self.options.sources
            if source.kind == "table"
        }
        label_of = [
            self._label_function(source, recordings, tables) for source in self.options.sources
        ]
        read = [_take(found, montage) for found in recordings]
        lowest = min(each.sfreq for each in read)
        taken = [each.resampled(lowest) for each in read]
        labelled = [pair for one in taken for pair in self._trials(one, label_of, tables)]
        if not labelled and self.options.label in EVENT_COLUMNS:
            check_labels([found.path for found in recordings], self.options.label)
        rated, classes = rate_labels(
            [labels for _, labels in labelled], self.options.outputs, self.options.threshold
        )
        classes |= self._chosen_classes(classes)
        made = {
            id(trial): replace(trial, labels=places)
            for (trial, _), labels in zip(labelled, rated, strict=True)
            if (places := _places(labels, classes)) is not None
        }
        resting = [one for one in taken if one.found.task == self.options.rest]
        first = {one.found.person: one.whole for one in reversed(resting)}
        info, montage_met = self._facts(taken)
        return Dataset(
            self.name,
            describe_dataset(self.root),
            info,
            montage_met,
            classes,
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

    def _label_function(
        self,
        source: LabelSource,
        recordings: Sequence[BidsRecording],
        tables: Mapping[LabelSource, OwnTable],
    ) -> LabelFunction:
        if source.kind == "task":
            return lambda found, _: found.task
        if source.kind == "participants":
            people = labels_of_people(self.root, source.column)
            return lambda found, _: people.get(found.person)
        if source.kind == "scans":
            scans = labels_of_scans(self.root, source.column)
            return lambda found, _: scans.get(found.path)
        if source.kind == "events":
            for found in recordings:
                if self._makes_trials(found):
                    check_event_column(found.path, source.column)
            return lambda _, event: event.cells.get(source.column) if event else None
        table = tables[source]

        def label(found: BidsRecording, event: EventRow | None) -> str | None:
            cells = entity_cells(f"{found.person}_{found.name}")
            if event is None:
                return table.label(cells)
            number = {EVENT_NUMBER: str(event.number)}
            return table.label({**event.cells, **cells, **number}, event.cells)

        return label

    def _trials(
        self,
        taken: MontageRecording,
        label_of: Sequence[LabelFunction],
        tables: Mapping[LabelSource, OwnTable],
    ) -> Iterator[tuple[Trial, Labels]]:
        """Yield each trial of a recording with the names of its labels."""
        if not self._makes_trials(taken.found):
            return
        if not self._has_labelled_events(taken.found, tables.values()):
            labels = _all_known([label(taken.found, None) for label in label_of])
            if labels is not None:
                yield taken.whole, labels
            return
        pairs = [
            (event, labels)
            for event in read_events(taken.found.path)
            if (labels := _all_known([label(taken.found, event) for label in label_of]))
        ]
        for span in labelled_spans(taken.recording, pairs, self.options.seconds):
            trial = taken.trial(span)
            if trial.n_times:
                yield trial, span.labels

    def _has_labelled_events(self, found: BidsRecording, tables: Collection[OwnTable]) -> bool:
        """Return whether events, not the whole recording, are the trials."""
        if any(source.kind == "events" for source in self.options.sources):
            return True
        if not tables:
            return False
        columns = event_columns(found.path)
        return any(set(table.joined_by(columns)) - ENTITIES.keys() for table in tables)

    def _chosen_classes(self, classes: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Return the classes of the options, sorted; raises DatasetError if one is not there."""
        if not self.options.classes:
            return {}
        ((output, there),) = classes.items()
        for label in self.options.classes:
            if label not in there:
                raise DatasetError(
                    f"the label {label}", ", ".join(there) or "none", "choose from these"
                )
        return {output: tuple(each for each in there if each in self.options.classes)}

    def _facts(self, taken: Sequence[MontageRecording]) -> tuple[StreamInfo, tuple[Electrode, ...]]:
        """Combine the stream info of all recordings; return it with the montage."""
        infos = [one.recording.info for one in taken]
        info, montage = make_info(self.name, self.root, taken[0].sfreq, taken[0].met)
        bits, ranges = {one.uv_per_bit for one in infos}, {one.range_uv for one in infos}
        notices = [notice for one in infos for notice in one.notices]
        info = replace(
            info,
            uv_per_bit=bits.pop() if len(bits) == 1 else None,
            range_uv=ranges.pop() if len(ranges) == 1 else None,
            simulated=any(one.simulated for one in infos),
            notices=tuple(dict.fromkeys([*notices, *_describe_differences(taken)])),
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
    return MontageRecording(found, replace(recording, data=data), met, whole, recording.info.sfreq)


def _describe_differences(taken: Sequence[MontageRecording]) -> Iterator[str]:
    """Say which recordings were resampled, and which have other channels than the first one."""
    rates = Counter(one.recording.info.sfreq for one in taken)
    for rate, count in sorted(rates.items()):
        if rate != taken[0].sfreq:
            yield f"{_recordings(count)} of {rate:g} Hz resampled to {taken[0].sfreq:g} Hz."
    others = Counter(
        (mine.electrode, mine.channel, round(mine.distance_mm))
        for one in taken
        for mine, first in zip(one.met, taken[0].met, strict=True)
        if mine.distance_mm != first.distance_mm
    )
    for (electrode, channel, mm), count in others.items():
        away = f" ({mm} mm away)" if mm else ""
        yield f"{electrode} is {channel}{away} in {_recordings(count)}."


def _recordings(count: int) -> str:
    return "1 recording" if count == 1 else f"{count} recordings"


def _all_known(labels: Sequence[str | None]) -> Labels | None:
    """Return the labels if all are known."""
    known = tuple(label for label in labels if label is not None)
    return known if len(known) == len(labels) else None


def _places(labels: Labels, classes: Mapping[str, tuple[str, ...]]) -> tuple[int, ...] | None:
    """Return the index of each label; None if one is not among the classes."""
    pairs = [*zip(labels, classes.values(), strict=True)]
    if any(label not in there for label, there in pairs):
        return None
    return tuple(there.index(label) for label, there in pairs)
