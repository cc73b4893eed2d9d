"""Cost of one session among others: CPU time for a second of signal, and memory.

Each session has its own logs, quality, bands and hops, and one engine steps all of them. Nothing
waits for a clock, and only CPU time is measured, so other programs hardly disturb it.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from mimamba.drivers.driver import Chunk
from mimamba.models.prediction import Prediction
from mimamba.models.signal.hops import HopCutter
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.engine.engine import Engine
from mimamba.service.sessions.channel_meters import ChannelMeters
from mimamba.service.sessions.epoch_logs import ActiveModel, EpochLogs
from tests.benchmarks.reference_model import INFO, packets, reference_checkpoint

SESSIONS = (1, 10, 100, 1000)
FLAT = 1.2
"""Largest cost of a session among many, in units of the cost of one alone."""
MEMORY_KB = 200.0
SESSIONS_A_SECOND = 60
"""Largest number of sessions for each second of measuring; more are left out."""


class SteppedSession:
    """The work of one session with a chunk, without its thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._logs = EpochLogs("bench", INFO, ActiveModel())
        self._meters = ChannelMeters(INFO)
        self._cutter = HopCutter(engine.checkpoint.signal, INFO, range(4), INFO.ch_names)
        self.slot = engine.open(1.0, _ignore)

    def take(self, chunk: Chunk) -> None:
        """Log a chunk, measure it, and submit its hops."""
        self._logs.take(chunk)
        for measure in self._meters.feed(chunk):
            self._logs.add_measure(measure)
        for hop in self._cutter.feed(chunk):
            self._engine.submit(self.slot, hop, 0.0, wait=True)


def measure(seconds: float) -> list[Figure]:
    """Measure 1 to 1,000 sessions; in less than 20 s, only as many as fit."""
    with engine_of_reference() as engine:
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
def engine_of_reference() -> Iterator[Engine]:
    """Make an engine with the reference model; it is closed on leaving."""
    checkpoint = reference_checkpoint()
    engine = Engine(checkpoint)
    try:
        yield engine
    finally:
        engine.close()


def cost(engine: Engine, sessions: int) -> float:
    """Return the CPU time of one session for a second of signal, after a warm-up, s."""
    stepped = [SteppedSession(engine) for _ in range(sessions)]
    made = packets(4.0)
    warm = len(made) * 3 // 4
    start = 0.0
    for nth, chunk in enumerate(made):
        if nth == warm:
            start = _cpu_time(engine, stepped)
        for each in stepped:
            each.take(chunk)
    spent = _cpu_time(engine, stepped) - start
    for each in stepped:
        engine.finish(each.slot)
    return spent / sessions


def memory(engine: Engine) -> tuple[float, float]:
    """Return the memory of a session's logs, and of everything else in it, kB."""
    made = packets(4.0)
    states = engine.checkpoint.network.initial_states(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        logs = EpochLogs("bench", INFO, ActiveModel())
        between = tracemalloc.get_traced_memory()[0]
        session = SteppedSession(engine)
        for chunk in made:
            session.take(chunk)
        engine.finish(session.slot)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    taken = between - before
    del logs
    rest = after - between - taken + sum(each.nbytes for each in states)
    return taken / 1e3, rest / 1e3


def _cpu_time(engine: Engine, stepped: list[SteppedSession]) -> float:
    """CPU time of this process, s, once all hops are stepped."""
    for each in stepped:
        engine.drain(each.slot)
    return time.process_time()


def _ignore(prediction: Prediction, received: float, stepped: float) -> None:
    """Drop the prediction."""
