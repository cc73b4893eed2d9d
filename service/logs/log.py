"""Bounded, append-only logs: one writer, and any number of readers that hold one integer.

Every entry has a sequence number, ``seq``, from 0. A reader asks for the entries from its own
number on. If these have left the log, it gets the skipped range and continues at the oldest entry.
So a slow reader costs the others nothing.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds

Entry = TypeVar("Entry")


class Ring(ABC, Generic[Entry]):
    """The numbers of a bounded, append-only log; a subclass keeps the entries in rows.

    Parameters
    ----------
    capacity
        Number of entries kept.
    first
        The ``seq`` of its first entry.
    """

    def __init__(self, capacity: int, first: int = 0) -> None:
        self._capacity = capacity
        self._next = self._first_kept = self._begin = first
        self._lock = threading.Lock()

    @property
    def next(self) -> int:
        """The ``seq`` that the next entry will have."""
        return self._next

    @property
    def oldest(self) -> int:
        """The ``seq`` of the oldest entry kept; ``next`` where the log is empty."""
        return max(self._first_kept, self._next - self._capacity)

    def append(self, entry: Entry) -> int:
        """Add an entry and return its ``seq``."""
        with self._lock:
            seq = self._next
            self._store((seq - self._begin) % self._capacity, entry)
            self._next = seq + 1
        return seq

    def read(self, seq: int, stop: int) -> list[tuple[int, Entry]]:
        """Return the entries from ``seq`` to before ``stop`` that are still there, with numbers."""
        with self._lock:
            kept = range(max(seq, self.oldest), min(stop, self._next))
            return [(n, self._load((n - self._begin) % self._capacity)) for n in kept]

    def skip_to(self, seq: int) -> None:
        """Go on at a later number, without the entries so far: those between are not known."""
        with self._lock:
            self._begin = self._first_kept = self._next = seq
            self._clear()

    def _clear(self) -> None:
        """Forget all rows."""

    @abstractmethod
    def _store(self, row: int, entry: Entry) -> None:
        """Keep an entry in a row, in place of the one that was there."""

    @abstractmethod
    def _load(self, row: int) -> Entry:
        """Return the entry of a row."""


class Log(Ring[Entry]):
    """A log of objects that never change once appended."""

    def __init__(self, capacity: int, first: int = 0) -> None:
        super().__init__(capacity, first)
        self._entries: list[Entry] = []

    def _store(self, row: int, entry: Entry) -> None:
        if row == len(self._entries):
            self._entries.append(entry)
        else:
            self._entries[row] = entry

    def _load(self, row: int) -> Entry:
        return self._entries[row]

    def _clear(self) -> None:
        self._entries.clear()


@dataclass(frozen=True, eq=False)
class SignalRun:
    """Consecutive log entries merged: contiguous in ``first``, never across a gap.

    ``data`` is (n_times, n_channels) µV, ``timestamps`` (n_times,) seconds; ``start`` is the first
    entry's number, ``seq`` the last one's.
    """

    start: int
    seq: int
    first: int
    timestamps: Seconds
    data: Samples


ENTRY_RATE = 4.0
"""Entries a second for which a log has room at first, Hz: chunks that nobody watches are joined to
about two entries a second. Where somebody watches, there are some 21."""


class SignalLog:
    """The ring buffer of a session's raw signal; an entry is a chunk.

    Parameters
    ----------
    n_channels
        Channels of a sample.
    sfreq
        Hz; with ``seconds`` it gives the ring's length.
    seconds
        Seconds of signal kept.
    first
        The ``seq`` of its first entry.
    entry_rate
        Entries a second for which it has room at first, Hz; it makes more where more come.
    """

    def __init__(
        self,
        n_channels: int,
        sfreq: float,
        seconds: float,
        first: int = 0,
        entry_rate: float = ENTRY_RATE,
    ) -> None:
        self._capacity = max(1, round(sfreq * seconds))
        self._longest = max(1, min(self._capacity, round(2 * sfreq)))
        self._data = np.zeros((self._capacity, n_channels), np.float32)
        self._timestamps = np.zeros(self._capacity)
        # Not np.zeros: the system would give it its pages one by one.
        slots = min(round(entry_rate * seconds), self._capacity) + 2
        self._firsts = np.full(slots, 0, np.int64)  # by seq: index of the first sample
        self._stops = np.full(slots, 0, np.int64)  # by seq: samples written up to its end
        self._written = 0
        self._oldest = first
        self._next = first
        self.newest: tuple[int, float] | None = None
        """Index and timestamp of the newest sample."""
        self._lock = threading.Lock()

    @property
    def next(self) -> int:
        """The ``seq`` that the next entry will have."""
        return self._next

    @property
    def oldest(self) -> int:
        """The ``seq`` of the oldest entry whose samples are all kept."""
        return self._oldest

    def append(self, chunk: Chunk, lengths: Sequence[int] = ()) -> None:
        """Add a chunk; one longer than two seconds becomes several entries.

        One that was joined from chunks of these lengths, in samples, becomes an entry for each, in
        little more time than one.
        """
        if 0 < chunk.n_times <= self._longest:
            with self._lock:
                self._write(chunk.data, chunk.timestamps, chunk.first, lengths)
            return
        if lengths:
            for end, length in zip(accumulate(lengths), lengths, strict=True):
                part = slice(end - length, end)
                first = chunk.first + end - length
                self.append(Chunk(chunk.data[part], chunk.timestamps[part], first))
            return
        for start in range(0, chunk.n_times, self._longest):
            part = slice(start, start + self._longest)
            with self._lock:
                self._write(chunk.data[part], chunk.timestamps[part], chunk.first + start)

    def skip_to(self, seq: int) -> None:
        """Go on at a later number, without the entries so far: those between are not known."""
        with self._lock:
            self._oldest = self._next = seq
            self._stops[(seq - 1) % self._slots] = self._written

    def _write(
        self, data: Samples, timestamps: Seconds, first: int, lengths: Sequence[int] = ()
    ) -> None:
        # The entries kept, these, and the stop of the one before them.
        while self._next - self._oldest + max(len(lengths), 1) + 1 > self._slots:
            self._make_room()
        n_times = len(data)
        at = self._written % self._capacity
        head = min(n_times, self._capacity - at)
        if head == n_times:  # the usual case
            self._data[at : at + n_times] = data
            self._timestamps[at : at + n_times] = timestamps
        else:
            for ring, new in ((self._data, data), (self._timestamps, timestamps)):
                ring[at:] = new[:head]
                ring[: n_times - head] = new[head:]
        stop, seq, start = self._written, self._next, first
        for length in lengths or (n_times,):
            slot = seq % self._slots
            stop += length
            self._firsts[slot] = start
            self._stops[slot] = stop
            start += length
            seq += 1
        self._written, self._next = stop, seq
        self.newest = first + n_times - 1, float(timestamps[-1])
        if self._written > self._capacity:
            while self._start(self._oldest) < self._written - self._capacity:
                self._oldest += 1

    @property
    def _slots(self) -> int:
        return len(self._firsts)

    def _make_room(self) -> None:
        """Double the room for entries: a source with short chunks."""
        kept = np.arange(max(self._oldest - 1, 0), self._next)
        for name in ("_firsts", "_stops"):
            old = getattr(self, name)
            new = np.full(2 * len(old), 0, np.int64)
            new[kept % len(new)] = old[kept % len(old)]
            setattr(self, name, new)

    def _start(self, seq: int) -> int:
        """Samples written before an entry."""
        return int(self._stops[(seq - 1) % self._slots]) if seq else 0

    def read(self, seq: int, stop: int) -> list[SignalRun]:
        """Return the entries from ``seq`` to before ``stop`` that are kept, merged into runs.

        A run holds at most two seconds. Its arrays are copies.
        """
        with self._lock:
            runs: list[SignalRun] = []
            seq, stop = max(seq, self._oldest), min(stop, self._next)
            while seq < stop:
                last = self._last_of_run(seq, stop)
                runs.append(self._copy(seq, last))
                seq = last + 1
            return runs

    def read_entries(self, seq: int, stop: int) -> list[SignalRun]:
        """Return the entries from ``seq`` to before ``stop`` that are kept, each by itself.

        Their arrays are parts of one copy.
        """
        with self._lock:
            seq, stop = max(seq, self._oldest), min(stop, self._next)
            if seq >= stop:
                return []
            entries = np.arange(seq, stop) % self._slots
            firsts, stops = self._firsts[entries].tolist(), self._stops[entries].tolist()
            begin = start = self._start(seq)
            data, timestamps = self._rows(begin, stops[-1])
        runs = []
        for each, (first, end) in enumerate(zip(firsts, stops, strict=True), seq):
            part = slice(start - begin, end - begin)
            runs.append(SignalRun(each, each, first, timestamps[part], data[part]))
            start = end
        return runs

    def index_at(self, times: Seconds) -> NDArray[np.int64]:
        """Return the indices of the samples nearest to (n,) times; in a gap, of the lost sample.

        A time beyond either end belongs to the oldest or the newest sample kept; there must be one.
        """
        with self._lock:
            entries = np.arange(self._oldest, self._next)
            stops = self._stops[entries % self._slots]
            starts = np.concatenate([[self._start(self._oldest)], stops[:-1]])
            samples = np.arange(starts[0], self._written)
            stamps = self._timestamps[samples % self._capacity]
            firsts = self._firsts[entries % self._slots]
        index = samples + np.repeat(firsts - starts, stops - starts)
        nearest: NDArray[np.int64] = np.rint(np.interp(times, stamps, index)).astype(np.int64)
        return nearest

    def _last_of_run(self, seq: int, stop: int) -> int:
        """The last entry that continues ``seq`` without a gap and within two seconds."""
        start, first = self._start(seq), int(self._firsts[seq % self._slots])
        last = seq
        while last + 1 < stop:
            follower = (last + 1) % self._slots
            length = self._start(last + 1) - start
            if self._firsts[follower] != first + length:
                break
            if self._stops[follower] - start > self._longest:
                break
            last += 1
        return last

    def _copy(self, seq: int, last: int) -> SignalRun:
        data, timestamps = self._rows(self._start(seq), self._start(last + 1))
        return SignalRun(seq, last, int(self._firsts[seq % self._slots]), timestamps, data)

    def _rows(self, start: int, stop: int) -> tuple[Samples, Seconds]:
        """Copy the samples of these numbers, of those written so far, and their times."""
        at = start % self._capacity
        rows: slice | NDArray[np.int64] = slice(at, at + stop - start)
        if at + stop - start > self._capacity:
            rows = np.arange(start, stop) % self._capacity
        return self._data[rows].copy(), self._timestamps[rows].copy()
