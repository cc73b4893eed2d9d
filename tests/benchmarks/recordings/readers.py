"""Time to read a recording of four channels at 256 Hz, by file format.

Each file is made, read once small so that imports are not counted, then read whole in this process.
OpenBCI's files have 8 channels at 250 Hz.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from mimamba.drivers.formats.read import read_recording
from mimamba.service.bench.figures import Figure, at_most
from tests.drivers.formats.files import FORMATS

LIMITS = {"XDF": 2.0, "EDF+": 2.0, "BDF+": 2.0}
"""Seconds for an hour of signal."""
TEXT_LIMIT = 5.0


def measure(hours: float) -> list[Figure]:
    """Read a recording of this length in each format."""
    figures = []
    for name in FORMATS:
        seconds, size = read_time(name, round(hours * 3600 * 256))
        limit = LIMITS.get(name, TEXT_LIMIT) * hours
        figures.append(at_most(f"{name}, {size:.0f} MB", seconds, "s", limit))
    return figures


def read_time(name: str, n_times: int) -> tuple[float, float]:
    """Return the seconds to read a file of this many samples, and its size in MB."""
    with TemporaryDirectory() as folder:
        read_recording(FORMATS[name](Path(folder), 1000))
    with TemporaryDirectory() as folder:
        path = FORMATS[name](Path(folder), n_times)
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        start = time.perf_counter()
        recording = read_recording(path)
        seconds = time.perf_counter() - start
    assert recording.n_times == n_times, recording.info.notices
    return seconds, size
