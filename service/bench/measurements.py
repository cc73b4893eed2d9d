"""The list of measurements; the module of a measurement is imported when it runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from mimamba.drivers.errors import Mismatch
from mimamba.service.bench.figures import Figure


class NoMeasurement(Mismatch):
    """There is no measurement of that name."""


@dataclass(frozen=True)
class Measurement:
    """One measurement.

    Parameters
    ----------
    about
        The subject, in words.
    seconds
        Default duration, s.
    run
        Measures for about this long (s); raises NotRun where it cannot be measured.
    """

    about: str
    seconds: float
    run: Callable[[float], list[Figure]]


def _run(module: str, seconds: float) -> list[Figure]:
    found = importlib.import_module(f"mimamba.service.bench.{module}")
    return cast("list[Figure]", found.measure(seconds))


MEASUREMENTS = {
    "startup": Measurement(
        "time from the start of a service to its first predictions, and its memory",
        30.0,
        partial(_run, "startup"),
    ),
    "latency": Measurement(
        "time from a sample's arrival to its prediction at a client",
        30.0,
        partial(_run, "latency"),
    ),
    "sessions": Measurement(
        "hops stepped in time, by number of sessions", 30.0, partial(_run, "sessions")
    ),
    "steps": Measurement(
        "hops a second by batch size, and their comparison", 60.0, partial(_run, "steps")
    ),
}
MOVED = {
    "cuda": "cuda",
    "growth": "session_cost",
    "mne-lsl": "mne_lsl",
    "score": "scoring_speed",
    "signal": "signal_path",
    "soak": "soak",
    "subscribers": "subscribers",
}
"""Former measurements, by the name that ``python -m tests.benchmarks`` has for them."""


def choose(names: Sequence[str]) -> dict[str, Measurement]:
    """Return the measurements of these names, or all if there are none; raises NoMeasurement."""
    for name in names:
        if name in MEASUREMENTS:
            continue
        remedy = "correct the name after --only"
        if name in MOVED:
            remedy = f"in a checkout of mimamba, run: python -m tests.benchmarks {MOVED[name]}"
        raise NoMeasurement(f"one of {', '.join(MEASUREMENTS)}", repr(name), remedy)
    return {name: MEASUREMENTS[name] for name in names or MEASUREMENTS}
