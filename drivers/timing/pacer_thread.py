"""A thread that lets all paced sources of the process send their samples.

A thread for each of 64 simulated headsets woke up 21 times a second: four fifths of what such a
source cost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Protocol, runtime_checkable

from mimamba.drivers.driver import Chunk
from mimamba.drivers.runtime.compute_lock import COMPUTE_LOCK
from mimamba.drivers.timing.clock import local_clock

TICK = 0.015
"""Seconds between two times at which chunks are made, so that many are made together: a headset's
radio sends every 7.5 to 30 ms, too."""
LONGEST_SLEEP = 0.2
"""Seconds after which the end of a source is seen, at the latest."""
LONGEST_HOLD = 0.005
"""Seconds for which chunks are made while the compute loop waits; the others are made after it."""
LOOK_PERIOD = 0.05
"""Seconds between two times at which all sources are asked if they are closed, also those that are
not due."""


@runtime_checkable
class Paced(Protocol):
    """A driver that makes its samples itself, when they are due.

    Check for it with ``isinstance(driver, Paced)``, never for a concrete class.
    """

    @property
    def closed(self) -> bool:
        """True once the driver is closed."""
        ...

    def make(self, now: float) -> Chunk | float:
        """Return the chunk that is due at ``now`` (LSL clock, s), else the time of the next.

        That is infinite if nothing will come any more.
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
    """

    def __init__(self, now: Callable[[], float] = local_clock) -> None:
        self._now = now
        self._sources: list[_PacedSource] = []
        self._lock = threading.Lock()
        self._joined = threading.Event()
        self._running = False
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
        self._joined.set()
        source.done.wait()
        if source.error is not None:
            raise source.error

    def _run(self) -> None:
        while sources := self._present():
            begun = self._now()
            made, ended = self._make(sources, begun)
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
            due = min((source.due for source in sources), default=0.0)
            rest = max(due, begun + TICK) - self._now()
            self._joined.clear()
            if rest > TICK:
                self._joined.wait(min(rest, LONGEST_SLEEP))
            elif rest > 0:
                time.sleep(rest)  # which costs less than to wait for an event

    def _present(self) -> list[_PacedSource]:
        """Return the sources that go on; without any, the thread ends."""
        with self._lock:
            self._running = bool(self._sources)
            return [*self._sources]

    def _make(
        self, sources: list[_PacedSource], now: float
    ) -> tuple[list[tuple[_PacedSource, Chunk]], dict[_PacedSource, BaseException | None]]:
        """Make the chunks that are due, and note when the next ones are.

        Returns them, and the sources that end after them, with their errors.
        """
        made: list[tuple[_PacedSource, Chunk]] = []
        ended: dict[_PacedSource, BaseException | None] = {}
        if now >= self._look:
            self._look = now + LOOK_PERIOD
            ended = {source: None for source in sources if source.driver.closed}
        due = [source for source in sources if source.due <= now and source not in ended]
        if not due:
            return made, ended
        with COMPUTE_LOCK:  # once for all, as each release wakes the thread that waits for it
            begun = self._now()  # only now: a round of the loop may have held the lock for longer
            for source in sorted(due, key=_due):  # so that all have their turn
                try:
                    while source.due <= now and not source.driver.closed:
                        found = source.driver.make(now)
                        if isinstance(found, Chunk):
                            made.append((source, found))
                        else:
                            source.due = found
                except BaseException as error:  # noqa: BLE001  raised in the reader's thread
                    ended[source] = error
                if source.driver.closed:
                    ended.setdefault(source, None)
                if self._now() - begun > LONGEST_HOLD:
                    break
        return made, ended

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
