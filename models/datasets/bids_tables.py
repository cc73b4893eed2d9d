"""Labels in the tables of a BIDS data set, and its description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from mimamba.drivers.formats.bids_sidecars import MISSING_VALUES, read_tsv
from mimamba.drivers.formats.recording import Recording, one_line
from mimamba.models.datasets.dataset import DatasetError

MAX_SHOWN = 8
"""Most labels in a message."""


@dataclass(frozen=True)
class LabelledSpan:
    """Labelled event from sample ``start`` to ``stop`` (excluded), numbered from 1."""

    number: int
    label: str
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
        row[key]: row[column]
        for row in rows
        if key in row and row.get(column, "") not in MISSING_VALUES
    }


EVENT_COLUMNS = ("trial_type", "value")
"""Columns of ``events.tsv`` with labels. A marker has the first one that is not ``n/a``."""


def labelled_spans(
    path: Path, recording: Recording, column: str, seconds: float | None
) -> list[LabelledSpan]:
    """Return the events of a recording that have a label in a column.

    Each lasts ``seconds`` or, if that is None, its own duration; an event without a duration lasts
    until the next one or the end. The recording's markers give the events' sample positions.

    Raises
    ------
    DatasetError
        If there is no ``events.tsv`` with that column.
    """
    events = _events(_events_path(path), column)
    starts = sorted({marker.index for marker in recording.markers})
    following = dict(zip(starts, [*starts[1:], recording.end], strict=True))
    found = [
        (*events[marker.timestamp, marker.label], marker.index)
        for marker in recording.markers
        if (marker.timestamp, marker.label) in events
    ]
    return [
        LabelledSpan(
            number,
            label,
            start,
            start + round((seconds or length) * recording.info.sfreq)
            if seconds or length
            else following[start],
        )
        for number, (label, length, start) in enumerate(found, 1)
    ]


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
    labels = sorted({row[other] for row in rows if row.get(other, "") not in MISSING_VALUES})
    if labels:
        shown = ", ".join(labels[:MAX_SHOWN]) + (", .." if len(labels) > MAX_SHOWN else "")
        raise DatasetError(
            f"labels in the column {column} of the events of {paths[0]}",
            f"only n/a, and labels in the column {other} ({one_line(shown)})",
            f"use --label {other}",
        )


def _events_path(path: Path) -> Path:
    return path.with_name(f"{path.name.rpartition('_eeg.')[0]}_events.tsv")


def _events(path: Path, column: str) -> Mapping[tuple[float, str], tuple[str, float]]:
    """Read labels and durations, s, by onset and marker; a duration is 0 if not given."""
    rows = read_tsv(path)
    if rows is None or not rows or column not in rows[0]:
        found = "no such file" if rows is None else "no such column"
        raise DatasetError(f"{column} in {path}", found, "choose another label")
    events = {}
    for row in rows:
        onset = _number(row.get("onset"))
        given = [row[name] for name in EVENT_COLUMNS if row.get(name, "") not in MISSING_VALUES]
        if onset is not None and row.get(column, "") not in MISSING_VALUES:
            length = max(0.0, _number(row.get("duration")) or 0.0)
            events[onset, given[0]] = (row[column], length)
    return events


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
