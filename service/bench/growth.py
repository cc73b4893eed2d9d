"""What a session costs beside others: its work for a second of signal, and its memory.

Each has logs, quality, bands and hops of its own, and one engine steps all. Nothing waits for a
clock: all that is measured is the processor's time, so other programs hardly disturb it.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from mimamba.drivers.driver import Chunk
from mimamba.models.prediction import Prediction
from mimamba.models.signal.hops import HopCutter
from mimamba.service.bench.figures import Figure, most
from mimamba.service.bench.reference import INFO, packets, reference_checkpoint
from mimamba.service.engine.engine import Engine
from mimamba.service.sessions.epoch_logs import ActiveModel, EpochLogs

SESSIONS = (1, 10, 100, 1000)
FLAT = 1.2
"""Times the cost of one alone that a session of many may have."""
MEMORY_KB = 200.0
SHARE = 60
"""Sessions that are tried in a second of measuring."""


class SteppedSession:
    """One session without a thread: what it does with a chunk."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._logs = EpochLogs("bench", INFO, ActiveModel())
        self._cutter = HopCutter(engine.checkpoint.signal, INFO, range(4), INFO.ch_names)
        self.slot = engine.open(1.0, _forget)

    def take(self, chunk: Chunk) -> None:
        """Log it, measure it, and have its hops stepped."""
        self._logs.take(chunk)
        for hop in self._cutter.feed(chunk):
            self._engine.submit(self.slot, hop, 0.0, wait=True)


def measure(seconds: float) -> list[Figure]:
    """Fewer sessions are tried in less than the 20 s that a thousand take."""
    with engine_of_reference() as engine:
        costs = {n: cost(engine, n) for n in SESSIONS if n <= max(1, SHARE * seconds)}
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
        most("memory beyond the logs", rest, "kB", MEMORY_KB),
    ]


@contextmanager
def engine_of_reference() -> Iterator[Engine]:
    """Ended on leaving."""
    checkpoint = reference_checkpoint()
    engine = Engine(checkpoint)
    try:
        yield engine
    finally:
        engine.close()


def cost(engine: Engine, sessions: int) -> float:
    """The processor's time for one session's second of signal, once all are warm; s."""
    watched = [SteppedSession(engine) for _ in range(sessions)]
    made = packets(4.0)
    warm = len(made) * 3 // 4
    start = 0.0
    for nth, chunk in enumerate(made):
        if nth == warm:
            start = _worked(engine, watched)
        for each in watched:
            each.take(chunk)
    spent = _worked(engine, watched) - start
    for each in watched:
        engine.finish(each.slot)
    return spent / sessions


def memory(engine: Engine) -> tuple[float, float]:
    """What a session's logs take, and all else of it, kB."""
    made = packets(4.0)
    states = engine.checkpoint.network.initial_states(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        logs = EpochLogs("bench", INFO, ActiveModel())
        between = tracemalloc.get_traced_memory()[0]
        watched = SteppedSession(engine)
        for chunk in made:
            watched.take(chunk)
        engine.finish(watched.slot)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    taken = between - before
    del logs
    rest = after - between - taken + sum(each.nbytes for each in states)
    return taken / 1e3, rest / 1e3


def _worked(engine: Engine, watched: list[SteppedSession]) -> float:
    """The processor's time so far, s, once all is stepped."""
    for each in watched:
        engine.drain(each.slot)
    return time.process_time()


def _forget(prediction: Prediction, received: float, stepped: float) -> None:
    """Nobody listens."""
