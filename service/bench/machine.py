"""A description of the machine that is measured, and the CPU time that its host took away."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

import torch

from mimamba.service.bench.process_usage import load_averages

PROC_STAT, STEAL = Path("/proc/stat"), 7
"""File in which Linux counts CPU time by use, and the column of the time stolen by the host."""


def describe_machine() -> str:
    """Describe CPU, GPUs, versions and load in one line."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((each.split(": ")[1] for each in lines if "model name" in each), name)
    devices = [torch.cuda.get_device_name(nth) for nth in range(torch.cuda.device_count())]
    python = f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    load = load_averages()
    loaded = [] if load is None else [f"load {load}"]
    return ", ".join([f"{name}, {os.cpu_count()} cores", *devices, python, *loaded])


class StealTime:
    """CPU time that a virtual machine's host gave to others since this object was made.

    See proc_stat(5). It makes every figure worse, and the load average does not show it.

    Parameters
    ----------
    file
        File in which Linux counts CPU time by use.
    """

    def __init__(self, file: Path = PROC_STAT) -> None:
        self._file = file
        self._before = _ticks(file)

    def share(self) -> float | None:
        """Return the stolen share of all CPU time in percent; None where it is not known."""
        now = _ticks(self._file)
        if now is None or self._before is None:
            return None
        whole = sum(now) - sum(self._before)
        return 100 * (now[STEAL] - self._before[STEAL]) / max(1, whole)


def _ticks(file: Path) -> list[int] | None:
    """CPU time by use; the columns after steal are left out, since they are counted twice."""
    try:
        with file.open(encoding="utf-8") as lines:
            return [int(each) for each in lines.readline().split()[1 : STEAL + 2]]
    except (OSError, ValueError):
        return None
