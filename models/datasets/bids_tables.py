"""Labels in the tables of a BIDS data set, and its description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from mimamba.drivers.formats.bids_sidecars import read_tsv
from mimamba.drivers.formats.events import FileEvent, events_to_markers
from mimamba.drivers.formats.recording import Recording, one_line
from mimamba.models.datasets.bids_labels import EVENT_COLUMNS, MISSING
from mimamba.models.datasets.dataset import DatasetError

Labels: TypeAlias = tuple[str, ...]
"""A label for each output."""
MAX_SHOWN = 8
"""Most labels in a message."""


@dataclass(frozen=True)
class LabelledSpan:
    """Labelled event from sample ``start`` to ``stop`` (excluded), numbered from 1."""

    number: int
    labels: Labels
    start: int
    stop: int


def labels_of_people(root: Path, column: str) -> dict[str, str]:
    """Read labels by person from a column of ``participants.tsv``; raises DatasetError."""
    return _column(root / "participants.tsv", "participant_id", column)


def labels_of_scans(root: Path, column: str) -> dict[Path, str]:
    """Read labels by recording from a column of every ``scans.tsv``; raises DatasetError."""
    paths = sorted((*root.glob("sub-*/*_scans.tsv"), *root.glob("sub-*/ses-*/*_scans.tsv")))
    if not paths:
        raise DatasetError(
            "files such as sub-01_scans.tsv", f"none in {root}", "choose another label"
        )
    return {
        path.parent / name: label
        for path in paths
        for name, label in _column(path, "filename", column).items()
    }


def _column(path: Path, key: str, column: str) -> dict[str, str]:
    """Read a column by key, without ``n/a``."""
    rows = read_tsv(path)
    if rows is None:
        raise DatasetError(
            f"a table {path}", "no such file, or one that is too large", "choose another label"
        )
    columns = rows[0].keys() if rows else ()
    for name in (key, column):
        if name not in columns:
            raise DatasetError(
                f"a column {name} in {path}",
                ", ".join(columns) or "no rows",
                "choose another label",
            )
    return {
        row[key]: row[column] for row in rows if key in row and row.get(column, "") not in MISSING
    }


@dataclass(frozen=True)
class EventRow:
    """Row of ``events.tsv`` with an onset; ``number`` counts these rows from 1.

    ``onset`` and ``duration`` are in seconds; the duration is 0 if it is not given.
    """

    number: int
    onset: float
    duration: float
    cells: Mapping[str, str]


def read_events(path: Path) -> list[EventRow]:
    """Read the events of a recording; raises DatasetError without ``events.tsv``."""
    table = _events_path(path)
    rows = read_tsv(table)
    if rows is None:
        raise DatasetError(f"a table {table}", "no such file", "choose another label")
    found: list[EventRow] = []
    for row in rows:
        onset = _number(row.get("onset"))
        if onset is not None:
            cells = {name: cell for name, cell in row.items() if cell not in MISSING}
            duration = max(0.0, _number(row.get("duration")) or 0.0)
            found.append(EventRow(len(found) + 1, onset, duration, cells))
    return found


def event_columns(path: Path) -> tuple[str, ...]:
    """Return the columns of a recording's ``events.tsv``; none without it."""
    rows = read_tsv(_events_path(path))
    return tuple(rows[0]) if rows else ()


def check_event_column(path: Path, column: str) -> None:
    """Raise DatasetError if the events of a recording do not have a column."""
    table = _events_path(path)
    rows = read_tsv(table)
    if rows is None or not rows or column not in rows[0]:
        found = "no such file" if rows is None else "no such column"
        raise DatasetError(f"{column} in {table}", found, "choose another label")


def labelled_spans(
    recording: Recording, labelled: Sequence[tuple[EventRow, Labels]], seconds: float | None
) -> list[LabelledSpan]:
    """Return the spans of labelled events that begin within a recording, and not in a gap filler.

    Each lasts ``seconds`` or, if that is None, its own duration; an event without a duration lasts
    until the next one of any kind, or the end.
    """
    sfreq = recording.info.sfreq
    placed = []
    for row, labels in labelled:
        given = (row.cells[name] for name in EVENT_COLUMNS if name in row.cells)
        event = FileEvent(row.onset, next(given, "event"), "events.tsv", row.duration)
        placed += [
            (marker.index, row, labels)
            for marker in events_to_markers([event], recording.index, sfreq)
        ]
    begins = sorted({*(at for at, _, _ in placed), *(m.index for m in recording.markers)})
    following = dict(zip(begins, [*begins[1:], recording.end], strict=True))
    return [
        LabelledSpan(
            number,
            labels,
            start,
            start + round((seconds or row.duration) * sfreq)
            if seconds or row.duration
            else following[start],
        )
        for number, (start, row, labels) in enumerate(placed, 1)
    ]


def column_spans(
    path: Path, recording: Recording, column: str, seconds: float | None
) -> list[LabelledSpan]:
    """Return the spans of a recording's events that have a label in a column.

    Raises
    ------
    DatasetError
        If there is no ``events.tsv`` with that column.
    """
    check_event_column(path, column)
    labelled = [
        (event, (event.cells[column],)) for event in read_events(path) if column in event.cells
    ]
    return labelled_spans(recording, labelled, seconds)


def check_labels(paths: Sequence[Path], column: str) -> None:
    """Raise DatasetError if another column of the recordings' events has labels, and this has none.

    Parameters
    ----------
    paths
        Recordings, none of which has a label in the column.
    column
        One of ``EVENT_COLUMNS``.
    """
    (other,) = (name for name in EVENT_COLUMNS if name != column)
    rows = [row for path in paths for row in read_tsv(_events_path(path)) or ()]
    labels = sorted({row[other] for row in rows if row.get(other, "") not in MISSING})
    if labels:
        shown = ", ".join(labels[:MAX_SHOWN]) + (", .." if len(labels) > MAX_SHOWN else "")
        raise DatasetError(
            f"labels in the column {column} of the events of {paths[0]}",
            f"only n/a, and labels in the column {other} ({one_line(shown)})",
            f"use --label {other}",
        )


def _events_path(path: Path) -> Path:
    return path.with_name(f"{path.name.rpartition('_eeg.')[0]}_events.tsv")


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if isfinite(number) else None


def describe_dataset(root: Path) -> str:
    """Return the name, authors and licence in words, from ``dataset_description.json``."""
    try:
        content: Any = msgspec.json.decode((root / "dataset_description.json").read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict):
        return f"{root.resolve().name}, a BIDS data set that does not describe itself"
    authors = content.get("Authors")
    names = ", ".join(map(str, authors)) if isinstance(authors, list) else ""
    name, licence = (str(content.get(key) or "") for key in ("Name", "License"))
    parts = (name or root.resolve().name, names, f"licence {licence or 'not stated'}")
    return one_line("; ".join(part for part in parts if part))
