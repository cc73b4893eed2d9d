"""The clock of playback: times at which a file's samples are played, and their timestamps."""

from __future__ import annotations

import math

from mimamba.drivers.driver import Seconds


class PlaybackClock:
    """Mapping from a file's own time to the clock of playback.

    The clock runs or is paused. While it runs, ``speed`` seconds of the file are played per second;
    at speed inf everything is due immediately. A stamp is the time at which an instant is played.
    At speed inf stamps advance as at speed 1, so they run ahead of the clock; a pause lets the
    clock catch up. Stamps never go back.

    Parameters
    ----------
    instant
        The file's time at the start, s.
    speed
        Seconds of the file per second.
    """

    def __init__(self, instant: float, speed: float) -> None:
        self.speed = speed
        self._instant = instant
        self._began: float | None = None
        """Time at which ``_instant`` was played; None while paused."""
        self._stamp = -math.inf
        """Stamp of ``_instant``."""

    def start(self, now: float) -> None:
        """Start, unless the clock runs already."""
        if self._began is None:
            self._began = now
            self._stamp = max(self._stamp, now)

    def pause(self, now: float, earliest: float, latest: float) -> None:
        """Pause at the present instant, limited to [earliest, latest], s."""
        if self._began is not None:
            played = math.inf if self.speed == math.inf else (now - self._began) * self.speed
            self._move(min(max(self._instant + played, earliest), latest))
            self._began = None

    def jump(self, after: float, instant: float) -> None:
        """Play ``instant`` at the time at which ``after`` would have been played."""
        if self._began is not None:
            self._move(after)
        self._instant = instant

    def delay(self, seconds: float) -> None:
        """Delay everything that follows."""
        assert self._began is not None
        self._began += seconds
        self._stamp += seconds

    def seconds_until(self, now: float, instant: float) -> float:
        """Return the seconds until an instant is played, negative if it is late.

        The clock must run.
        """
        assert self._began is not None
        if self.speed == math.inf:
            return 0.0
        return self._began + (instant - self._instant) / self.speed - now

    def stamps(self, instants: Seconds) -> Seconds:
        """Return the stamps of instants."""
        return self._stamp + (instants - self._instant) / self._rate

    def stamp(self, instant: float) -> float:
        """Return the stamp of an instant."""
        return self._stamp + (instant - self._instant) / self._rate

    @property
    def _rate(self) -> float:
        return 1.0 if self.speed == math.inf else self.speed

    def _move(self, instant: float) -> None:
        """Change the reference instant."""
        step = instant - self._instant
        assert self._began is not None
        self._began += step / self.speed
        self._stamp += step / self._rate
        self._instant = instant
