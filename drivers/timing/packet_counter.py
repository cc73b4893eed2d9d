"""Indices and even timestamps from a device's packet counter.

The counter shows exactly how many samples were lost, as long as it has not wrapped meanwhile.
Reception times show if it wrapped or was restarted. Each sample's timestamp lies on a slowly
adapting line through the reception times over the index (the least-squares filter of degree 1, with
growing and then constant memory: Morrison, Introduction to Sequential Smoothing and Prediction,
1969). The line continues across a gap: the counter gives the gap's length, so the rate learnt
before it is still valid after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds

MAX_DISAGREEMENT = 1.0
"""Largest difference between clock and counter, s; beyond it the clock is right, unless the samples
catch up."""
HOLD_SECONDS = 0.5
"""Time for which late samples must stay equally late, as they arrive, before a loss is counted
that the counter does not show, s."""
MAX_PAUSE = HOLD_SECONDS / 2
"""Longest pause between two arrivals in that time, s: a burst whose reader is stopped for a moment
gets late again, and that alone looks like samples that stay equally late."""
SETTLED_SECONDS = 0.025
"""Decrease of the delay between the halves of ``HOLD_SECONDS`` if a burst is catching up, s."""
MAX_HOLD_SECONDS = 10.0
"""Longest time for a burst to catch up, s: a longer stall is a lost connection."""
MEMORY_SECONDS = 10.0
"""Memory of the line, s."""
START_SECONDS = 0.25
"""Weight of the nominal rate at the start, as a time of observation, s."""
MAX_DEVIATION = 0.05
"""Limit for the deviation of one reception from the line, s. A stall of 1 s that catches up, 12 s
after the start, then moves the line by 20 ms instead of 170 ms."""
MAX_RATE_ERROR = 0.02
"""Largest relative difference between a device's rate and the nominal one."""


@dataclass(frozen=True)
class PacketNumbering:
    """Packet numbering of a device.

    Parameters
    ----------
    n_packets
        Number of packet numbers: they run from 0 to ``n_packets - 1`` and start again.
    n_times
        Samples per packet; each carries the packet's number.
    first_n_times
        Samples in packet 0.
    highest
        Highest number of a sample; rows with a higher number are not samples.
    """

    n_packets: int
    n_times: int
    first_n_times: int
    highest: int

    @property
    def cycle(self) -> int:
        """Number of samples until the numbers start again."""
        return self.first_n_times + (self.n_packets - 1) * self.n_times

    def length(self, number: int) -> int:
        """Return the number of samples in the packet with this number."""
        return self.first_n_times if self._packet(number) == 0 else self.n_times

    def position(self, number: int) -> int:
        """Return the number of samples in a cycle before the packet with this number."""
        packet = self._packet(number)
        return 0 if packet == 0 else self.first_n_times + (packet - 1) * self.n_times

    def _packet(self, number: int) -> int:
        if self.first_n_times == self.n_times or number == 0:
            return number % self.n_packets
        return (number - 1) % (self.n_packets - 1) + 1


BYTE_NUMBERING = PacketNumbering(256, 1, 1, 255)
"""One sample per packet, 0 to 255: Cyton and BrainFlow's synthetic board."""
MUSE_NUMBERING = PacketNumbering(65536, 12, 12, 65535)
"""Muse 2 and S: 16 bits, one number for the 12 samples of a notification."""
GANGLION_NUMBERING = PacketNumbering(100, 2, 2, 200)
"""Ganglion, firmware 3: 0-99 or 100-199 by its compression; 201-205 are impedance rows."""
GANGLION_2_NUMBERING = PacketNumbering(101, 2, 1, 200)
"""Ganglion, firmware 2: 0 with one whole sample, then 1-100 or 101-200 with two differences each
(OpenBCI, Ganglion Data Format)."""


