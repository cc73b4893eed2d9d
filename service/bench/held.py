"""How many sessions the engine alone holds at four hops a second, each with a made window.

A hop is due at its own time, as sessions come when they please. Late is what is stepped long after
that. More and more are tried until the engine cannot follow.
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
from mimamba.service.bench.reference import reference_checkpoint
from mimamba.service.engine.engine import Engine, Slot

PERIOD = 0.25
LATENESS = 0.05
"""Seconds by which 99 % of hops may be late."""
TRIED = tuple(1 << nth for nth in range(3, 17))
"""Numbers of sessions, from few to many, until one cannot be held; an aim is tried as well."""
TRIALS = 12
"""Into how many the time is divided."""


@dataclass
class Late:
    """How long after they were due hops were stepped, seconds."""

    seconds: list[float] = field(default_factory=list)

    def publish(self, prediction: Prediction, due: float, stepped: float) -> None:
        """As the engine tells it, in its thread."""
        assert prediction.outputs is not None
        self.seconds.append(stepped - due)


def measure(seconds: float) -> list[Figure]:
    """Of the engine as it is without a device."""
    return figures(None, None, seconds)


def figures(
    make: Callable[[MSiMamba], Stepper] | None, aim: int | None, seconds: float
) -> list[Figure]:
    """The most sessions held, and how late their hops were; then the first number that was not.

    ``make`` makes the stepper; None leaves it to the engine. ``aim`` is how many should be held.
    """
    checkpoint = reference_checkpoint()
    engine = Engine(checkpoint, make(checkpoint.network) if make else None)
    try:
        held, late = 0, 0.0
        for sessions in sorted({*TRIED, aim} if aim else TRIED):
            p99 = lateness(engine, sessions, max(2 * PERIOD, seconds / TRIALS))
            if p99 > LATENESS:
                break
            held, late = sessions, p99
    finally:
        engine.close()
    judged = (f">= {aim:,}", held >= aim) if aim else ()
    return [
        Figure("sessions held by the engine alone", held, "sessions", *judged),
        Figure("lateness of theirs, p99", 1e3 * late, "ms", f"<= {1e3 * LATENESS:g} ms"),
        Figure(f"lateness of {sessions:,}, p99", 1e3 * p99, "ms"),
    ]


def lateness(engine: Engine, sessions: int, seconds: float) -> float:
    """The 99th percentile of so many sessions' lateness, s; all of it where hops were skipped."""
    late = Late()
    slots = [engine.open(1.0, late.publish) for _ in range(sessions)]
    play(engine, slots, PERIOD)  # to warm up
    late.seconds.clear()
    start = local_clock()
    hops = play(engine, slots, seconds)
    for slot in slots:
        engine.finish(slot)
    if len(late.seconds) < hops:
        return local_clock() - start
    return float(np.percentile(late.seconds, 99))


def play(engine: Engine, slots: list[Slot], seconds: float) -> int:
    """Have hops due for so long, and wait until they are stepped; how many."""
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
