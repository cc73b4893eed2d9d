"""Baseline of a session as the API shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SessionBaseline:
    """State of a session's baseline.

    Parameters
    ----------
    wanted, taken
        Seconds of the baseline in progress, and how many of them are recorded; 0 without one.
    seconds
        Seconds of the baseline in use; 0 without one.
    usual
        Seconds that the model was trained with; 0 if it uses none.
    person
        The session's person; null if it has none.
    """

    wanted: float
    taken: float
    seconds: float
    usual: float
    person: str | None
