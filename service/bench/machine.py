"""What the figures are of: the machine, its devices and its load."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

import torch

TIMES, STEAL = Path("/proc/stat"), 7
"""Where Linux tells the processors' time by use, and which of them the host gave to others."""


def describe_machine() -> str:
    """One line for a person."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((each.split(": ")[1] for each in lines if "model name" in each), name)
    devices = [torch.cuda.get_device_name(nth) for nth in range(torch.cuda.device_count())]
    python = f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return ", ".join([f"{name}, {os.cpu_count()} cores", *devices, python, f"load {load}"])


class StealTime:
    """What a virtual machine's host gave to others since this was made; proc_stat(5).

    All figures are worse for it, whatever the load within says.
    """

    def __init__(self) -> None:
        self._before = _ticks()

    def share(self) -> float | None:
        """Percent of the processors' time; None where the system does not tell."""
        now = _ticks()
        if now is None or self._before is None:
            return None
        whole = sum(now) - sum(self._before)
        return 100 * (now[STEAL] - self._before[STEAL]) / max(1, whole)


def _ticks() -> list[int] | None:
    """The processors' time by use, less what is counted twice."""
    try:
        with TIMES.open() as lines:
            return [int(each) for each in lines.readline().split()[1 : STEAL + 2]]
    except (OSError, ValueError):
        return None
