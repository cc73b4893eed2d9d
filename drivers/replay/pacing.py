"""When the instants of a file are played, and which stamps they get."""

from __future__ import annotations

import math

from mimamba.drivers.driver import Seconds


class PlaybackClock:
    """Maps a file's own time to the clock on which it is played.

    It runs or stands; while it runs, ``speed`` seconds of the file are played in each second, and
    all of it at once where the speed is inf. A stamp tells when an instant is played. At speed inf
    stamps count as at speed 1, so they run ahead of the clock; a pause lets the clock catch up.
    Stamps never go back, whatever is done.

    Parameters
    ----------
    instant
        The file's time at which it stands, s.
    speed
        Seconds of the file played in a second.
    """

    def __init__(self, instant: float, speed: float) -> None:
        self.speed = speed
        self._instant = instant
        self._began: float | None = None
        """When ``_instant`` was played; None while it stands."""
        self._stamp = -math.inf
        """What ``_instant`` is stamped."""

    def run(self, now: float) -> None:
        """Go on, where it stands."""
        if self._began is None:
            self._began = now
            self._stamp = max(self._stamp, now)

    def stand(self, now: float, earliest: float, latest: float) -> None:
        """Stop at the instant that is played now, between two others."""
        if self._began is not None:
            played = math.inf if self.speed == math.inf else (now - self._began) * self.speed
            self._move(min(max(self._instant + played, earliest), latest))
            self._began = None

    def jump(self, after: float, instant: float) -> None:
        """Play ``instant`` where ``after`` would have been played."""
        if self._began is not None:
            self._move(after)
        self._instant = instant

    def delay(self, seconds: float) -> None:
        """Play all that follows later."""
        assert self._began is not None
        self._began += seconds
        self._stamp += seconds

    def wait(self, now: float, instant: float) -> float:
        """Seconds until an instant is played, below 0 where we are late; only while it runs."""
        assert self._began is not None
        if self.speed == math.inf:
            return 0.0
        return self._began + (instant - self._instant) / self.speed - now

    def stamps(self, instants: Seconds) -> Seconds:
        """What instants are stamped."""
        return self._stamp + (instants - self._instant) / self._rate

    def stamp(self, instant: float) -> float:
        """What an instant is stamped."""
        return self._stamp + (instant - self._instant) / self._rate

    @property
    def _rate(self) -> float:
        return 1.0 if self.speed == math.inf else self.speed

    def _move(self, instant: float) -> None:
        """Count from another instant."""
        step = instant - self._instant
        assert self._began is not None
        self._began += step / self.speed
        self._stamp += step / self._rate
        self._instant = instant
