"""What a BIDS dataset says beside a recording: ``*_channels.tsv`` and ``*_events.tsv``.

In BIDS (EEG, https://bids-specification.readthedocs.io) a recording ``..._eeg.edf`` has files with
the same beginning: the channels' types and status, and what happened, in seconds from the first
sample. Files that are absent, or have none of the columns, say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from mimamba.drivers.formats.events import Event

LARGEST = 2**24
"""Bytes; a table of events beyond it is none."""
NOTHING = {"", "n/a"}


@dataclass(frozen=True)
class Sidecars:
    """What the tables say.

    Parameters
    ----------
    kinds
        Each channel's type in upper case, by the channel's name; empty without the table.
    bad
        Channels with the status ``bad``.
    events
        None without the table.
    """

    kinds: Mapping[str, str]
    bad: tuple[str, ...]
    events: tuple[Event, ...] | None


def beside(path: Path) -> Sidecars:
    """Read the tables that belong to a recording."""
    stem, is_eeg, _ = path.name.rpartition("_eeg.")
    if not is_eeg:
        return Sidecars({}, (), None)
    channels = table(path.with_name(f"{stem}_channels.tsv"))
    events = table(path.with_name(f"{stem}_events.tsv"))
    named = [row for row in channels or () if row.get("name")]
    return Sidecars(
        {row["name"]: row.get("type", "").upper() for row in named if row.get("type")},
        tuple(row["name"] for row in named if row.get("status") == "bad"),
        None if events is None else tuple(filter(None, map(_event, events))),
    )


def table(path: Path) -> list[dict[str, str]] | None:
    """Each row by its columns' names; cells that are missing are empty. None without the file."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    names, *rows = [[cell.strip() for cell in line.split("\t")] for line in text.split("\n")]
    return [dict(zip(names, row, strict=False)) for row in rows]


def _event(row: Mapping[str, str]) -> Event | None:
    """An event by its type, else by its value."""
    try:
        onset = float(row.get("onset", ""))
    except ValueError:
        return None
    label = next(
        (row[name] for name in ("trial_type", "value") if row.get(name, "") not in NOTHING), None
    )
    return Event(onset, label, "events.tsv") if label and isfinite(onset) else None
