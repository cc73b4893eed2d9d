"""Heart rate as a value, light to import since messages carry it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

HeartReason: TypeAlias = Literal[
    "too little signal", "samples are missing", "no clear pulse", "the head moved"
]


@dataclass(frozen=True)
class HeartRate:
    """Heart rate over the last seconds of a pulse sensor's signal.

    Parameters
    ----------
    index
        Index of the newest sample used.
    timestamp
        Time of that sample, s.
    rate
        Beats per minute; None if the signal does not show it.
    confidence
        From 0 (no pulse is visible) to 1 (all beats alike).
    reason
        Why there is no rate; None if there is one.
    """

    index: int
    timestamp: float
    rate: float | None
    confidence: float
    reason: HeartReason | None
