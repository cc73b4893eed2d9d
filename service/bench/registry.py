"""What can be measured; a measurement's module is imported only when it runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from mimamba.drivers.errors import Mismatch
from mimamba.service.bench.figures import Figure


class NoMeasurement(Mismatch):
    """There is no measurement of that name."""


@dataclass(frozen=True)
class Measurement:
    """What is measured, in words, and for how many seconds if nobody says; ``module`` has it.

    What is not ``usual`` is measured only where it is named.
    """

    module: str
    about: str
    seconds: float
    usual: bool = True

    def run(self, seconds: float) -> list[Figure]:
        """Measure for about so many seconds."""
        module = importlib.import_module(f"mimamba.service.bench.{self.module}")
        return cast("Callable[[float], list[Figure]]", module.measure)(seconds)


MEASUREMENTS = {
    "startup": Measurement("startup", "from the start of a service to its first predictions", 30.0),
    "steps": Measurement("steps", "one hop, and hops a second by batch, beside other ways", 60.0),
    "cuda": Measurement("cuda", "steps, latency, sessions and errors on a CUDA device", 120.0),
    "latency": Measurement("latency", "from samples to their prediction at a client", 30.0),
    "held": Measurement("held", "sessions that the engine alone holds at 4 hops a second", 30.0),
    "sessions": Measurement("sessions", "sessions that the whole service holds", 30.0),
    "subscribers": Measurement("subscribers", "500 subscribers, and 50 that never read", 30.0),
    "score": Measurement("offline", "a recording scored, times real time", 10.0),
    "growth": Measurement("growth", "what a session costs beside 1, 10, 100 and 1,000", 30.0),
    "signal": Measurement("signal", "ring, filters, resampler, quality and bands, by chunk", 10.0),
    "mne-lsl": Measurement("mnelsl", "LSL, ring and filters, beside MNE-LSL's stream", 20.0),
    "soak": Measurement("soak", "a service at 8 times the pace, clients come and go", 600.0, False),
}


def choose(names: Sequence[str]) -> dict[str, Measurement]:
    """Those of these names, or the usual where none is named; raises NoMeasurement."""
    for name in names:
        if name not in MEASUREMENTS:
            there = ", ".join(MEASUREMENTS)
            raise NoMeasurement(f"one of {there}", repr(name), "run: mimamba bench --only NAME")
    usual = [name for name, each in MEASUREMENTS.items() if each.usual]
    return {name: MEASUREMENTS[name] for name in names or usual}
