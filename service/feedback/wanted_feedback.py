"""Feedback for a study as it is asked for: by a person, a program, or a protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mimamba.service.protocol.feedback_state import FeedbackState
from mimamba.service.rules.rule_file import Rule, watched_quantity

FeedbackChoice: TypeAlias = Literal["real", "sham", "drawn"]
"""The wearer's own values, those of another recording, or one of the two by chance."""
FeedbackValues: TypeAlias = Literal["real", "sham", "drawn", "balanced"]
"""The same, and for the protocols of studies: each of the two for half of the people."""
QUANTITY: Final = "OUTPUT/LABEL, personal/STATE, band/BAND or band/BAND/ELECTRODE"
"""Names of what feedback can follow."""
MOST_RECORDINGS: Final = 10
"""Recordings that may be given for a sham: all are loaded before it begins."""
PEOPLE_IN_BLOCK: Final = 4
MOST_IN_BLOCK: Final = 100


@dataclass(frozen=True)
class WantedFeedback:
    """Feedback that was asked for.

    Parameters
    ----------
    quantity
        What is followed, as in rules.
    side, at, back
        The threshold.
    choice
        Whose values are shown.
    recordings
        Names of recordings whose values may be shown; of several, one is drawn.
    blind
        Whether nobody is told which values are shown; a draw is always blind.
    block
        For ``balanced``, people of whom half get a sham.
    """

    quantity: str
    side: Literal["above", "below"]
    at: float
    back: float
    choice: FeedbackValues
    recordings: tuple[str, ...] = ()
    blind: bool = False
    block: int = PEOPLE_IN_BLOCK


def feedback_rule(asked: WantedFeedback | FeedbackState) -> Rule | None:
    """Return the quantity with its threshold; None if there is no such quantity."""
    watched = watched_quantity(asked.quantity)
    if watched is None:
        return None
    return Rule("feedback", asked.quantity, watched, asked.side, asked.at, asked.back)
