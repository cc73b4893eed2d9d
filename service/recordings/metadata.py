"""NAME.json: what people and the service say of the recording beside it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from mimamba.service.storage.private_files import delete_file, replace_file

RecordingState: TypeAlias = Literal[
    "recording", "finished", "recovered", "unfinished", "damaged", "uploaded", "unknown"
]


@dataclass(frozen=True)
class Card:
    """What is known of a recording beside its samples.

    Parameters
    ----------
    name
        The recording's.
    state
        ``recording``; ``finished``; ``recovered``, after it was cut off; ``unfinished``, cut off
        and not yet recovered; ``damaged``, and cannot be recovered; ``uploaded``, when it
        ``started``, from the file named ``source``; ``unknown`` without a card.
    reason
        Why it ended, or what was wrong; None where it was stopped.
    session, source
        The session's id, and what its source is called.
    person
        A pseudonym.
    notes
        In a person's words.
    model
        Whose predictions it holds.
    started, ended
        ISO 8601, UTC.
    seconds
        The signal's length, where an upload told it.
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


@dataclass(frozen=True)
class RecordingInfo(Card):
    """A card, with the size of the recording's file."""

    bytes: int = 0


def load_card(recording: Path) -> Card:
    """The card of a NAME.xdf, or as much as is known without one."""
    name = recording.stem
    try:
        card = msgspec.json.decode(_beside(recording).read_bytes(), type=Card)
    except (OSError, msgspec.MsgspecError):
        return Card(name)
    return replace(card, name=name)


def save_card(recording: Path, card: Card) -> None:
    """Replace a card, whole or not at all; raises OSError. Only its owner may read it."""
    replace_file(_beside(recording), msgspec.json.format(msgspec.json.encode(card)))


def delete_card(recording: Path) -> None:
    """Remove a card, if there is one; raises OSError."""
    delete_file(_beside(recording))


def _beside(recording: Path) -> Path:
    return recording.with_name(f"{recording.stem}.json")


def save_if_possible(recording: Path, card: Card) -> None:
    """Replace the card of a recording where the disk lets one."""
    # Where the disk is full or may not be written, the old card stays: it says "recording", which
    # every scan corrects.
    with contextlib.suppress(OSError):
        save_card(recording, card)
