"""How long one hour of four channels at 256 Hz takes to read, by format.

``python -m tests.benchmarks.readers [hours]``: each file is made, read once small so that imports
are paid, then read whole in this process. OpenBCI's files have 8 channels at 250 Hz.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from mimamba.drivers.formats.read import read_recording
from tests.drivers.formats.files import FORMATS

LIMITS = {"XDF": 2.0, "EDF+": 2.0, "BDF+": 2.0}
"""Seconds per hour of signal."""
CSV_LIMIT = 5.0


def measure(name: str, n_times: int) -> tuple[float, float]:
    """Seconds to read a file of so many samples, and its size in MB."""
    with TemporaryDirectory() as folder:
        read_recording(FORMATS[name](Path(folder), 1000))
    with TemporaryDirectory() as folder:
        path = FORMATS[name](Path(folder), n_times)
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        start = time.perf_counter()
        made = read_recording(path)
        seconds = time.perf_counter() - start
    assert made.n_times == n_times, made.info.notices
    return seconds, size


def main() -> None:
    """Measure and print the table."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    table = Table("format", "MB", "s", "limit, s", title=f"Reading {hours:g} h at 256 Hz")
    for name in FORMATS:
        seconds, size = measure(name, round(hours * 3600 * 256))
        limit = LIMITS.get(name, CSV_LIMIT) * hours
        table.add_row(name, f"{size:.0f}", f"{seconds:.2f}", f"{limit:g}")
    Console().print(table)


if __name__ == "__main__":
    main()
