"""NAME.json: what people and the service noted about the recording NAME.xdf."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import UnsetType

from mimamba.drivers.errors import BadSource
from mimamba.drivers.url import parse_source
from mimamba.service.recordings.file_facts import SearchedFiles, has_feedback_log
from mimamba.service.storage.folders import CannotRecord, cannot_record
from mimamba.service.storage.private_files import delete_file, read_regular, replace_file
from mimamba.service.storage.titles import clean_notes, clean_title

log = logging.getLogger(__name__)

RecordingState: TypeAlias = Literal[
    "recording", "finished", "recovered", "unfinished", "damaged", "uploaded", "unknown"
]


@dataclass(frozen=True)
class Sidecar:
    """Facts about a recording that its samples do not contain.

    Parameters
    ----------
    name
        The recording's.
    state
        ``recording``: in progress. ``finished``. ``recovered``: repaired after it was cut off.
        ``unfinished``: cut off and not yet recovered. ``damaged``: cannot be recovered.
        ``uploaded``: at ``started``, from the file named ``source``. ``unknown``: no sidecar.
    reason
        Why it ended, or what was wrong; None if it was stopped.
    session, source
        The session's id, and its source's name.
    person
        A pseudonym.
    notes
        In a person's words.
    model
        Name of the model whose predictions it contains.
    started, ended
        ISO 8601, UTC.
    seconds
        Length of the signal, lost samples counted; None where that is not known.
    title
        The recording's name for people, in any script; None if it has no other than ``name``.
    hed
        HED annotations by the label of the markers that they belong to.
    feedback
        Whether its file says whose values somebody got as feedback for a study; None if nobody
        has looked, as in a recording from before that was noted.
    """

    name: str
    state: RecordingState = "unknown"
    reason: str | None = None
    session: str | None = None
    source: str | None = None
    person: str | None = None
    notes: str | None = None
    model: str | None = None
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    title: str | None = None
    hed: Mapping[str, str] = field(default_factory=dict)
    feedback: bool | None = None

    @property
    def shown(self) -> str:
        """The title; without one, the name."""
        return self.title or self.name


DECODER = msgspec.json.Decoder(Sidecar)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


@dataclass(frozen=True)
class RecordingInfo(Sidecar):
    """A sidecar, with the size of the recording's file; ``feedback`` is always known."""

    feedback: bool = False
    bytes: int = 0


