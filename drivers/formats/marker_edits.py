"""Edits of a recording's markers, kept beside its file in ``FILE.edits.jsonl``.

The file itself is never changed. Each line is one edit with its date, in the order in which they
were made; they are applied whenever the recording is read. A recorded marker is named by its number
in the file's order (``r0``, ``r1``), one that was added by a word of its own (``a5c0ffee``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.recording import Recording, one_line

ENDING = ".edits.jsonl"
"""Of the name of a file with edits, after the recording's own."""
MAX_BYTES = 4 << 20
"""Largest file of edits that is read."""
ADDED_SOURCE = "added afterwards"
"""Source of an added marker."""
EDITED = ", edited"
"""End of the source of a changed marker."""


class MarkerEdit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One edit.

    Parameters
    ----------
    date
        Time of the edit (ISO 8601, UTC).
    action
        ``restore`` takes back all edits of a marker.
    marker
        The marker's id.
    label, timestamp
        New values, s on the file's own clock; None leaves one as it is.
    recorded, recorded_at
        Label and timestamp of the recorded marker, by which an edit for another file, or for
        another stream of it, is found out.
    """

    date: str
    action: Literal["add", "change", "delete", "restore"]
    marker: str
    label: str | None = None
    timestamp: float | None = None
    recorded: str | None = None
    recorded_at: float | None = None


DECODER = msgspec.json.Decoder(MarkerEdit)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


@dataclass(frozen=True)
class EditedMarker:
    """A marker of a recording, with what was edited.

    Parameters
    ----------
    id
        Its id.
    marker
        The marker as it is now; its source says that it was edited.
    recorded
        The marker as it was recorded; None for an added one.
    date
        Time of the newest edit; None if it is as recorded.
    is_deleted
        True if it is no longer among the recording's markers.
    """

    id: str
    marker: Marker
    recorded: Marker | None
    date: str | None = None
    is_deleted: bool = False

    @property
    def state(self) -> Literal["recorded", "added", "changed", "deleted"]:
        """Kind of the marker."""
        if self.is_deleted:
            return "deleted"
        if self.recorded is None:
            return "added"
        return "recorded" if self.date is None else "changed"


def edits_file(path: Path) -> Path:
    """Return the path of a recording's edits, which need not exist."""
    return path.with_name(path.name + ENDING)


def read_edits(path: Path) -> tuple[list[MarkerEdit], list[str]]:
    """Read the edits of a recording, and notices about what cannot be read."""
    file = edits_file(path)
    try:
        if file.is_symlink() or not file.is_file():  # a link could lead anywhere
            return [], []
        if file.stat().st_size > MAX_BYTES:
            return [], [f"The edits of markers in {file.name} are too many, and left out."]
        lines = file.read_bytes().splitlines()
    except OSError as error:
        reason = error.strerror or str(error)
        return [], [f"The edits of markers in {file.name} cannot be read: {reason}."]
    edits, bad = [], 0
    for line in filter(None, lines):
        try:
            edits.append(DECODER.decode(line))
        except msgspec.MsgspecError:  # a power cut may leave half a line
            bad += 1
    notice = f"{bad} lines of {file.name} are no edits of markers, and are left out."
    return edits, [notice] if bad else []


def edited_markers(
    recording: Recording, edits: Iterable[MarkerEdit]
) -> tuple[list[EditedMarker], int]:
    """Return all markers of a recording as it was recorded, in order, deleted ones included.

    Parameters
    ----------
    recording
        The recording without its edits.
    edits
        Its edits.

    Returns
    -------
    list of EditedMarker
        By position.
    int
        Number of edits that do not fit the recording.
    """
    found = {
        f"r{number}": EditedMarker(f"r{number}", marker, marker)
        for number, marker in enumerate(recording.markers)
    }
    unfit = 0
    for edit in edits:
        made = _edited(recording, found.get(edit.marker), edit)
        if made is None:
            unfit += 1
        else:
            found[edit.marker] = made
    markers = sorted(found.values(), key=lambda each: (each.marker.index, each.marker.timestamp))
    return markers, unfit


def apply_marker_edits(recording: Recording, path: Path) -> Recording:
    """Return a recording with the edits that are kept beside its file, and a notice about them."""
    edits, notices = read_edits(path)
    if not edits and not notices:
        return recording
    markers, unfit = edited_markers(recording, edits)
    if unfit:
        notices.append(f"{unfit} edits of markers do not fit the file, and are left out.")
    states = [each.state for each in markers]
    counts = [
        f"{states.count(state)} {state}"
        for state in ("added", "changed", "deleted")
        if state in states
    ]
    if counts:
        notices.append(f"Markers were edited after the recording: {', '.join(counts)}.")
    return replace(
        recording,
        info=replace(recording.info, notices=(*recording.info.notices, *notices)),
        markers=tuple(each.marker for each in markers if not each.is_deleted),
    )


def timestamp_of(recording: Recording, position: float) -> float:
    """Return the time on the file's clock, s, of a position, s from the first sample."""
    sfreq = recording.info.sfreq
    at = round(position * sfreq)
    if at >= recording.end:
        return float(recording.timestamps[-1]) + (at - recording.end + 1) / sfreq
    return float(np.interp(at, recording.index, recording.timestamps))


def _edited(
    recording: Recording, found: EditedMarker | None, edit: MarkerEdit
) -> EditedMarker | None:
    """Return a marker after an edit; None if the edit does not fit it."""
    label = None if edit.label is None else one_line(edit.label)
    if label == "" or (edit.timestamp is not None and not math.isfinite(edit.timestamp)):
        return None
    if edit.action == "add":
        if found is not None or label is None or edit.timestamp is None:
            return None
        marker = _placed(recording, Marker(0.0, 0, label, ADDED_SOURCE), edit.timestamp)
        return EditedMarker(edit.marker, marker, None, edit.date)
    if found is None or (found.recorded and not _is_for(edit, found.recorded, recording)):
        return None
    if edit.action == "delete":
        return replace(found, date=edit.date, is_deleted=True)
    if edit.action == "restore":
        if found.recorded is None:
            return replace(found, date=edit.date, is_deleted=False)
        return EditedMarker(found.id, found.recorded, found.recorded)
    marker = found.marker if label is None else replace(found.marker, label=label)
    if edit.timestamp is not None:
        marker = _placed(recording, marker, edit.timestamp)
    if found.recorded is not None:
        marker = replace(marker, source=found.recorded.source + EDITED)
    return replace(found, marker=marker, date=edit.date)


def _is_for(edit: MarkerEdit, marker: Marker, recording: Recording) -> bool:
    """Return whether an edit was made for a recorded marker."""
    apart = 0.0 if edit.recorded_at is None else abs(edit.recorded_at - marker.timestamp)
    return edit.recorded == marker.label and apart <= 0.5 / recording.info.sfreq


def _placed(recording: Recording, marker: Marker, timestamp: float) -> Marker:
    """Return a marker at a time on the file's clock, within the recording."""
    stamps = recording.timestamps
    if timestamp > stamps[-1]:
        index = recording.end - 1 + round((timestamp - float(stamps[-1])) * recording.info.sfreq)
        return replace(marker, timestamp=timestamp, index=min(index, recording.end))
    index = int(np.rint(np.interp(timestamp, stamps, recording.index)))
    return replace(marker, timestamp=timestamp, index=index)
