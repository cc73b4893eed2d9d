"""Gaps and even timestamps for sources that number no packets: LSL streams and most files.

The clock fits a line through the stamps as they come (the growing-memory least-squares filter of
degree 1, then of constant memory: Morrison, Introduction to Sequential Smoothing and Prediction,
1969). Jitter, repeats and steps back are only deviations from that line. A gap is where stamps run
ahead of it by more than ``LIMIT`` and stay there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import isfinite
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds

LIMIT = 0.1
"""Stamps further ahead than this are suspected to follow a gap, s."""
HOLD = 0.25
"""They must stay ahead for so many samples' time before it counts as a gap, s. Long enough for a
level that is steady against jitter (21 ms in the worst file at hand), and it delays only samples
that follow a suspected gap."""
SETTLED = 0.025
"""A level that falls by more than this between the halves of ``HOLD`` has not settled, s: a burst
is catching up at more than 1.2 times the nominal rate, and is waited for."""
PATIENCE = 10.0
"""A burst may take so many samples' time to catch up, s; then it counts as a gap."""
MEMORY = 10.0
"""Time over which the line is fitted, s: jitter of 4.4 ms then moves the rate by 30 ppm."""
SET_BACK = 1.0
"""Stamps that stay further behind than this come from a clock that was set back, s. Less is caught
up by running at half pace."""