class CounterClock:
    """Converter of numbered and stamped samples to chunks with ``first`` and even timestamps.

    The result does not depend on how the samples were split over calls, except for the borders of
    the chunks. Timestamps grow strictly. Samples that are late by more than half a cycle, or by
    more than ``MAX_DISAGREEMENT``, are held back until it is clear if they catch up.

    Parameters
    ----------
    numbering
        Numbering of the device. With ``GANGLION_NUMBERING`` the firmware is detected: only
        firmware 2 sends numbers of both halves, or a single sample with number 0.
    sfreq
        Nominal sampling frequency, Hz.
    """

    def __init__(self, numbering: PacketNumbering, sfreq: float) -> None:
        self._counter = _SampleCounter(numbering)
        self._sfreq = sfreq
        self._line = _ReceptionLine(sfreq)
        self._hold = max(8, round(HOLD_SECONDS * sfreq))
        self._last = 0  # index of the last sample numbered
        self._held: list[_HeldSample] = []
        self._rows: Samples | None = None  # data of the held samples
        self._decided: list[tuple[int, float]] = []  # index and timestamp

    def push(
        self, numbers: NDArray[np.float64], stamps: Seconds, data: NDArray[np.floating]
    ) -> list[Chunk]:
        """Process the next samples; return those that are decided.

        Parameters
        ----------
        numbers
            (n_times,), packet number of each sample.
        stamps
            (n_times,), time of reception, s.
        data
            (n_times, n_channels), µV; copied.
        """
        keep = numbers <= self._counter.numbering.highest
        rows = np.array(data[keep], dtype=np.float32, order="C")
        if self._rows is not None:
            rows = np.concatenate([self._rows, rows])
        for number, stamp in zip(numbers[keep].tolist(), stamps[keep].tolist(), strict=True):
            self._take(int(number), stamp)
        return self._emit(rows)

    def flush(self) -> list[Chunk]:
        """Decide about the samples that are still held, and return them."""
        if self._rows is None:
            return []
        if self._held:
            self._release(self._uncounted())
        return self._emit(self._rows)

    def _take(self, number: int, stamp: float) -> None:
        index = self._last + self._counter.advance(number)
        late = stamp - self._line.at(index, stamp)
        if late < -MAX_DISAGREEMENT:  # received before it was due: the counter was restarted
            elapsed = stamp - self._line.at(self._last, stamp)
            index = self._last + max(1, round(elapsed * self._sfreq))
            late = stamp - self._line.at(index, stamp)
        self._last = index
        if late > self._limit:
            self._held.append(_HeldSample(index, stamp, late))
            if self._settled():
                self._release(self._uncounted())
            return
        self._release(0)
        self._decide(index, stamp)

    @property
    def _limit(self) -> float:
        return min(self._counter.numbering.cycle / self._sfreq / 2, MAX_DISAGREEMENT)

    def _settled(self) -> bool:
        """Return True if the held samples stay equally late, or had enough time to catch up."""
        if len(self._held) >= round(MAX_HOLD_SECONDS * self._sfreq):
            return True
        recent = self._held[-2 * self._hold :]
        since = recent[-1].stamp - HOLD_SECONDS
        if recent[0].stamp > since:  # not long enough yet, or twice as fast as they were taken
            return False
        recent = [sample for sample in recent if sample.stamp >= since]
        arrivals = sorted(sample.stamp for sample in recent)
        if max(after - at for at, after in pairwise([since, *arrivals])) > MAX_PAUSE:
            return False
        late = [sample.late for sample in recent]
        half = len(late) // 2
        return median(late[:half]) - median(late[half:]) <= SETTLED_SECONDS

    def _uncounted(self) -> int:
        """Return the number of samples lost before the held ones that the counter does not show."""
        late = median(sample.late for sample in self._held[-self._hold :]) * self._sfreq
        cycle = self._counter.numbering.cycle
        return round(late / cycle) * cycle or round(late)

    def _release(self, uncounted: int) -> None:
        for sample in self._held:
            self._decide(sample.index + uncounted, sample.stamp)
        self._held = []
        self._last += uncounted

    def _decide(self, index: int, stamp: float) -> None:
        self._decided.append((index, self._line.follow(index, stamp)))

    def _emit(self, rows: Samples) -> list[Chunk]:
        decided, self._decided = self._decided, []
        self._rows = rows[len(decided) :].copy()
        return _cut_at_gaps(decided, rows)


