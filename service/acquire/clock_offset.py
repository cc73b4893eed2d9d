"""Offset between two machines' clocks, from pings."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

DRIFT = 1e-4
"""Seconds per second by which two quartz clocks may drift apart: 50 ppm each."""
KEPT = 120


@dataclass(frozen=True)
class OffsetSample:
    """An estimate: our clock at the answer, the offset, and half of the round trip (s)."""

    received: float
    offset: float
    error: float


class OffsetEstimate:
    """The other clock minus ours, from pings (Cristian, Distributed Computing 3, 1989).

    The other side answered at some time between sending and receiving, so the middle is wrong by at
    most half of the round trip. The best of the last answers is used: its error is half of its
    round trip plus the drift since then. On a local network that is below 1 ms; if both ways take
    equally long, far less.
    """

    def __init__(self) -> None:
        self._answers: deque[OffsetSample] = deque(maxlen=KEPT)

    def note(self, sent: float, received: float, theirs: float) -> None:
        """Add a ping: sending and receiving times on our clock, and the other clock's answer."""
        middle = (sent + received) / 2
        self._answers.append(OffsetSample(received, theirs - middle, (received - sent) / 2))

    @property
    def known(self) -> int:
        """Number of answers, up to 120."""
        return len(self._answers)

    @property
    def offset(self) -> float:
        """Seconds to add to our time to get the other's; needs an answer."""
        now = self._answers[-1].received
        best = min(self._answers, key=lambda each: each.error + DRIFT * (now - each.received))
        return best.offset
