"""What the figures are of: the machine, its devices and its load."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

import torch


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
