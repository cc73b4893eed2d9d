"""Sample timing of ``mimamba simulate --to lsl``, as another program on this machine sees it.

``python -m tests.benchmarks.outlet [seconds]`` (600 where none are given): the simulator in a
process of its own, an inlet in this one. ``stamp`` is how far each sample's stamp is from an even
clock that starts with the first; ``arrival`` is how long after its newest sample's stamp a packet
was here.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pylsl
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mimamba.drivers.simulator.driver import PACKET_SECONDS

MIMAMBA = Path(sys.executable).with_name("mimamba")
PATIENCE = 30.0


@contextmanager
def simulated() -> Iterator[Any]:
    """An inlet on a simulated headset."""
    name = f"benchmark {uuid4()}"
    process = subprocess.Popen(
        [MIMAMBA, "simulate", "--to", "lsl", "--name", name], stderr=subprocess.DEVNULL
    )
    try:
        (info,) = pylsl.resolve_byprop("name", name, 1, PATIENCE)
        inlet = pylsl.StreamInlet(info, recover=False)
        inlet.open_stream(PATIENCE)
        yield inlet
    finally:
        process.terminate()
        process.wait()


def listen(inlet: Any, n_times: int, packet: int) -> tuple[list[float], list[float]]:
    """Stamps of samples, and for each packet how long after its newest stamp it came, s."""
    stamps: list[float] = []
    late: list[float] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Listening", total=n_times)
        while len(stamps) < n_times:
            _, found = inlet.pull_chunk(1.0, min_samples=1)
            now = pylsl.local_clock()
            stamps += found
            if found and len(stamps) % packet == 0:  # the packet's newest sample
                late.append(now - found[-1])
            progress.advance(bar, len(found))
    return stamps, late


def main() -> None:
    """Measure and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    with simulated() as inlet:
        sfreq = inlet.info().nominal_srate()
        stamps, late = listen(inlet, round(seconds * sfreq), round(PACKET_SECONDS * sfreq))
    even = stamps[0] + np.arange(len(stamps)) / sfreq
    table = Table(
        title=f"Sample timing over {seconds:g} s, ms: {len(stamps)} samples at {sfreq:g} Hz",
        caption=f"{platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, liblsl {pylsl.library_version()}",
    )
    table.add_column("")
    for heading in ("p50", "p99", "p99.9", "max"):
        table.add_column(heading, justify="right")
    for name, values in (("stamp", np.abs(np.array(stamps) - even)), ("arrival", np.array(late))):
        times = 1e3 * np.percentile(values, [50, 99, 99.9, 100])
        table.add_row(name, *(f"{each:.3f}" for each in times))
    Console(width=88).print(table)


if __name__ == "__main__":
    main()
