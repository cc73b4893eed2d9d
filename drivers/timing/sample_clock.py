"""Gaps and even timestamps for sources without packet numbers: LSL streams and most files.

The clock fits a line through the stamps as they come (the least-squares filter of degree 1, with
growing and then constant memory: Morrison, Introduction to Sequential Smoothing and Prediction,
1969). Jitter, repeats and steps back are only deviations from that line. A gap is a place where
stamps run ahead of it by more than ``GAP_SECONDS`` and stay there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import isfinite
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds

GAP_SECONDS = 0.1
"""Lead of a stamp over the line that makes a gap possible, s."""
HOLD_SECONDS = 0.25
"""Time for which stamps must stay ahead before it counts as a gap, s. It is long enough to average
jitter (21 ms in the worst file at hand), and it delays only samples after a possible gap."""
SETTLED_SECONDS = 0.025
"""Decrease of the lead between the halves of ``HOLD_SECONDS`` that shows a burst catching up, s: it
comes at more than 1.2 times the nominal rate."""
MAX_HOLD_SECONDS = 10.0
"""Longest time for a burst to catch up, s; then it counts as a gap."""
MEMORY_SECONDS = 10.0
"""Memory of the line, s: jitter of 4.4 ms then moves the rate by 30 ppm."""
SET_BACK_SECONDS = 1.0
"""Lag of stamps, s, beyond which their clock was set back. The line catches up with a smaller lag
at half speed."""


class SampleClock:
    """Converter of stamped samples to chunks with ``first`` and even timestamps.

    Every sample comes out once, in order. The result does not depend on how the samples were split
    over calls, except for the borders of the chunks. Timestamps grow strictly. A gap counts as
    ``round(elapsed * sfreq)`` samples. Samples after a possible gap are held back until it is
    decided.

    Parameters
    ----------
    sfreq
        Nominal sampling frequency, Hz. The line's rate may differ from it by a fifth.
    """

    def __init__(self, sfreq: float) -> None:
        self._sfreq = sfreq
        self._hold = max(8, round(HOLD_SECONDS * sfreq))
        self._max_hold = round(MAX_HOLD_SECONDS * sfreq)
        self._line: _StampLine | None = None
        self._next = 0  # index of the next sample to come out
        self._ahead: list[float] = []  # of each held sample against the line, s
        self._held: list[float] = []  # their stamps
        self._rows: NDArray[np.float32] | None = None  # their data

    def push(self, stamps: Seconds, data: Samples) -> list[Chunk]:
        """Process the next samples; return those that are decided.

        Parameters
        ----------
        stamps
            (n_times,), s, from the source. A stamp that is not finite is ignored.
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
        out = _ClockOutput(self._next)
        self._process(stamps.tolist(), out)
        self._rows = rows[out.n_times :].copy()
        self._next = out.next
        return out.chunks(rows)

    def flush(self) -> list[Chunk]:
        """Decide about the samples that are still held, and return them."""
        if self._rows is None:
            return []
        out = _ClockOutput(self._next)
        while self._ahead:
            if self._level() > GAP_SECONDS:
                self._process(self._accept(out), out)
            else:
                self._dismiss(out)
        rows, self._rows = self._rows, None
        self._next = out.next
        return out.chunks(rows)

    def _process(self, stamps: Iterable[float], out: _ClockOutput) -> None:
        queue = deque(stamps)
        while queue:
            stamp = queue.popleft()
            if self._line is None:
                self._line = _StampLine(stamp, self._sfreq)
            ahead = stamp - self._line.expected(len(self._ahead))
            if not isfinite(ahead):  # treated like the sample before it
                ahead = self._ahead[-1] if self._ahead else 0.0
            if not self._ahead and ahead <= GAP_SECONDS:
                out.add(self._line.follow(ahead))
            elif ahead <= GAP_SECONDS / 2:
                self._dismiss(out)
                queue.appendleft(stamp)
            else:
                self._ahead.append(ahead)
                self._held.append(stamp)
                self._decide(queue, out)

    def _decide(self, queue: deque[float], out: _ClockOutput) -> None:
        """Decide for a gap once the held samples stay ahead for ``HOLD_SECONDS``."""
        if len(self._ahead) < self._hold:
            return
        recent = self._ahead[-self._hold :]
        half = self._hold // 2
        falling = median(recent[:half]) - median(recent[half:]) > SETTLED_SECONDS
        if falling and len(self._ahead) < self._max_hold:
            return
        if median(recent) > GAP_SECONDS:
            queue.extendleft(reversed(self._accept(out)))
        else:
            self._dismiss(out)

    def _level(self) -> float:
        """Estimate the lead of the first held sample, s.

        The estimate uses the last held samples, or the first if those are lower: then a second gap
        follows, which is found when the samples are processed again.
        """
        level = median(self._ahead[-self._hold :])
        early = median(self._ahead[: self._hold // 2])
        return early if GAP_SECONDS < early < level - SETTLED_SECONDS else level

    def _accept(self, out: _ClockOutput) -> list[float]:
        """Count the gap, and return the held stamps to be processed again after it."""
        assert self._line is not None
        level = self._level()
        out.skip(max(1, round((self._line.period + level) * self._sfreq)) - 1)
        self._line.restart(level)
        held = self._held
        self._ahead, self._held = [], []
        return held

    def _dismiss(self, out: _ClockOutput) -> None:
        """Continue the held samples along the line, without adapting it: there is no gap."""
        assert self._line is not None
        for _ in self._ahead:
            out.add(self._line.coast())
        self._ahead, self._held = [], []


class _StampLine:
    """The expected time of the next sample, s, and the period between samples, s."""

    def __init__(self, start: float, sfreq: float) -> None:
        if not isfinite(start):
            raise ValueError(f"the first stamp must be finite, not {start}")
        self._nominal = 1 / sfreq
        self._min_memory = max(8, round(HOLD_SECONDS * sfreq))
        self._max_memory = max(self._min_memory, round(MEMORY_SECONDS * sfreq))
        self._behind: list[float] = []
        self._offset = 0.0  # added to stamps since their clock was set back
        self._n = self._min_memory
        self._at = start
        self.period = self._nominal

    def expected(self, further: int) -> float:
        """Return the stamp expected ``further`` samples after the next one."""
        return self._at + further * self.period - self._offset

    def follow(self, error: float) -> float:
        """Return the next sample's time.

        Its stamp deviates by ``error``, s, at most ``GAP_SECONDS``.
        """
        if error < -GAP_SECONDS:
            return self._lag(error)
        self._behind.clear()
        n = self._n
        self._n = min(n + 1, self._max_memory)
        period = self.period + 6 / ((n + 1) * (n + 2)) * error
        self.period = min(max(period, 0.8 * self._nominal), 1.2 * self._nominal)
        correction = 2 * (2 * n + 1) / ((n + 1) * (n + 2)) * error
        return self._advance(max(self.period + correction, self._nominal / 4))

    def coast(self) -> float:
        """Return the next sample's time, independent of its stamp."""
        return self._advance(self.period)

    def restart(self, ahead: float) -> None:
        """Jump ``ahead`` seconds forward with the same period, and reset the memory."""
        self._at += ahead
        self._n = self._min_memory

    def _lag(self, error: float) -> float:
        """Return the time of a sample whose stamp is far behind."""
        if error >= -SET_BACK_SECONDS:
            self._behind.clear()
            self._n = self._min_memory
            return self._advance(self.period / 2)
        self._behind.append(error)
        if len(self._behind) == self._min_memory:
            self._offset -= median(self._behind)
            self._behind.clear()
        return self.coast()

    def _advance(self, step: float) -> float:
        at = self._at
        self._at += step
        return at


class _ClockOutput:
    """Samples decided in one call: their times, and the places of missing samples."""

    def __init__(self, first: int) -> None:
        self.next = first
        self._times: list[float] = []
        self._starts = [(0, first)]  # position in this output, index of that sample

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
