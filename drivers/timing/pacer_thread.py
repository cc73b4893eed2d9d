"""A thread that lets all paced sources of the process send their samples.

A thread for each of 64 simulated headsets woke up 21 times a second: four fifths of what such a
source cost.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import Protocol, runtime_checkable

from mimamba.drivers.driver import Chunk
from mimamba.drivers.runtime.compute_lock import COMPUTE_LOCK
from mimamba.drivers.timing.clock import local_clock

TICK = 0.015
"""Seconds between two times at which chunks are made, so that many are made together: a headset's
radio sends every 7.5 to 30 ms, too."""
LONGEST_HOLD = 0.005
"""Seconds for which chunks are made while the compute loop waits; the others are made after it."""
LATE = 1.0
"""Seconds after which a source that is still due is late: then the pacer takes no rest, and holds
the lock for longer. Else hundreds of sources that begin together, or go on together after the
machine has slept, would never catch up. After 0.1 s, 500 sources on two cores kept hops waiting."""
LONGEST_LATE_HOLD = 0.05
"""Seconds for which chunks are made while the compute loop waits and sources are late."""
LONGEST_PREPARING = 0.005
"""Seconds after which no further source prepares anything until the next chunks are made. With one
source at a time, 500 of them prepared too little, and the compute loop waited for the rest."""
MOST_ASKED = 64
"""Number of sources that are asked in a row if they have anything to prepare."""
LOOK_PERIOD = 0.05
"""Seconds between two times at which all sources are asked if they are closed, also those that are
not due, and after which a new one is seen, at the latest."""


@runtime_checkable
class Paced(Protocol):
    """A driver that makes its samples itself, when they are due.

    Check for it with ``isinstance(driver, Paced)``, never for a concrete class.
    """

    @property
    def closed(self) -> bool:
        """True once the driver is closed."""
        ...

    def make(self, now: float) -> tuple[Chunk | None, float]:
        """Return the chunk that is due at ``now`` (LSL clock, s), and the time of the next one.

        The chunk is None if none is due; the time is infinite if nothing will come any more.
        """
        ...

    def prepare(self) -> bool:
        """Do some of the work on later chunks; return whether there was any.

        It is called while nothing is late, so that sources which began together do not do such
        work at the same time.
        """
        ...


class _PacedSource:
    """A driver, and its reader, which waits until it is done."""

    def __init__(self, driver: Paced, take: Callable[[Chunk], None]) -> None:
        self.driver, self.take = driver, take
        self.due = 0.0
        self.error: BaseException | None = None
        self.done = threading.Event()


_due = attrgetter("due")


class Pacer:
    """Thread for all paced sources; it runs while there is any.

    Parameters
    ----------
    now
        The LSL clock, s.
    sleep
        Sleeps for a short time, s.
    """

    def __init__(
        self,
        now: Callable[[], float] = local_clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._sources: list[_PacedSource] = []
        self._lock = threading.Lock()
        self._running = False
        self._asked = 0
        """Place of the source that was asked last to prepare something."""
        self._look = 0.0
        """Time at which all sources are asked next if they are closed."""

    def follow(self, driver: Paced, take: Callable[[Chunk], None]) -> None:
        """Give a driver's chunks to ``take``, in the pacer's thread, until the driver is closed.

        What ``take`` or the driver raises ends it, and is raised here.
        """
        source = _PacedSource(driver, take)
        with self._lock:
            self._sources.append(source)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="pacer", daemon=True).start()
        source.done.wait()
        if source.error is not None:
            raise source.error

    def _run(self) -> None:
        while sources := self._present():
            begun = self._now()
            made, ended, behind = self._make(sources, begun)
            for source, chunk in made:
                # What one made before it failed is taken, also if it has closed itself.
                closed = source.driver.closed and ended.get(source) is None
                if source.done.is_set() or closed:
                    continue
                try:
                    source.take(chunk)
                except BaseException as error:  # noqa: BLE001  raised in the reader's thread
                    self._end(source, error)
            for source, reason in ended.items():
                self._end(source, reason)
            if behind:
                continue
            self._prepare(sources)
            due = min((source.due for source in sources), default=0.0)
            rest = max(due, begun + TICK) - self._now()
            if rest > 0:
                self._sleep(min(rest, LOOK_PERIOD))

    def _present(self) -> list[_PacedSource]:
        """Return the sources that go on; without any, the thread ends."""
        with self._lock:
            self._running = bool(self._sources)
            return [*self._sources]

    def _make(
        self, sources: list[_PacedSource], now: float
    ) -> tuple[list[tuple[_PacedSource, Chunk]], dict[_PacedSource, BaseException | None], bool]:
        """Make the chunks that are due, and note when the next ones are.

        Returns them, the sources that end after them, with their errors, and whether some that have
        still to be asked are late.
        """
        made: list[tuple[_PacedSource, Chunk]] = []
        ended: dict[_PacedSource, BaseException | None] = {}
        if now >= self._look:
            self._look = now + LOOK_PERIOD
            ended = {source: None for source in sources if source.driver.closed}
        due = [source for source in sources if source.due <= now and source not in ended]
        if not due:
            return made, ended, False
        with COMPUTE_LOCK:  # once for all, as each release wakes the thread that waits for it
            begun = self._now()  # only now: a round of the loop may have held the lock for longer
            waiting = deque(sorted(due, key=_due))  # so that all have their turn
            while waiting:
                source = waiting.popleft()
                try:
                    while source.due <= now and source not in ended:
                        chunk, source.due = source.driver.make(now)
                        if chunk is not None:
                            made.append((source, chunk))
                        if source.driver.closed:
                            ended[source] = None
                except BaseException as error:  # noqa: BLE001  raised in the reader's thread
                    ended[source] = error
                behind = bool(waiting) and now - waiting[0].due > LATE
                if self._now() - begun > (LONGEST_LATE_HOLD if behind else LONGEST_HOLD):
                    break
        return made, ended, behind

    def _prepare(self, sources: list[_PacedSource]) -> None:
        """Let sources prepare chunks for a short time, in turn, those that have any to prepare.

        The compute loop goes on meanwhile: most of the time is spent outside of Python.
        """
        begun = self._now()
        for _ in range(min(MOST_ASKED, len(sources))):
            self._asked = (self._asked + 1) % len(sources)
            source = sources[self._asked]
            if source.done.is_set() or source.driver.closed:
                continue
            try:
                prepared = source.driver.prepare()
            except BaseException as error:  # noqa: BLE001  raised in the reader's thread
                self._end(source, error)
                return
            if prepared and self._now() - begun > LONGEST_PREPARING:
                return

    def _end(self, source: _PacedSource, error: BaseException | None) -> None:
        """End a source with its first error; one that has ended may be closed as well."""
        if source.done.is_set():
            return
        source.error = error
        with self._lock:
            self._sources.remove(source)
        source.done.set()


PACER = Pacer()
"""The pacer of this process."""
