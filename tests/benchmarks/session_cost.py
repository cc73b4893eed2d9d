"""Cost of one session among others: CPU time for a second of signal, and memory.

The compute loop takes a chunk of every session in each round, as if all were watched. Only CPU time
is measured, so other programs hardly disturb it.
"""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from mimamba.drivers.driver import Chunk
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.engine.engine import Engine
from mimamba.service.engine.loop import ComputeLoop
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs
from mimamba.service.sessions.session import Session
from tests.benchmarks.reference_model import INFO, packets, reference_checkpoint

SESSIONS = (1, 10, 100, 1000)
FLAT = 1.2
"""Largest cost of a session among many, in units of the cost of one alone."""
MEMORY_KB = 200.0
SESSIONS_A_SECOND = 60
"""Largest number of sessions for each second of measuring; more are left out."""


class FedDriver:
    """A live source whose chunks are given to ``sink``; ``Forwarding`` has the contract."""

    info = INFO
    sink: Callable[[Chunk], None]

    def __init__(self) -> None:
        self.forwarding, self._closed = threading.Event(), threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def forward(self, sink: Callable[[Chunk], None]) -> None:
        self.sink = sink
        self.forwarding.set()

    def __iter__(self) -> Iterator[Chunk]:
        self._closed.wait()
        return iter(())

    def close(self) -> None:
        self._closed.set()


class Crowd:
    """Sessions in one compute loop."""

    def __init__(self, engine: Engine) -> None:
        self.loop = ComputeLoop[Session](self.notify_round)
        self._engine = engine
        self.fed: list[tuple[FedDriver, Session]] = []

    def notify(self, session: Session) -> None:
        """Ignore it: nobody follows."""

    def notify_round(self, signal: Sequence[Session], news: Sequence[Session]) -> None:
        """Ignore it: nobody follows."""

    def open(self, sessions: int) -> None:
        """Open this many sessions."""
        for nth in range(sessions):
            driver = FedDriver()
            session = Session(
                f"bench-{nth}",
                "simulate://",
                self.loop,
                self._engine,
                required=True,
                r=1.0,
                observer=self,
                connect=lambda *_, driver=driver: driver,
            )
            session.watchers.add(self)  # or its chunks would wait for each other
            session.start()
            driver.forwarding.wait()
            self.fed.append((driver, session))

    def take(self, chunk: Chunk) -> None:
        """Give a chunk to each session, and wait until all are computed."""
        for driver, _ in self.fed:
            driver.sink(chunk)
        self.wait()

    def wait(self) -> None:
        """Wait until all chunks are computed."""
        while self.loop.waiting:
            time.sleep(0.001)
        with self.loop.held():  # the round has ended
            pass

    def close(self) -> None:
        """Close the sessions and the loop."""
        for _, session in self.fed:
            session.close()
        self.loop.close()


def measure(seconds: float) -> list[Figure]:
    """Measure 1 to 1,000 sessions; in less than 20 s, only as many as fit."""
    engine = Engine(reference_checkpoint())
    costs = {n: cost(engine, n) for n in SESSIONS if n <= max(1, SESSIONS_A_SECOND * seconds)}
    logs, rest = memory(engine)
    alone = costs[1]
    return [
        *(
            Figure(
                f"work for a second of signal, {n:,} sessions",
                1e3 * each,
                "ms a session",
                f"<= {FLAT:g} times that of 1" if n > 1 else None,
                each <= FLAT * alone if n > 1 else None,
            )
            for n, each in costs.items()
        ),
        Figure("memory of a session's logs", logs, "kB"),
        at_most("memory beyond the logs", rest, "kB", MEMORY_KB),
    ]


@contextmanager
def crowd_of(engine: Engine, sessions: int) -> Iterator[Crowd]:
    """Open sessions in a loop of their own; they are closed on leaving."""
    crowd = Crowd(engine)
    try:
        crowd.open(sessions)
        yield crowd
    finally:
        crowd.close()


def cost(engine: Engine, sessions: int) -> float:
    """Return the CPU time of one session for a second of signal, after a warm-up, s."""
    made = packets(4.0)
    warm = len(made) * 3 // 4
    start = 0.0
    with crowd_of(engine, sessions) as crowd:
        for nth, chunk in enumerate(made):
            if nth == warm:
                start = time.process_time()
            crowd.take(chunk)
        return (time.process_time() - start) / sessions


def memory(engine: Engine) -> tuple[float, float]:
    """Return the memory of a session's logs, and of everything else in it, kB."""
    made = packets(4.0)
    states = engine.checkpoint.network.initial_states(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        logs = EpochLogs("bench", INFO, ActiveModel())
        between = tracemalloc.get_traced_memory()[0]
        with crowd_of(engine, 1) as crowd:
            for chunk in made:
                crowd.take(chunk)
            after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    taken = between - before
    del logs
    rest = after - between - taken + sum(each.nbytes for each in states)
    return taken / 1e3, rest / 1e3