@dataclass(frozen=True)
class _HeldSample:
    """A sample held back: its index by the counter, its stamp, and its delay, s."""

    index: int
    stamp: float
    late: float


class _SampleCounter:
    """Distance of each sample from the previous one, from packet numbers."""

    def __init__(self, numbering: PacketNumbering) -> None:
        self.numbering = numbering
        self._number: int | None = None
        self._within = 0  # samples of the same packet before the last one
        self._halves: set[bool] = set()

    def advance(self, number: int) -> int:
        """Return the number of samples since the last one, this one included; 0 for the first."""
        self._find_firmware(number)
        before = self._number
        if before is None:
            self._number = number
            return 0
        here = self.numbering.position(before) + self._within
        if number == before and self._within + 1 < self.numbering.length(number):
            self._within += 1
        else:
            self._within = 0
        self._number = number
        there = self.numbering.position(number) + self._within
        return (there - here - 1) % self.numbering.cycle + 1

    def _find_firmware(self, number: int) -> None:
        if self.numbering is GANGLION_NUMBERING:
            self._halves.add(number < 100)
            # BrainFlow gives all the samples of a packet, or none.
            single = (self._number, self._within) == (0, 0) and number != 0
            if len(self._halves) == 2 or number == 200 or single:
                self.numbering = GANGLION_2_NUMBERING


class _ReceptionLine:
    """A line of timestamps over the index."""

    def __init__(self, sfreq: float) -> None:
        self._nominal = 1 / sfreq
        self._most = max(8, round(MEMORY_SECONDS * sfreq))
        self._n = max(8, round(START_SECONDS * sfreq))
        self._period = self._nominal
        self._index = 0
        self._time: float | None = None

    def at(self, index: int, otherwise: float) -> float:
        """Return the timestamp expected at an index, or ``otherwise`` before the first sample."""
        if self._time is None:
            return otherwise
        return self._time + (index - self._index) * self._period

    def follow(self, index: int, stamp: float) -> float:
        """Return the timestamp of a sample received at ``stamp``, and move the line towards it."""
        if self._time is None:
            self._time, self._index = stamp, index
            return stamp
        expected = self.at(index, stamp)
        error = min(max(stamp - expected, -MAX_DEVIATION), MAX_DEVIATION)
        n = self._n
        self._n = min(n + 1, self._most)
        period = self._period + 6 / ((n + 1) * (n + 2)) * error
        self._period = min(
            max(period, (1 - MAX_RATE_ERROR) * self._nominal), (1 + MAX_RATE_ERROR) * self._nominal
        )
        earliest = self._time + (index - self._index) * self._nominal / 4
        correction = 2 * (2 * n + 1) / ((n + 1) * (n + 2)) * error
        self._time, self._index = max(expected + correction, earliest), index
        return self._time


def _cut_at_gaps(decided: Sequence[tuple[int, float]], rows: Samples) -> list[Chunk]:
    """Cut the decided samples, which are the first of ``rows``, at the gaps."""
    if not decided:
        return []
    index = np.array([at for at, _ in decided])
    times = np.array([time for _, time in decided], dtype=np.float64)
    cuts = (np.flatnonzero(np.diff(index) != 1) + 1).tolist()
    return [
        Chunk(rows[start:stop].copy(), times[start:stop].copy(), int(index[start]))
        for start, stop in zip([0, *cuts], [*cuts, len(decided)], strict=True)
    ]
