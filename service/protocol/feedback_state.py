"""Feedback of a study in wire protocol v1: the value that the wearer follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

FeedbackSource: TypeAlias = Literal["real", "sham"]
"""Whose values are shown: the wearer's own, or those of another recording."""


@dataclass(frozen=True)
class FeedbackState:
    """State of a study's feedback.

    ``quantity`` is ``OUTPUT/LABEL``, ``personal/STATE``, ``band/BAND`` or ``band/BAND/ELECTRODE``.
    There is feedback (``on``) while ``value``, 0 to 1, is on this ``side`` of ``at``; it ends only
    ``back`` beyond it. ``value`` is null while there is none, and ``reason`` says why, or why the
    feedback has ended (``running`` is false). ``recording`` names the recording that has its log.
    ``source`` and ``sham``, the recording whose values are shown, are null where it is ``blind``.
    """

    quantity: str
    side: Literal["above", "below"]
    at: float
    back: float
    running: bool
    value: float | None
    on: bool
    reason: str | None
    recording: str
    blind: bool
    source: FeedbackSource | None = None
    sham: str | None = None


@dataclass(frozen=True)
class FeedbackEntry:
    """State of the feedback ``id`` at a time, s on the LSL clock.

    ``noted`` has what the recording gets, as JSON objects, and nobody else.
    """

    timestamp: float
    id: str
    state: FeedbackState
    noted: tuple[str, ...] = ()
