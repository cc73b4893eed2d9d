"""Sidecar tables of a recording in a BIDS dataset: ``*_channels.tsv`` and ``*_events.tsv``.

In BIDS (EEG, https://bids-specification.readthedocs.io) a recording ``..._eeg.edf`` has tables with
the same prefix: the channels' types and status, and events with their time from the first sample.
Its ``..._eeg.json`` repeats the sampling frequency. Tables that are missing, or lack the columns,
are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from mimamba.drivers.formats.events import FileEvent
from mimamba.drivers.timing.stamp_check import MAX_SFREQ, MIN_SFREQ, RATE_TOLERANCE

MAX_BYTES = 2**24
"""Largest table that is read, bytes."""
MISSING_VALUES = {"", "n/a"}


@dataclass(frozen=True)
class BIDSSidecars:
    """Content of the tables.

    Parameters
    ----------
    kinds
        Type of each channel in upper case, by the channel's name; empty without the table.
    bad
        Channels with the status ``bad``.
    events
        Events; None without the table.
    sfreq
        Sampling frequency in ``eeg.json``, Hz; None if it is not there.
    """

    kinds: Mapping[str, str]
    bad: tuple[str, ...]
    events: tuple[FileEvent, ...] | None
    sfreq: float | None = None

    def rate_notices(self, sfreq: float) -> tuple[str, ...]:
        """Say that a recording of ``sfreq`` Hz has another rate than ``eeg.json`` declares."""
        if self.sfreq is None or abs(self.sfreq / sfreq - 1) <= RATE_TOLERANCE:
            return ()
        return (f"eeg.json declares {self.sfreq:g} Hz, but the file has {sfreq:g} Hz, as used.",)


def read_sidecars(path: Path) -> BIDSSidecars:
    """Read the tables that belong to a recording."""
    stem, is_eeg, _ = path.name.rpartition("_eeg.")
    if not is_eeg:
        return BIDSSidecars({}, (), None)
    channels = read_tsv(path.with_name(f"{stem}_channels.tsv"))
    events = read_tsv(path.with_name(f"{stem}_events.tsv"))
    named = [row for row in channels or () if row.get("name")]
    return BIDSSidecars(
        {row["name"]: row.get("type", "").upper() for row in named if row.get("type")},
        tuple(row["name"] for row in named if row.get("status") == "bad"),
        None if events is None else tuple(filter(None, map(_event, events))),
        _sfreq(path.with_name(f"{stem}_eeg.json")),
    )


def _sfreq(path: Path) -> float | None:
    try:
        content: Any = {}
        if path.stat().st_size <= MAX_BYTES:
            content = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    found = content.get("SamplingFrequency") if isinstance(content, dict) else None
    if isinstance(found, int | float) and MIN_SFREQ <= found <= MAX_SFREQ:
        return float(found)
    return None


def read_tsv(path: Path) -> list[dict[str, str]] | None:
    """Read a TSV file: a dict per row, without missing cells. None without the file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    names, *rows = [[cell.strip() for cell in line.split("\t")] for line in text.split("\n")]
    return [dict(zip(names, row, strict=False)) for row in rows]


def _event(row: Mapping[str, str]) -> FileEvent | None:
    """Make an event; its label is its type, or else its value."""
    try:
        onset = float(row.get("onset", ""))
    except ValueError:
        return None
    label = next(
        (row[name] for name in ("trial_type", "value") if row.get(name, "") not in MISSING_VALUES),
        None,
    )
    return FileEvent(onset, label, "events.tsv") if label and isfinite(onset) else None
