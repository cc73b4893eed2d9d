"""Times at which the compute loop's rounds begin, and those of them that are with all sessions."""

from __future__ import annotations

PERIOD = 0.03
"""Seconds from one round with all sessions to the next: a screen shows no more."""
LONGEST_PERIOD = 0.04
"""The same where a round for hops is near: it is taken for both."""
REST_PER_PAIR = 1.5e-6
"""Seconds between the starts of two rounds, times the square of the number of sessions that send:
with few of them a hop is stepped at once; with many there is less time for each, and to step 16
hops together takes less than half of the time that they take in fours."""
LONGEST_REST = 0.02
"""Seconds between the starts of two rounds, with many sessions."""
FEW = 8
"""Number of sessions up to which every chunk begins a round with all."""
IDLE_WAIT = 1.0
"""Seconds between two rounds with all sessions where none sends anything."""


class RoundPace:
    """Decides when a round begins, and which; all times are s of one monotonic clock.

    With more than ``FEW`` sessions, a round with all of them begins 25 to 50 times a second, as far
    as the rounds take no longer than their rest: the next one could begin too late.

    Parameters
    ----------
    now
        The time.
    """

    def __init__(self, now: float) -> None:
        self._whole = now

    def wait(self, sessions: int, now: float) -> float:
        """Return how long the next round waits if no hop is complete, s."""
        return IDLE_WAIT if sessions <= FEW else max(0.0, self._whole - now)

    def begin(self, sessions: int, sending: int, now: float) -> bool:
        """Begin a round; return whether it is one with all sessions.

        ``sending`` of them send at present.
        """
        slack = LONGEST_PERIOD - PERIOD
        if sessions > FEW and now < self._whole and now + rest_of(sending) <= self._whole + slack:
            return False
        self._whole = now + PERIOD
        return True


def rest_of(sending: int) -> float:
    """Return the time between the starts of two rounds with this many sessions that send, s."""
    return min(REST_PER_PAIR * sending**2, LONGEST_REST)
