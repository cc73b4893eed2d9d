"""Added latency: from a chunk's reception to its prediction at a WebSocket client.

``make bench``, or ``python -m tests.benchmarks.latency [seconds]``: a service in a process of its
own watches the simulator with the demo model; a client in this process, on the same machine and so
on the same clock, notes when each prediction arrives.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from drivers.clock import local_clock
from service.client import Client
from service.messages import PredictionMessage, SessionState

MIMAMBA = Path(sys.executable).with_name("mimamba")


@contextmanager
def service() -> Iterator[str]:
    """A service on a free port; its address."""
    command = [str(MIMAMBA), "serve", "--port", "0", "--source", "simulate://?seed=1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = None
        while found is None:
            found = re.search(r"http://\S+/", process.stderr.readline())
        yield found[0]
    finally:
        process.terminate()
        process.communicate()


def stages(told: PredictionMessage, heard: float) -> dict[str, float]:
    """Where a prediction's time went, seconds."""
    timing = told.timing
    return {
        "reception to step": timing.stepped - timing.received,
        "step to log": timing.published - timing.stepped,
        "log to client": heard - timing.published,
        "reception to client": heard - timing.received,
    }


async def listen(url: str, count: int) -> list[tuple[PredictionMessage, float]]:
    """Predictions that are ok, each with the time of its arrival."""
    heard: list[tuple[PredictionMessage, float]] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Listening", total=count)
        async with Client(url) as client:
            async for message in client:
                now = local_clock()
                if isinstance(message, SessionState) and message.state == "opened":
                    await client.subscribe(message.session, ["prediction", "signal"])
                elif isinstance(message, PredictionMessage) and message.status == "ok":
                    heard.append((message, now))
                    progress.advance(bar)
                if len(heard) == count:
                    break
    return heard


def main() -> None:
    """Measure and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with service() as url:
        heard = asyncio.run(listen(url, round(4 * seconds)))
    table = Table(
        title=f"Added latency, ms: one session, {len(heard)} predictions, model demo",
        caption=f"{platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}",
    )
    table.add_column("stage")
    for heading in ("p50", "p90", "p99", "max"):
        table.add_column(heading, justify="right")
    rows = [stages(told, at) for told, at in heard]
    for name in rows[0]:
        times = 1e3 * np.percentile([row[name] for row in rows], [50, 90, 99, 100])
        table.add_row(name, *(f"{time:.2f}" for time in times))
    Console(width=88).print(table)


if __name__ == "__main__":
    main()