class Sidecars:
    """The sidecars of a folder of recordings, each changed by one thread at a time.

    Parameters
    ----------
    folder
        The folder.

    Attributes
    ----------
    changing
        Held while a sidecar is read and replaced.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.changing = threading.RLock()
        self._searched = SearchedFiles(has_feedback_log)
        """Files whose sidecars do not say if they have a log of feedback."""

    def change(
        self,
        name: str,
        title: str | UnsetType | None,
        notes: str | UnsetType | None,
    ) -> None:
        """Change the title or the notes of a recording; None removes one, UNSET keeps it.

        Raises
        ------
        CannotRecord
            If the change cannot be written to the disk, or what is known about the recording
            cannot be read: it would be lost.
        """
        with self.changing:
            sidecar = self._read(name)
            if not isinstance(title, UnsetType):
                sidecar = replace(sidecar, title=clean_title(title))
            if not isinstance(notes, UnsetType):
                sidecar = replace(sidecar, notes=clean_notes(notes))
            self._save(sidecar)

    def note_feedback(self, name: str) -> None:
        """Note that a recording gets the log of feedback for a study; raises as ``change``."""
        with self.changing:
            self._save(replace(self._read(name), feedback=True))

    def note_tags(self, name: str, label: str, hed: str) -> None:
        """Note the HED annotation of a marker, if the disk has room.

        A label keeps the first one: markers of an earlier study may have it, too.
        """
        path = self._recording(name)
        with self.changing:
            sidecar = load_sidecar(path)
            first = sidecar.hed.get(label)
            if sidecar.state != "unknown" and first is None:
                save_sidecar_if_possible(path, replace(sidecar, hed={**sidecar.hed, label: hed}))
        if first not in (None, hed):
            log.warning("a marker has other HED tags already", extra={"recording": name})

    def note_end(
        self,
        begun: Sidecar,
        state: Literal["finished", "unfinished"],
        reason: str | None,
        ended: str,
        seconds: float,
    ) -> None:
        """Note the end of a recording that began with a sidecar, if the disk has room."""
        path = self._recording(begun.name)
        with self.changing:
            noted = load_sidecar(path)  # with the title and the notes that it has by now
            made = replace(
                begun if noted.state == "unknown" else noted,
                state=state,
                reason=reason,
                ended=ended,
                seconds=seconds,
                feedback=noted.feedback,
            )
            save_sidecar_if_possible(path, made)

    def has_feedback(self, name: str, found: os.stat_result) -> bool:
        """Return whether a recording has a log of feedback, where its sidecar does not say it.

        The file, of which ``found`` is known, is searched once until it changes.
        """
        path = self._recording(name)
        feedback = self._searched.result(path, found)
        with self.changing:
            sidecar = load_sidecar(path)
            if sidecar.state not in ("unknown", "recording") and sidecar.feedback is None:
                save_sidecar_if_possible(path, replace(sidecar, feedback=feedback))
        return feedback

    def delete(self, name: str) -> None:
        """Delete the sidecar of a recording if there is one; raises OSError."""
        path = self._recording(name)
        with self.changing:
            self._searched.forget(path)
            delete_sidecar(path)

    def _read(self, name: str) -> Sidecar:
        """Return what is noted about a recording, to be changed; raises as ``change``."""
        try:
            return read_sidecar(self._recording(name))
        except FileNotFoundError:
            return Sidecar(name)
        except (OSError, msgspec.MsgspecError) as error:
            raise CannotRecord(
                f"Cannot read {name}.json, which has what is known about the recording: "
                f"{error}. Correct or remove that file first."
            ) from error

    def _save(self, sidecar: Sidecar) -> None:
        try:
            save_sidecar(self._recording(sidecar.name), sidecar)
        except OSError as error:
            raise cannot_record(self._folder, error) from error

    def _recording(self, name: str) -> Path:
        return self._folder / f"{name}.xdf"


def load_sidecar(recording: Path) -> Sidecar:
    """Load the sidecar of a NAME.xdf; without one that can be read, return what is known."""
    try:
        return read_sidecar(recording)
    except (OSError, msgspec.MsgspecError):
        return Sidecar(recording.stem)


def read_sidecar(recording: Path) -> Sidecar:
    """Read the sidecar of a NAME.xdf; raises OSError and MsgspecError."""
    sidecar = DECODER.decode(read_regular(_path(recording)))
    # It may come from elsewhere, or be changed by hand.
    title, notes = clean_title(sidecar.title), clean_notes(sidecar.notes)
    return replace(sidecar, name=recording.stem, title=title, notes=notes)


def save_sidecar(recording: Path, sidecar: Sidecar) -> None:
    """Replace a sidecar, completely or not at all; raises OSError. Only its owner can read it."""
    facts = msgspec.to_builtins(sidecar)
    if sidecar.feedback is None:
        del facts["feedback"]  # older versions refuse a null there
    replace_file(_path(recording), msgspec.json.format(msgspec.json.encode(facts)))


def save_sidecar_if_possible(recording: Path, sidecar: Sidecar) -> None:
    """Replace a sidecar, or leave the old one if the disk is full or read-only."""
    # The old one says "recording", which every listing corrects.
    with contextlib.suppress(OSError):
        save_sidecar(recording, sidecar)


def delete_sidecar(recording: Path) -> None:
    """Delete a sidecar if there is one; raises OSError."""
    delete_file(_path(recording))


def in_utc(written: str) -> datetime:
    """Return the time of a sidecar, which is in UTC unless it says otherwise.

    Raises ValueError for one that was changed by hand and is none.
    """
    found = datetime.fromisoformat(written)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def played_file(url: str) -> Path | None:
    """Return the file that a source plays; None for a source that plays none."""
    try:
        source = parse_source(url)
    except BadSource:  # opening it says why
        return None
    return Path(source.target) if source.scheme == "replay" else None


def played_title(url: str) -> str | None:
    """Return the title of the recording that a source plays, or None; blocks on the disk."""
    path = played_file(url)
    return None if path is None else load_sidecar(path).title


def _path(recording: Path) -> Path:
    return recording.with_name(f"{recording.stem}.json")
