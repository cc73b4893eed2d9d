"""Indices and even timestamps from a device's packet counter.

The counter says exactly how many samples were lost, as long as fewer are lost than it takes to
wrap. Reception times say the rest: whether it wrapped, or was restarted. Each sample's timestamp
lies on a slowly adapting line through the reception times over the index (the least-squares filter
of degree 1, with growing and then constant memory: Morrison, Introduction to Sequential Smoothing
and Prediction, 1969). The line is not restarted at a gap: the counter tells the gap's length, so
the rate learnt before it still holds behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds

CONTRADICTION = 1.0
"""The clock is believed against the counter where they differ by more than this, s: a radio stall
that catches up is over by then (the supervisor gives up after 2 s of silence)."""
HOLD = 0.25
"""Samples for this long must keep their distance before a wrap is counted, s."""
SETTLED = 0.025
"""A distance that falls by more than this between the halves of ``HOLD`` is a burst catching up, s.
"""
PATIENCE = 2.0
"""A burst may take so many samples' time to catch up, s: a longer stall is a lost link."""
MEMORY = 10.0
"""Time over which the line is fitted, s."""
START = 0.25
"""Weight of the nominal rate at the start, as a time over which it was seen, s."""
OUTLIER = 0.05
"""A reception further than this from the line counts as this far, s: a stall of 1 s that catches
up, 12 s after the start, then moves the line by 20 ms instead of 170 ms."""
DRIFT = 0.02
"""A device's rate is within this fraction of the nominal one."""


@dataclass(frozen=True)
class PacketNumbering:
    """How a device numbers its packets.

    Parameters
    ----------
    n_packets
        Packet numbers run from 0 to ``n_packets - 1`` and start again.
    n_times
        Samples in a packet; each carries the packet's number.
    first_n_times
        Samples in packet 0.
    highest
        Rows that carry a higher number are no samples.
    """

    n_packets: int
    n_times: int
    first_n_times: int
    highest: int

    @property
    def cycle(self) -> int:
        """Samples until the numbers start again."""
        return self.first_n_times + (self.n_packets - 1) * self.n_times

    def length(self, number: int) -> int:
        """Samples in the packet of this number."""
        return self.first_n_times if self._packet(number) == 0 else self.n_times

    def position(self, number: int) -> int:
        """Samples in a cycle before the packet of this number."""
        packet = self._packet(number)
        return 0 if packet == 0 else self.first_n_times + (packet - 1) * self.n_times

    def _packet(self, number: int) -> int:
        if self.first_n_times == self.n_times or number == 0:
            return number % self.n_packets
        return (number - 1) % (self.n_packets - 1) + 1


BYTE = PacketNumbering(256, 1, 1, 255)
"""One sample per packet, 0 to 255: Cyton and BrainFlow's synthetic board."""
MUSE = PacketNumbering(65536, 12, 12, 65535)
"""Muse 2 and S: 16 bits, one number for the 12 samples of a notification."""
GANGLION = PacketNumbering(100, 2, 2, 200)
"""Ganglion, firmware 3: 0-99 or 100-199 by its compression; 201-205 are impedance rows."""
GANGLION_2 = PacketNumbering(101, 2, 1, 200)
"""Ganglion, firmware 2: 0 with one whole sample, then 1-100 or 101-200 with two differences each
(OpenBCI, Ganglion Data Format)."""


