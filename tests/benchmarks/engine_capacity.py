"""Sessions that the engine alone can step at four hops a second, each with a made window.

Hops are due at evenly spread times, as those of independent sessions are. The number of sessions
grows until 99 % of hops are no longer stepped in time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mimamba.drivers.timing.clock import local_clock
from mimamba.models.inference.stepper import Stepper
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.prediction import Prediction
from mimamba.models.signal.hops import Hop
from mimamba.service.bench.figures import Figure
from mimamba.service.engine.engine import Engine, Slot
from tests.benchmarks.reference_model import reference_checkpoint

PERIOD = 0.25
LIMIT = 0.05
"""Seconds by which 99 % of hops may be late."""
SESSIONS = tuple(1 << nth for nth in range(3, 17))
TRIALS = 12
"""Number of parts into which the time is divided."""


@dataclass
class HopDelays:
    """Seconds from the time at which hops were due until they were stepped."""

    seconds: list[float] = field(default_factory=list)

    def publish(self, prediction: Prediction, due: float, stepped: float) -> None:
        """Note a hop; called in the engine's thread."""
        assert prediction.outputs is not None
        self.seconds.append(stepped - due)


def measure(seconds: float) -> list[Figure]:
    """Measure the engine on the CPU."""
    return capacity(None, None, seconds)


def capacity(
    make: Callable[[MSiMamba], Stepper] | None, aim: int | None, seconds: float
) -> list[Figure]:
    """Find the largest number of sessions, and the delay of their hops.

    Parameters
    ----------
    make
        Makes the stepper; None for the engine's own.
    aim
        Number of sessions that should be possible; it is tried as well.
    seconds
        Approximate duration, s.
    """
    checkpoint = reference_checkpoint()
    engine = Engine(checkpoint, make(checkpoint.network) if make else None)
    try:
        most, delay = 0, 0.0
        for sessions in sorted({*SESSIONS, aim} if aim else SESSIONS):
            p99 = delay_p99(engine, sessions, max(2 * PERIOD, seconds / TRIALS))
            if p99 > LIMIT:
                break
            most, delay = sessions, p99
    finally:
        engine.close()
    judged = (f">= {aim:,}", most >= aim) if aim else ()
    return [
        Figure("sessions that the engine alone can step", most, "sessions", *judged),
        Figure("their hops' delay, p99", 1e3 * delay, "ms", f"<= {1e3 * LIMIT:g} ms"),
        Figure(f"delay with {sessions:,}, p99", 1e3 * p99, "ms"),
    ]


def delay_p99(engine: Engine, sessions: int, seconds: float) -> float:
    """Return the delay's 99th percentile, s; the whole time if hops were skipped."""
    delays = HopDelays()
    slots = [engine.open(1.0, delays.publish) for _ in range(sessions)]
    submit_hops(engine, slots, PERIOD)  # warms up
    delays.seconds.clear()
    start = local_clock()
    hops = submit_hops(engine, slots, seconds)
    for slot in slots:
        engine.finish(slot)
    if len(delays.seconds) < hops:
        return local_clock() - start
    return float(np.percentile(delays.seconds, 99))


def submit_hops(engine: Engine, slots: list[Slot], seconds: float) -> int:
    """Submit hops at their times, wait until they are stepped, and return their number."""
    shape = engine.checkpoint.architecture.n_channels, engine.checkpoint.architecture.n_times
    window = np.random.default_rng(0).normal(0, 10, shape).astype(np.float32).cumsum(axis=1)
    hops, start = round(seconds / PERIOD) * len(slots), local_clock()
    for nth in range(hops):
        due = start + nth * PERIOD / len(slots)
        if (ahead := due - local_clock()) > 0:
            time.sleep(ahead)
        slot = slots[nth % len(slots)]
        engine.submit(slot, Hop(nth, due, "ok", None, window, False, 0), due, wait=False)
    for slot in slots:
        engine.drain(slot)
    return hops
