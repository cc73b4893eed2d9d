"""Added latency: from a chunk's reception to its prediction at a WebSocket client.

``make bench``, or ``python -m tests.benchmarks.latency [seconds]``: as ``service/latency.py``
measures it, in a table.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from service.latency import Heard, listen, simulated_service, summary


def measure(count: int) -> Heard:
    """So many predictions, under a bar."""
    with simulated_service() as url, Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("Listening", total=count)
        return asyncio.run(listen(url, count, lambda: bars.advance(bar)))


def main() -> None:
    """Measure and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    heard = measure(round(4 * seconds))
    table = Table(
        title=f"Added latency, ms: one session, {len(heard)} predictions, model demo",
        caption=f"{platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}",
    )
    table.add_column("stage")
    for heading in ("p50", "p90", "p99", "max"):
        table.add_column(heading, justify="right")
    for name, times in summary(heard).items():
        table.add_row(name, *(f"{time:.2f}" for time in times))
    Console(width=88).print(table)


if __name__ == "__main__":
    main()