class CounterClock:
    """Turns numbered and stamped samples into chunks with ``first`` and even timestamps.

    What comes out does not depend on how the samples were split into packets, save for the borders
    of the chunks. Timestamps grow strictly. Samples that come late by more than half a cycle, or
    by more than ``CONTRADICTION``, are held back until it shows whether they catch up.

    Parameters
    ----------
    numbering
        How the device numbers. With ``GANGLION`` the firmware is found out: numbers of both
        halves come only from firmware 2.
    sfreq
        Nominal sampling frequency, Hz.
    """

    def __init__(self, numbering: PacketNumbering, sfreq: float) -> None:
        self._counter = _Counter(numbering)
        self._sfreq = sfreq
        self._line = _Line(sfreq)
        self._hold = max(8, round(HOLD * sfreq))
        self._last = 0  # index of the last sample numbered
        self._held: list[_Late] = []
        self._rows: Samples | None = None  # data of the held samples
        self._decided: list[tuple[int, float]] = []  # index and timestamp

    def push(
        self, numbers: NDArray[np.float64], stamps: Seconds, data: NDArray[np.floating]
    ) -> list[Chunk]:
        """Take the next samples; give those that are decided.

        Parameters
        ----------
        numbers
            (n_times,), each sample's packet number.
        stamps
            (n_times,), seconds, when each was received.
        data
            (n_times, n_channels), µV; copied.
        """
        keep = numbers <= self._counter.numbering.highest
        rows = np.array(data[keep], dtype=np.float32, order="C")
        if self._rows is not None:
            rows = np.concatenate([self._rows, rows])
        for number, stamp in zip(numbers[keep].tolist(), stamps[keep].tolist(), strict=True):
            self._take(int(number), stamp)
        return self._give(rows)

    def flush(self) -> list[Chunk]:
        """Decide about the samples still held, as far as they tell, and give them."""
        if self._rows is None:
            return []
        if self._held:
            self._release(self._uncounted())
        return self._give(self._rows)

    def _take(self, number: int, stamp: float) -> None:
        index = self._last + self._counter.advance(number)
        late = stamp - self._line.at(index, stamp)
        if late < -CONTRADICTION:  # not even sent yet: the counter was restarted
            elapsed = stamp - self._line.at(self._last, stamp)
            index = self._last + max(1, round(elapsed * self._sfreq))
            late = stamp - self._line.at(index, stamp)
        self._last = index
        if late > self._limit:
            self._held.append(_Late(index, stamp, late))
            if self._settled():
                self._release(self._uncounted())
            return
        self._release(0)
        self._decide(index, stamp)

    @property
    def _limit(self) -> float:
        return min(self._counter.numbering.cycle / self._sfreq / 2, CONTRADICTION)

    def _settled(self) -> bool:
        """Whether the held samples keep their distance, or had long enough to catch up."""
        if len(self._held) < self._hold:
            return False
        late = [sample.late for sample in self._held[-self._hold :]]
        half = self._hold // 2
        falling = median(late[:half]) - median(late[half:]) > SETTLED
        return not falling or len(self._held) >= round(PATIENCE * self._sfreq)

    def _uncounted(self) -> int:
        """Samples lost before the held ones beyond what the counter says."""
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

    def _give(self, rows: Samples) -> list[Chunk]:
        decided, self._decided = self._decided, []
        self._rows = rows[len(decided) :].copy()
        return _chunks(decided, rows)


@dataclass(frozen=True)
class _Late:
    """A sample held back: its index by the counter, its stamp, and how late it came, s."""

    index: int
    stamp: float
    late: float


class _Counter:
    """How far each sample is from the one before."""

    def __init__(self, numbering: PacketNumbering) -> None:
        self.numbering = numbering
        self._number: int | None = None
        self._within = 0  # samples of the same packet before this one
        self._halves: set[bool] = set()

    def advance(self, number: int) -> int:
        """Samples since the last one, itself included; 0 at the very first."""
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
        if self.numbering is GANGLION:
            self._halves.add(number < 100)
            if len(self._halves) == 2 or number == 200:
                self.numbering = GANGLION_2


class _Line:
    """Timestamps over the index."""

    def __init__(self, sfreq: float) -> None:
        self._nominal = 1 / sfreq
        self._most = max(8, round(MEMORY * sfreq))
        self._n = max(8, round(START * sfreq))
        self._period = self._nominal
        self._index = 0
        self._time: float | None = None

    def at(self, index: int, otherwise: float) -> float:
        """The timestamp expected at an index; ``otherwise`` before there is any."""
        if self._time is None:
            return otherwise
        return self._time + (index - self._index) * self._period

    def follow(self, index: int, stamp: float) -> float:
        """The timestamp of a sample received at ``stamp``; moves the line towards it."""
        if self._time is None:
            self._time, self._index = stamp, index
            return stamp
        expected = self.at(index, stamp)
        error = min(max(stamp - expected, -OUTLIER), OUTLIER)
        n = self._n
        self._n = min(n + 1, self._most)
        period = self._period + 6 / ((n + 1) * (n + 2)) * error
        self._period = min(max(period, (1 - DRIFT) * self._nominal), (1 + DRIFT) * self._nominal)
        earliest = self._time + (index - self._index) * self._nominal / 4
        correction = 2 * (2 * n + 1) / ((n + 1) * (n + 2)) * error
        self._time, self._index = max(expected + correction, earliest), index
        return self._time


def _chunks(decided: Sequence[tuple[int, float]], rows: Samples) -> list[Chunk]:
    """The decided samples, which are the first of ``rows``, cut at the gaps."""
    if not decided:
        return []
    index = np.array([at for at, _ in decided])
    times = np.array([time for _, time in decided], dtype=np.float64)
    cuts = (np.flatnonzero(np.diff(index) != 1) + 1).tolist()
    return [
        Chunk(rows[start:stop].copy(), times[start:stop].copy(), int(index[start]))
        for start, stop in zip([0, *cuts], [*cuts, len(decided)], strict=True)
    ]
