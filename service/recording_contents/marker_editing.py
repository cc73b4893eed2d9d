"""Editing of the markers of a finished recording: each edit is a line beside its file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import Mismatch, UserError
from mimamba.drivers.formats.marker_edits import (
    MAX_BYTES,
    EditedMarker,
    MarkerEdit,
    edited_markers,
    edits_file,
    read_edits,
    timestamp_of,
)
from mimamba.drivers.formats.recording import one_line
from mimamba.drivers.runtime.file_locks import BINARY, NO_LINK
from mimamba.service.sessions.markers import check_label
from mimamba.service.storage.folders import cannot_record
from mimamba.service.storage.recorded_times import read_times


class NoMarker(UserError, LookupError):
    """The recording has no marker with this id."""


class EditRefused(UserError, ValueError):
    """The edit is not possible with this marker as it is."""


class BadPosition(Mismatch):
    """The position is outside of the recording."""


@dataclass(frozen=True)
class RecordedPlace:
    """Position (s) and label of a marker as it was recorded."""

    position: float
    label: str


@dataclass(frozen=True)
class MarkerView:
    """A marker of a recording as the API shows it.

    Parameters
    ----------
    id
        Its id within the recording.
    position
        Seconds from the first sample, lost samples counted.
    label
        Its label.
    source
        Program or person that it comes from.
    state
        ``recorded`` as it is; ``added``, ``changed`` or ``deleted`` after the recording.
    date
        Time of the newest edit (ISO 8601, UTC); None without one.
    recorded
        The marker as it was recorded, where that is different.
    """

    id: str
    position: float
    label: str
    source: str
    state: Literal["recorded", "added", "changed", "deleted"]
    date: str | None = None
    recorded: RecordedPlace | None = None


class MarkerEditor:
    """The markers of one recording, read from its file. Calls block on the disk.

    The file is read once: the times of the newest one are kept until it changes.

    Parameters
    ----------
    path
        A finished recording.

    Raises
    ------
    BadRecording
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recording = read_times(path)

    def all(self) -> list[MarkerView]:
        """Return all markers by position, deleted ones included."""
        return [self._view(each) for each in self._read()]

    def add(self, position: float, label: str) -> MarkerView:
        """Add a marker.

        Raises
        ------
        BadPosition, BadLabel
            If these are not valid.
        CannotRecord
            If the edit cannot be written.
        """
        checked = check_label(one_line(check_label(label)))
        return self._edit("add", f"a{secrets.token_hex(6)}", checked, self._timestamp(position))

    def change(self, marker: str, position: float | None, label: str | None) -> MarkerView:
        """Change a marker; None leaves its position or its label as it is.

        Raises
        ------
        NoMarker
            If there is none with this id.
        EditRefused
            If it was deleted.
        BadPosition, BadLabel, CannotRecord
            As ``add``.
        """
        found = self._find(marker)
        if found.is_deleted:
            raise EditRefused(f"The marker {marker} was deleted. Restore it first.")
        if position is None and label is None:
            return self._view(found)
        checked = None if label is None else check_label(one_line(check_label(label)))
        timestamp = None if position is None else self._timestamp(position)
        return self._edit("change", marker, checked, timestamp, found.recorded)

    def delete(self, marker: str) -> MarkerView:
        """Delete a marker, which can be restored; raises NoMarker and CannotRecord."""
        found = self._find(marker)
        if found.is_deleted:
            return self._view(found)
        return self._edit("delete", marker, recorded=found.recorded)

    def restore(self, marker: str) -> MarkerView:
        """Take back all edits of a recorded marker, or the deletion of an added one.

        Raises
        ------
        NoMarker
            If there is none with this id.
        CannotRecord
            If that cannot be written.
        """
        return self._edit("restore", marker, recorded=self._find(marker).recorded)

    def _read(self) -> Sequence[EditedMarker]:
        return edited_markers(self._recording, read_edits(self._path)[0])[0]

    def _find(self, marker: str) -> EditedMarker:
        for each in self._read():
            if each.id == marker:
                return each
        raise NoMarker(f"The recording has no marker {marker!r}. List its markers again.")

    def _timestamp(self, position: float) -> float:
        end = self._recording.end / self._recording.info.sfreq
        if not 0 <= position <= end:  # NaN is in no range
            raise BadPosition(
                f"a position from 0 to {end:g} s", f"{position:g} s", "choose one in the recording"
            )
        return timestamp_of(self._recording, position)

    def _edit(
        self,
        action: Literal["add", "change", "delete", "restore"],
        marker: str,
        label: str | None = None,
        timestamp: float | None = None,
        recorded: Marker | None = None,
    ) -> MarkerView:
        """Append an edit, and return the marker after it."""
        date = datetime.now(UTC).isoformat(timespec="seconds")
        was, at = (recorded.label, recorded.timestamp) if recorded else (None, None)
        line = msgspec.json.encode(MarkerEdit(date, action, marker, label, timestamp, was, at))
        file = edits_file(self._path)
        try:
            _append(file, line)
            if not self._path.exists():  # it was deleted meanwhile, with all that is known of it
                file.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_record(file.parent, error) from error
        return self._view(self._find(marker))

    def _view(self, marker: EditedMarker) -> MarkerView:
        sfreq, recorded = self._recording.info.sfreq, marker.recorded
        differs = recorded is not None and marker.date is not None
        return MarkerView(
            marker.id,
            marker.marker.index / sfreq,
            marker.marker.label,
            marker.marker.source,
            marker.state,
            marker.date,
            RecordedPlace(recorded.index / sfreq, recorded.label)
            if recorded is not None and differs
            else None,
        )


def _append(file: Path, line: bytes) -> None:
    """Append a line to a file that only its owner can read, on the disk when this returns.

    Raises
    ------
    EditRefused
        If there are too many.
    OSError
        If that is not possible.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | BINARY | NO_LINK
    with os.fdopen(os.open(file, flags, 0o600), "r+b", buffering=0) as opened:
        size = opened.seek(0, os.SEEK_END)
        if size + len(line) + 2 > MAX_BYTES:  # with its line ends
            raise EditRefused(f"Expected at most {MAX_BYTES >> 20} MiB of edits in {file.name}.")
        if size:
            opened.seek(size - 1)
            if opened.read(1) != b"\n":  # a power cut has left half a line
                line = b"\n" + line
        opened.write(line + b"\n")
        os.fsync(opened.fileno())
