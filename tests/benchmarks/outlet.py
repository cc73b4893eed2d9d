"""Sample timing of ``mimamba simulate --to lsl``, as another program on this machine sees it.

The simulator runs in its own process, the inlet in this one. ``stamp`` is the distance of a
sample's stamp from an even clock that starts with the first sample. ``arrival`` is the time from
the stamp of a packet's newest sample until the packet arrives.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pylsl

from mimamba.drivers.simulator.driver import PACKET_SECONDS
from mimamba.service.bench.figures import Figure

MIMAMBA = Path(sys.executable).with_name("mimamba")
TIMEOUT = 30.0


def measure(seconds: float) -> list[Figure]:
    """Receive a simulated headset for this long."""
    with simulated_inlet() as inlet:
        sfreq = inlet.info().nominal_srate()
        stamps, delays = receive(inlet, round(seconds * sfreq), round(PACKET_SECONDS * sfreq))
    even = stamps[0] + np.arange(len(stamps)) / sfreq
    return [
        Figure(f"{name}, {'max' if share == 100 else f'p{share:g}'}", 1e3 * float(value), "ms")
        for name, values in (("stamp", np.abs(np.array(stamps) - even)), ("arrival", delays))
        for share in (50, 99, 99.9, 100)
        for value in [np.percentile(values, share)]
    ]


@contextmanager
def simulated_inlet() -> Iterator[Any]:
    """Start a simulated headset, and open an inlet on it."""
    name = f"benchmark {uuid4()}"
    process = subprocess.Popen(
        [MIMAMBA, "simulate", "--to", "lsl", "--name", name], stderr=subprocess.DEVNULL
    )
    try:
        (info,) = pylsl.resolve_byprop("name", name, 1, TIMEOUT)
        inlet = pylsl.StreamInlet(info, recover=False)
        inlet.open_stream(TIMEOUT)
        yield inlet
    finally:
        process.terminate()
        process.wait()


def receive(inlet: Any, n_times: int, packet: int) -> tuple[list[float], list[float]]:
    """Return the samples' stamps, and for each packet the delay after its newest stamp, s."""
    stamps: list[float] = []
    delays: list[float] = []
    while len(stamps) < n_times:
        _, found = inlet.pull_chunk(1.0, min_samples=1)
        now = pylsl.local_clock()
        stamps += found
        if found and len(stamps) % packet == 0:  # the packet's newest sample
            delays.append(now - found[-1])
    return stamps, delays