class SampleClock:
    """Turns stamped samples into chunks with ``first`` and even timestamps.

    Every sample comes out once, in order; what comes out does not depend on how the samples were
    split into packets, save for the borders of the chunks. Timestamps grow strictly. A gap is
    counted as ``round(elapsed * sfreq)`` samples. Only samples after a suspected gap are held
    back, until it is decided.

    Parameters
    ----------
    sfreq
        Nominal sampling frequency, Hz. The line's rate may differ from it by a fifth.
    """

    def __init__(self, sfreq: float) -> None:
        self._sfreq = sfreq
        self._hold = max(8, round(HOLD * sfreq))
        self._patience = round(PATIENCE * sfreq)
        self._line: _Line | None = None
        self._next = 0  # index of the next sample to come out
        self._ahead: list[float] = []  # of each held sample against the line, s
        self._held: list[float] = []  # their stamps
        self._rows: NDArray[np.float32] | None = None  # their data

    def push(self, stamps: Seconds, data: Samples) -> list[Chunk]:
        """Take the next samples; give those that are decided.

        Parameters
        ----------
        stamps
            (n_times,), seconds, as the source gave them. One that is not finite tells nothing.
        data
            (n_times, n_channels); copied.

        Raises
        ------
        ValueError
            If the very first stamp is not finite.
        """
        rows = np.array(data, dtype=np.float32, order="C")
        if self._rows is not None:
            rows = np.concatenate([self._rows, rows])
        out = _Run(self._next)
        self._walk(stamps.tolist(), out)
        self._rows = rows[out.n_times :].copy()
        self._next = out.next
        return out.chunks(rows)

    def flush(self) -> list[Chunk]:
        """Decide about the samples still held, as far as they tell, and give them."""
        if self._rows is None:
            return []
        out = _Run(self._next)
        while self._ahead:
            if self._level() > LIMIT:
                self._walk(self._accept(out), out)
            else:
                self._dismiss(out)
        rows, self._rows = self._rows, None
        self._next = out.next
        return out.chunks(rows)

    def _walk(self, stamps: Iterable[float], out: _Run) -> None:
        queue = deque(stamps)
        while queue:
            stamp = queue.popleft()
            if self._line is None:
                self._line = _Line(stamp, self._sfreq)
            ahead = stamp - self._line.expected(len(self._ahead))
            if not isfinite(ahead):  # it stays with those before it
                ahead = self._ahead[-1] if self._ahead else 0.0
            if not self._ahead and ahead <= LIMIT:
                out.add(self._line.follow(ahead))
            elif ahead <= LIMIT / 2:
                self._dismiss(out)
                queue.appendleft(stamp)
            else:
                self._ahead.append(ahead)
                self._held.append(stamp)
                self._decide(queue, out)

    def _decide(self, queue: deque[float], out: _Run) -> None:
        """A gap, once the held samples keep their distance for ``HOLD``."""
        if len(self._ahead) < self._hold:
            return
        recent = self._ahead[-self._hold :]
        half = self._hold // 2
        falling = median(recent[:half]) - median(recent[half:]) > SETTLED
        if falling and len(self._ahead) < self._patience:
            return
        if median(recent) > LIMIT:
            queue.extendleft(reversed(self._accept(out)))
        else:
            self._dismiss(out)

    def _level(self) -> float:
        """How far ahead the first held sample is, s.

        The last of them say so, unless the first were lower: then a second gap follows, and is
        found when the samples are walked again.
        """
        level = median(self._ahead[-self._hold :])
        early = median(self._ahead[: self._hold // 2])
        return early if LIMIT < early < level - SETTLED else level

    def _accept(self, out: _Run) -> list[float]:
        """Count the gap, and give the held stamps to be walked again after it."""
        assert self._line is not None
        level = self._level()
        out.skip(max(1, round((self._line.period + level) * self._sfreq)) - 1)
        self._line.restart(level)
        held = self._held
        self._ahead, self._held = [], []
        return held

    def _dismiss(self, out: _Run) -> None:
        """No gap: the held samples go on along the line, which learns nothing from them."""
        assert self._line is not None
        for _ in self._ahead:
            out.add(self._line.coast())
        self._ahead, self._held = [], []


class _Line:
    """Where the next sample is expected, s, and the period between samples, s."""

    def __init__(self, start: float, sfreq: float) -> None:
        if not isfinite(start):
            raise ValueError(f"the first stamp must be finite, not {start}")
        self._nominal = 1 / sfreq
        self._least = max(8, round(HOLD * sfreq))
        self._most = max(self._least, round(MEMORY * sfreq))
        self._behind: list[float] = []
        self._offset = 0.0  # added to stamps since their clock was set back
        self._n = self._least
        self._at = start
        self.period = self._nominal

    def expected(self, further: int) -> float:
        """The stamp expected ``further`` samples after the next."""
        return self._at + further * self.period - self._offset

    def follow(self, error: float) -> float:
        """The next sample's time; its stamp deviates by ``error`` (at most ``LIMIT``), s."""
        if error < -LIMIT:
            return self._lag(error)
        self._behind.clear()
        n = self._n
        self._n = min(n + 1, self._most)
        period = self.period + 6 / ((n + 1) * (n + 2)) * error
        self.period = min(max(period, 0.8 * self._nominal), 1.2 * self._nominal)
        correction = 2 * (2 * n + 1) / ((n + 1) * (n + 2)) * error
        return self._advance(max(self.period + correction, self._nominal / 4))

    def coast(self) -> float:
        """The next sample's time, whatever its stamp."""
        return self._advance(self.period)

    def restart(self, ahead: float) -> None:
        """Go on ``ahead`` seconds later with the same period; learn anew."""
        self._at += ahead
        self._n = self._least

    def _lag(self, error: float) -> float:
        """A sample whose stamp is far behind."""
        if error >= -SET_BACK:
            self._behind.clear()
            self._n = self._least
            return self._advance(self.period / 2)
        self._behind.append(error)
        if len(self._behind) == self._least:
            self._offset -= median(self._behind)
            self._behind.clear()
        return self.coast()

    def _advance(self, step: float) -> float:
        at = self._at
        self._at += step
        return at


class _Run:
    """What comes out of one walk: times, and where samples are missing."""

    def __init__(self, first: int) -> None:
        self.next = first
        self._times: list[float] = []
        self._starts = [(0, first)]  # position in the walk, index of that sample

    @property
    def n_times(self) -> int:
        return len(self._times)

    def add(self, time: float) -> None:
        self._times.append(time)
        self.next += 1

    def skip(self, lost: int) -> None:
        self.next += lost
        self._starts.append((self.n_times, self.next))

    def chunks(self, rows: Samples) -> list[Chunk]:
        times = np.array(self._times, dtype=np.float64)
        stops = [start for start, _ in self._starts[1:]] + [self.n_times]
        return [
            Chunk(rows[start:stop].copy(), times[start:stop].copy(), first)
            for (start, first), stop in zip(self._starts, stops, strict=True)
            if stop > start
        ]
