"""Stamps of a live source on the LSL clock, when its own clock steps, stops or counts otherwise.

A file is checked as a whole (``drivers.timing.stamp_check``). A live source is checked against the
time of arrival: a sample cannot come before its own time, so a stamp from the future shows that the
clock was set forward, and one before its predecessor that it was set back. A delay alone shows
nothing: samples that were held up come late with their own stamps.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from mimamba.drivers.driver import Seconds

MAX_LEAD = 5.0
"""Largest lead of the first stamps over the present, s, if they are of this clock."""
MAX_LAG = 60.0
"""Largest lag of the first stamps, s, if they are of this clock."""
UNIX_TOLERANCE = 86400.0
"""Distance from now up to which stamps are UNIX time, s."""
LEAD_TOLERANCE = 0.25
"""Lead over the present, s, in excess of the usual one, that shows a step of the clock."""
SET_BACK_SECONDS = 0.1
"""Step back that is one of the clock, s; ``SampleClock`` evens out smaller ones."""
HOLD_SECONDS = 0.25
"""Time for which stamps must be implausible before the clock is followed, s."""
MAX_STALL = 0.5
"""Pause during a step, s; a longer one shows that samples were lost, too."""
DRIFT = 1e-3
"""Change of the usual lead and delay, seconds per second: clocks drift by far less."""
SLOW_PACE = 0.5
"""Pace of stamps that are useless if samples arrive at the declared rate."""
IN_TIME = 0.8
"""Share of the expected time in which samples arrive at the declared rate, not in a burst."""
CATCH_UP = 0.01
"""Pace, seconds per second, at which times make up for stamps that stood still."""
STEPS, STEPS_PERIOD = 3, 10.0
"""Number of steps within a time, s, after which the stamps are not used any more."""
SETTLED_SECONDS = 1.0
"""Time without another step, s, after which a step is reported."""


class LiveStamps:
    """Converter of a live source's stamps to the LSL clock.

    No sample is refused. One with an implausible stamp gets the time after the one before it. If
    stamps stay implausible for ``HOLD_SECONDS``, their clock has stepped: all further ones are
    moved, so that time goes on. Stamps that step again and again, stand still or go at another pace
    are replaced by the time of arrival. Each of these is reported once, by ``take_remarks``.

    Parameters
    ----------
    sfreq
        Sampling frequency, Hz.
    name
        Source, for remarks.
    scale
        Seconds per unit of the stamps, e.g. 0.001 for milliseconds.
    by_arrival
        True if the stamps are known to be useless.

    Attributes
    ----------
    notices
        Remarks about the first stamps, one sentence each.
    """

    def __init__(
        self, sfreq: float, name: str, scale: float = 1.0, by_arrival: bool = False
    ) -> None:
        self.notices: tuple[str, ...] = ()
        self._period = 1 / sfreq
        self._name = name
        self._scale = scale
        self._by_arrival = by_arrival
        self._hold = max(8, round(HOLD_SECONDS * sfreq))
        self._offset: float | None = None
        self._last = 0.0  # time of the last sample
        self._arrived = 0.0  # arrival of the last sample
        self._lead = 0.0  # usual lead of the newest sample over its arrival, s
        self._delay = 0.0  # usual delay of the newest sample, s; negative for a lead
        self._odd: list[float] = []  # implausible stamps of the last samples
        self._steps: deque[float] = deque(maxlen=STEPS)  # arrivals of the last steps
        self._size = 0.0  # of the steps that are not reported yet, s
        self._recent: deque[tuple[float, float]] = deque(maxlen=self._hold)  # time and arrival
        self._late = 0.0  # delay in excess of the usual one, which is made up for slowly, s
        self._remarks: list[str] = []

    def take_remarks(self) -> tuple[str, ...]:
        """Return the remarks about the clock since the last call, a phrase each."""
        remarks, self._remarks = tuple(self._remarks), []
        return remarks

    def translate(self, stamp: float) -> float:
        """Return the time of an event that the source's own clock has stamped."""
        return stamp * self._scale + (self._offset or 0.0)

    def push(self, stamps: Seconds, now: float) -> Seconds:
        """Convert the stamps of the next samples.

        Parameters
        ----------
        stamps
            (n_times,), from the source.
        now
            Arrival of the last one on the LSL clock, s.

        Returns
        -------
        (n_times,), s on the LSL clock, all finite.
        """
        if not len(stamps):
            return stamps
        with np.errstate(all="ignore"):
            seconds = np.asarray(stamps, np.float64) * self._scale
        if self._offset is None:
            self._begin(seconds, now)
        if self._by_arrival:
            times = self._count_back(len(seconds), now)
        else:
            due = now - np.arange(len(seconds))[::-1] * self._period  # at the earliest
            pairs = zip(seconds.tolist(), due.tolist(), strict=True)
            times = np.array([self._time(stamp, arrived, now) for stamp, arrived in pairs])
            self._learn(now)
        self._arrived = now
        return times

    def _begin(self, seconds: Seconds, now: float) -> None:
        """Choose the offset such that the newest sample is now, if its clock is another one."""
        self._offset = 0.0
        due = now - np.arange(len(seconds))[::-1] * self._period
        leads = np.where(np.isfinite(seconds), seconds - due, np.nan)
        good = np.flatnonzero((leads >= -MAX_LAG) & (leads <= MAX_LEAD))  # others are outliers
        if not len(good):
            good = np.flatnonzero(np.isfinite(leads))
        ahead = float(leads[good[-1]]) if len(good) else 0.0
        if not -MAX_LAG <= ahead <= MAX_LEAD:
            if not self._by_arrival:
                unix = abs(now + ahead - time.time()) < UNIX_TOLERANCE
                clock = "UNIX time" if unix else "another clock's"
                self.notices = (f"The stream's stamps are {clock}; the time of arrival is used.",)
            self._offset, ahead = -ahead, 0.0
        self._lead, self._delay = max(0.0, ahead), -ahead
        first = good[0] if len(good) else 0
        began = float(seconds[first]) + self._offset if len(good) else now
        self._last = began - (first + 1) * self._period
        self._arrived = now

    def _time(self, stamp: float, arrived: float, now: float) -> float:
        """Return the time of the next sample, which came after ``arrived`` and by ``now``."""
        assert self._offset is not None
        due = self._last + self._period
        at = stamp + self._offset
        latest = now + self._lead + LEAD_TOLERANCE
        if self._by_arrival:  # since a sample before in the same call
            at = due
        elif self._last - SET_BACK_SECONDS <= at <= latest:
            self._odd.clear()
            self._measure_pace(at, now)
        else:
            at = due
            self._odd.append(stamp)
            if len(self._odd) >= self._hold:
                self._follow_step(arrived)
        self._last = max(self._last, at)
        return at

    def _learn(self, now: float) -> None:
        """Follow the usual lead and delay slowly, as clocks drift; report a step that is over."""
        if self._odd:
            return
        reach = DRIFT * max(0.0, now - self._arrived)
        delay = now - self._last
        self._lead += min(max(0.0, -delay - self._lead), reach)
        self._delay = min(delay, self._delay + reach)
        if self._size and now - self._steps[-1] > SETTLED_SECONDS:
            way = "forward" if self._size > 0 else "back"
            self._remarks.append(
                f"the clock of {self._name} was set {way} by {abs(self._size):.6g} s; "
                "no sample is lost by that, and the times go on as before"
            )
            self._size = 0.0

    def _follow_step(self, now: float) -> None:
        """Move the stamps so that the newest one has the time after the last sample."""
        odd, self._odd = self._odd, []
        span, due = odd[-1] - odd[0], (len(odd) - 1) * self._period
        if not np.isfinite(odd).all():
            self._count_step(now, "they are no numbers")
            return
        at = self._last + self._period
        if now - at > self._delay + MAX_STALL:
            at = now - max(self._delay, 0.0)  # samples were lost meanwhile
        self._move(at - odd[-1])
        even = SLOW_PACE * due - SET_BACK_SECONDS <= span <= 2 * due + SET_BACK_SECONDS
        self._count_step(now, "they do not count seconds", even)

    def _measure_pace(self, at: float, now: float) -> None:
        """Give up stamps that hardly advance although samples arrive at their rate."""
        self._recent.append((at, now))
        if len(self._recent) < self._hold:
            return
        due, (start, arrived) = (self._hold - 1) * self._period, self._recent[0]
        if at - start < SLOW_PACE * due and now - arrived > IN_TIME * due:
            self._use_arrival(now, "they hardly advance")

    def _move(self, offset: float) -> None:
        """Use another offset, s."""
        self._size -= offset - (self._offset or 0.0)
        self._offset = offset

    def _count_step(self, now: float, problem: str, usable: bool = True) -> None:
        """Use the time of arrival from here on if there were too many steps."""
        self._steps.append(now)
        often = len(self._steps) == STEPS and now - self._steps[0] < STEPS_PERIOD
        if usable and not often:
            return
        self._use_arrival(now, problem)

    def _use_arrival(self, now: float, problem: str) -> None:
        self._by_arrival, self._size = True, 0.0
        self._late = max(0.0, now - self._last - max(self._delay, 0.0))
        self._remarks.append(
            f"the stamps of {self._name} are not used from here on, because {problem}; the time of "
            "arrival is used"
        )

    def _count_back(self, n_times: int, now: float) -> Seconds:
        """Return times such that the newest sample is as old as usual."""
        self._late = max(0.0, self._late - CATCH_UP * (now - self._arrived))
        newest = now - max(self._delay, 0.0) - self._late
        self._last = max(self._last, newest)
        times: Seconds = newest + np.arange(1 - n_times, 1, dtype=np.float64) * self._period
        return times
