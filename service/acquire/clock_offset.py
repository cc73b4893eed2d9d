"""The offset between two machines' clocks, from questions and their answers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

DRIFT = 1e-4
"""Seconds a second by which two quartz clocks may part: 50 ppm each."""
KEPT = 120


@dataclass(frozen=True)
class OffsetSample:
    """An estimate: our clock at the answer, the offset, and half of the time it took, seconds."""

    received: float
    offset: float
    error: float


class OffsetEstimate:
    """The other clock less ours, from pings (Cristian, Distributed Computing 3, 1989).

    The other side answered somewhere between sending and receiving, so the middle is wrong by at
    most half of the round trip. The best of the last answers counts: its error is half of its round
    trip plus what the clocks may have parted since. On a local network that is below 1 ms; where
    both ways take equally long, far less.
    """

    def __init__(self) -> None:
        self._answers: deque[OffsetSample] = deque(maxlen=KEPT)

    def note(self, sent: float, received: float, theirs: float) -> None:
        """A question sent and answered at these times of our clock, and the other's in it."""
        middle = (sent + received) / 2
        self._answers.append(OffsetSample(received, theirs - middle, (received - sent) / 2))

    @property
    def known(self) -> int:
        """How many answers there are, up to 120."""
        return len(self._answers)

    @property
    def offset(self) -> float:
        """To be added to our time to get the other's, seconds; there must be an answer."""
        now = self._answers[-1].received
        best = min(self._answers, key=lambda each: each.error + DRIFT * (now - each.received))
        return best.offset
