"""Processor time and memory of processes, as far as the system tells them.

Linux has proc(5), Linux and macOS have ps(1). On Windows nothing is measured: the figures are NaN.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int, thread: int | None = None) -> float:
    """Return the CPU time of a process so far, without its children, s; NaN without proc(5).

    With ``thread``, the system's number of one of its threads, that of this thread alone.
    """
    if sys.platform == "win32":
        return math.nan
    with suppress(OSError):
        place = f"/proc/{pid}/stat" if thread is None else f"/proc/{pid}/task/{thread}/stat"
        fields = Path(place).read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return math.nan


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process and its children, MB; NaN without ps(1).

    Pages that they share are counted once for each.
    """
    ps = shutil.which("ps")
    if ps is None:
        return math.nan
    listing = subprocess.run(
        [ps, "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=True
    )
    rows = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
    return sum(_family(pid, rows)) / 1000


def load_averages() -> str | None:
    """Return the system's load averages; None where it has none."""
    if not hasattr(os, "getloadavg"):
        return None
    return ", ".join(f"{each:.1f}" for each in os.getloadavg())


def _family(pid: int, rows: list[tuple[int, ...]]) -> Iterator[int]:
    """Memory of a process and of its children, from rows of (process, parent, memory)."""
    for each, parent, memory in rows:
        if each == pid:
            yield memory
        elif parent == pid:
            yield from _family(each, rows)
