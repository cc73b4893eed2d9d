"""Values of another recording, one after the other at their own pace: those of a sham."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mimamba.drivers.errors import BadRecording
from mimamba.service.rules.recorded_values import (
    NothingToWatch,
    Values,
    load_topics,
    recorded_values,
)
from mimamba.service.rules.rule_file import Watched

LEAST_SECONDS = 10.0
"""Least length of a recording's values, s."""
HELD = 2.0
"""Time for which a value holds, s: over a gap of the recording there is none. It is two steps of
the recording if they are longer.
"""


class TooShort(BadRecording):
    """A recording has too few values for a sham."""


class ShamCourse:
    """The values of a quantity in a recording, from its first value on, in a loop.

    The value at a time depends on nothing but the recording and that time.

    Parameters
    ----------
    values
        Times (s) and values; NaN where the recording has none.

    Attributes
    ----------
    first
        Seconds from the first of these times to the first value.
    seconds
        Length of one pass, s; 0 without a value.
    shown
        Seconds that were shown so far: the next step of a study goes on there.
    """

    def __init__(self, values: Values) -> None:
        stamps, numbers = values
        known = np.flatnonzero(np.isfinite(numbers))
        start = int(known[0]) if len(known) else len(numbers)
        self._at = np.maximum.accumulate(stamps[start:]) - (stamps[start] if len(known) else 0)
        self._values = numbers[start:]
        self.first = float(stamps[start] - stamps[0]) if len(known) else 0.0
        self.seconds, self._held = 0.0, HELD
        self.shown = 0.0
        if len(self._at) > 1:
            step = float(np.median(np.diff(self._at)))
            self.seconds, self._held = float(self._at[-1]) + step, max(HELD, 2 * step)

    def at(self, seconds: float) -> tuple[int, float | None]:
        """Return the pass, from 1, and the value at a time from the start on, s; None without one.

        Before the start it is the first value.
        """
        passed, rest = divmod(max(0.0, seconds), self.seconds)
        before = int(np.searchsorted(self._at, rest, side="right")) - 1
        value = float(self._values[before])
        is_there = rest - self._at[before] <= self._held and np.isfinite(value)
        return int(passed) + 1, value if is_there else None


def load_course(path: Path, watched: Watched, quantity: str) -> ShamCourse:
    """Load the values of a quantity from a recording.

    Raises
    ------
    BadRecording
        If the file cannot be read.
    NothingToWatch
        If it has no such quantity.
    TooShort
        If it has values for less than ``LEAST_SECONDS``.
    """
    found = recorded_values(watched, load_topics(path))
    if found is None:
        raise NothingToWatch(
            f"{quantity} in the recording {path.stem}",
            "nothing of it",
            "choose a recording whose model has this output",
        )
    course = ShamCourse(found)
    if course.seconds < LEAST_SECONDS:
        raise TooShort(
            f"at least {LEAST_SECONDS:g} s of {quantity} in the recording {path.stem}",
            f"{course.seconds:.1f} s",
            "choose a longer one; it starts again at its end",
        )
    return course
