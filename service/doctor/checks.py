"""What ``mimamba doctor`` looks at: software, the disk, and the service itself."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from pathlib import Path
from tempfile import NamedTemporaryFile

from mimamba.models.inference.device import DeviceError, find_device
from mimamba.models.inference.precision import DeviceRequest, Precision
from mimamba.service.bench.latency_probe import (
    ReceivedPredictions,
    listen,
    simulated_service,
    summary,
)
from mimamba.service.bench.service_process import NoService
from mimamba.service.doctor.finding import Finding, fail, note, ok
from mimamba.service.http.page import find_page
from mimamba.service.storage.folders import LEAST_BYTES, LOW_BYTES, free_space

OLDEST_PYTHON = (3, 11)
SLOW_SYNC = 0.1
"""Seconds of one fsync; a recorder makes one every 2 s, and writes nothing meanwhile."""
SECONDS = 10.0
"""How long the latency is measured."""
PREDICTIONS = 2
"""A second, of the shipped model."""
PATIENCE = 45.0
"""Seconds for the service to start, its model to warm up, and the measurement."""
SLOW = 100.0
"""ms at the 99th percentile: what a person begins to see."""


def check_python() -> Finding:
    """The interpreter's version."""
    found = f"{platform.python_version()} on {platform.platform(terse=True)}"
    if sys.version_info < OLDEST_PYTHON:
        return fail("Python", found, "install Python 3.11 or newer")
    return ok("Python", found)


def check_torch() -> Finding:
    """PyTorch, and where it computes."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return fail("PyTorch", str(error), "install mimamba again: pip install .")
    found = f"{torch.__version__}, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        return ok("PyTorch", f"{found}, no CUDA device")
    return ok("PyTorch", f"{found}, {torch.cuda.get_device_name()}")


def check_device(wanted: DeviceRequest, precision: Precision) -> Finding:
    """Where models run, by these settings."""
    try:
        found = find_device(wanted, precision)
    except DeviceError as error:
        return fail("device", error.found, error.remedy)
    except (ImportError, OSError):
        return note("device", "cannot be asked where PyTorch does not load")
    return ok("device", f"models run on {found}; --device {wanted}")


def check_mamba_ssm() -> Finding:
    """The kernels for CUDA devices, which nobody needs without one; as the models tell of them."""
    name = "mamba-ssm"
    try:
        import torch

        from mimamba.models.network.mamba_kernels import MambaKernels, describe_scan, load_kernels
    except (ImportError, OSError):
        return note(name, "cannot be asked where PyTorch does not load")
    if not torch.cuda.is_available():
        return ok(name, describe_scan(torch.device("cpu")))
    found = describe_scan(torch.device("cuda"))
    if isinstance(load_kernels(), MambaKernels):
        return ok(name, found)
    return note(name, found, "build it for this PyTorch and card: pip install 'mimamba[cuda]'")


def check_page() -> Finding:
    """Whether the page is built."""
    folder = find_page()
    if folder is None:
        return fail("page", "not built", "install mimamba again: pip install .")
    return ok("page", str(folder))


def check_disk(folder: Path) -> Finding:
    """Free space, and how long it takes to make a file safe, in the folder of the recordings."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    remedy = "choose another folder with --data-dir"
    try:
        free, seconds = free_space(there), _sync(there)
    except OSError as error:
        return fail("disk", f"{there}: {error.strerror or error}", remedy)
    found = f"{there}: {free / 1e9:.1f} GB free, fsync in {1e3 * seconds:.1f} ms"
    if free < 2 * LEAST_BYTES:
        return fail("disk", found, f"make room, or {remedy}")
    if free < LOW_BYTES:
        return note("disk", found, f"make room, or {remedy}")
    return note("disk", found, remedy) if seconds > SLOW_SYNC else ok("disk", found)


def _sync(folder: Path) -> float:
    """Seconds to write 8 kB, as a recorder does, and have them on the disk."""
    with NamedTemporaryFile(dir=folder, prefix=".mimamba-doctor-") as file:
        start = time.perf_counter()
        file.write(bytes(8192))
        file.flush()
        os.fsync(file.fileno())
        return time.perf_counter() - start


def check_latency(seconds: float = SECONDS) -> Finding:
    """From a sample's reception to its prediction at a client, through a service of its own."""
    name, remedy = "latency", "stop other programs, or let the machine run at its full clock"
    try:
        with simulated_service() as service:
            times = summary(asyncio.run(_measure(service.url, round(PREDICTIONS * seconds))))
    except NoService as error:
        return fail(name, error.found, error.remedy)
    except TimeoutError:
        return fail(name, f"not {seconds:g} s of predictions within {PATIENCE:g} s", remedy)
    middle, _, late, worst = times["reception to client"]
    found = f"{middle:.1f} ms at the median, {late:.1f} ms at the 99th percentile, {worst:.1f} most"
    return note(name, found, remedy) if late > SLOW else ok(name, found)


async def _measure(url: str, count: int) -> ReceivedPredictions:
    async with asyncio.timeout(PATIENCE):
        return await listen(url, count, lambda: None)
