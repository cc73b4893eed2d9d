"""NAME.json: what people and the service noted about the recording NAME.xdf."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from mimamba.drivers.errors import BadSource
from mimamba.drivers.url import parse_source
from mimamba.service.storage.private_files import delete_file, read_regular, replace_file
from mimamba.service.storage.titles import clean_notes, clean_title

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
