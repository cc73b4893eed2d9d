"""Sources of labels in a BIDS data set, and the labels of each recording and event.

======================= ========================================================================
source                  labels
======================= ========================================================================
``task``                the task's name
``events:COLUMN``       a column of ``events.tsv``; also ``trial_type`` and ``value`` alone
``participants:COLUMN`` a column of ``participants.tsv``
``scans:COLUMN``        a column of ``scans.tsv``
``table:FILE:COLUMN``   a column of a table of one's own in the data set's folder
======================= ========================================================================

A table of one's own (``.tsv``, or ``.csv``) is joined by its other columns: ``participant_id``,
``session``, ``task``, ``run``, ``event`` (the number of the row in ``events.tsv``, from 1), and
columns that ``events.tsv`` has, too. Those that it lacks do not matter.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mimamba.drivers.formats.bids_sidecars import MAX_BYTES, MISSING_VALUES
from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.datasets.ratings import LABELS

EVENT_COLUMNS = ("trial_type", "value")
"""Columns of ``events.tsv`` that are sources by their name alone."""
KINDS_WITH_COLUMN = ("events", "participants", "scans")
ENTITIES = {"participant_id": "sub", "session": "ses", "task": "task", "run": "run"}
"""Columns of a table of one's own that name a recording, and the entities that they are."""
EVENT_NUMBER = "event"
TIMES = ("onset", "duration", "sample", "begsample", "endsample", "offset")
"""Columns of ``events.tsv`` by which nothing is joined."""
MISSING = MISSING_VALUES | {"nan", "NaN"}
"""Cells that are no label."""
Row: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class LabelSource:
    """Source of one output's labels; ``file`` is set for a table of one's own."""

    kind: str
    column: str
    file: str | None = None


def parse_sources(text: str) -> tuple[LabelSource, ...]:
    """Parse sources separated by commas; raises DatasetError."""
    found = tuple(_parse(part.strip()) for part in text.split(","))
    columns = [source.column for source in found]
    if len(set(columns)) < len(columns):
        raise DatasetError("columns with different names", text, "leave one out")
    return found


def _parse(text: str) -> LabelSource:
    kind, _, column = text.partition(":")
    if text == "task":
        return LabelSource("task", "task")
    if text in EVENT_COLUMNS:
        return LabelSource("events", text)
    if kind == "table":
        file, _, name = column.rpartition(":")
        if file and name:
            return LabelSource("table", name, file)
    elif kind in KINDS_WITH_COLUMN and column:
        return LabelSource(kind, column)
    raise DatasetError(
        "a label from task, trial_type, value, events:COLUMN, participants:COLUMN, scans:COLUMN or "
        "table:FILE:COLUMN",
        text or "nothing",
        "choose one of them",
    )


@dataclass(frozen=True)
class OwnTable:
    """Table of one's own with a column of labels."""

    path: Path
    column: str
    rows: tuple[Row, ...]

    def joined_by(self, event_columns: Iterable[str] = ()) -> list[str]:
        """Return the columns by which it is joined with events that have these columns."""
        there = self.rows[0].keys()
        shared = (name for name in event_columns if name in there and name not in TIMES)
        known = dict.fromkeys([*ENTITIES, EVENT_NUMBER, *shared])
        return [name for name in known if name in there and name != self.column]

    def label(self, cells: Row, event_columns: Iterable[str] = ()) -> str | None:
        """Return the label of a recording or event, given its cells; None if there is none.

        Raises
        ------
        DatasetError
            If two rows with different labels belong to it.
        """
        keys = self.joined_by(event_columns)
        found = {
            row[self.column]
            for row in self.rows
            if row.get(self.column, "") not in MISSING
            and all(_same(key, row.get(key, ""), cells.get(key)) for key in keys)
        }
        if len(found) > 1:
            where = ", ".join(f"{key} {cells[key]}" for key in keys if key in cells)
            raise DatasetError(
                f"one {self.column} in {self.path} for {where or 'each recording'}",
                ", ".join(sorted(found)),
                "add a column by which the rows differ, such as event",
            )
        return found.pop() if found else None


def _same(key: str, one: str, other: str | None) -> bool:
    """Compare two cells; numbers may have leading zeros, and ``sub-`` may be left out."""
    if other is None:
        return key in ENTITIES and key != "participant_id"
    prefix = f"{ENTITIES[key]}-" if key in ENTITIES else ""
    plain = [text.strip().removeprefix(prefix) for text in (one, other)]
    try:
        return float(plain[0]) == float(plain[1])
    except ValueError:
        return plain[0] == plain[1]


def read_table(root: Path, source: LabelSource) -> OwnTable:
    """Read a table of one's own; raises DatasetError."""
    path = root / str(source.file)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DatasetError(
                f"a table of at most {MAX_BYTES >> 20} MiB", f"more in {path}", "make it smaller"
            )
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DatasetError(
            f"a table {path}", error.strerror or str(error), "correct --label"
        ) from error
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, restval="", restkey="more")
    rows = tuple(
        {name.strip(): cell.strip() for name, cell in row.items() if isinstance(cell, str)}
        for row in reader
    )
    if not rows or source.column not in rows[0]:
        there = ", ".join(rows[0]) if rows else "no rows"
        raise DatasetError(f"a column {source.column} in {path}", there, "correct --label")
    return OwnTable(path, source.column, rows)


def entity_cells(name: str) -> dict[str, str]:
    """Return the cells that name a recording, from a name such as ``sub-01_task-rest_run-1``."""
    entities = dict(part.split("-", 1) for part in name.split("_") if "-" in part)
    return {column: entities[short] for column, short in ENTITIES.items() if short in entities}


def rate_labels(
    labels: Sequence[tuple[str, ...]], outputs: Sequence[str], threshold: float | None
) -> tuple[list[tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return each trial's labels, and the labels of each output.

    With a threshold, an output all of whose labels are numbers becomes ``low`` or ``high``.

    Parameters
    ----------
    labels
        Of each trial, one for each output.
    outputs
        Names of the outputs.
    threshold
        Ratings above it are high; None leaves all labels as they are.

    Raises
    ------
    DatasetError
        If there is a threshold, and no output has numbers alone.
    """
    columns = [[each[place] for each in labels] for place in range(len(outputs))]
    classes = {}
    rated = 0
    for place, (output, column) in enumerate(zip(outputs, columns, strict=True)):
        numbers = _numbers(column) if threshold is not None else None
        if numbers is None or threshold is None:
            classes[output] = tuple(sorted(set(column)))
        else:
            rated += 1
            columns[place] = [LABELS[number > threshold] for number in numbers]
            classes[output] = LABELS
    if threshold is not None and not rated and labels:
        shown = ", ".join(sorted(set(columns[0]))[:8])
        raise DatasetError(
            f"ratings in numbers, to be compared with {threshold:g}",
            shown,
            "leave out --threshold, or choose another label",
        )
    return [*zip(*columns, strict=True)], classes


def _numbers(column: Sequence[str]) -> list[float] | None:
    try:
        return [float(label) for label in column]
    except ValueError:
        return None
