"""Checks of the software, the disk, and the service itself."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from mimamba.models.inference.device import DeviceError, find_device
from mimamba.models.inference.precision import DeviceRequest, Precision
from mimamba.service.bench.latency import (
    ReceivedPredictions,
    receive,
    simulated_service,
    summarize,
)
from mimamba.service.bench.service_process import ServiceNotStarted
from mimamba.service.doctor.finding import Finding, fail, note, ok
from mimamba.service.http.page import find_page
from mimamba.service.server.certificate import check_certificate
from mimamba.service.settings.load import CannotServe
from mimamba.service.storage.folders import (
    LEAST_BYTES,
    LOW_BYTES,
    free_space,
    nearest_existing,
)

OLDEST_PYTHON = (3, 11)
SLOW_SYNC = 0.1
"""Longest fsync, s. A recorder calls it every 2 s, and cannot write meanwhile."""
SECONDS = 10.0
"""Duration of the latency measurement, s."""
PREDICTIONS = 2
"""Predictions of the shipped model in a second."""
TIMEOUT = 45.0
"""Seconds for the service to start, its model to warm up, and the measurement."""
SLOW = 100.0
"""Latency at the 99th percentile from which a person notices it, ms."""


def check_python() -> Finding:
    """Check the version of Python."""
    found = f"{platform.python_version()} on {platform.platform(terse=True)}"
    if sys.version_info < OLDEST_PYTHON:
        return fail("Python", found, "install Python 3.11 or newer")
    return ok("Python", found)


def check_torch() -> Finding:
    """Check PyTorch, and name its devices."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return fail("PyTorch", str(error), "install mimamba again: pip install .")
    found = f"{torch.__version__}, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        return ok("PyTorch", f"{found}, no CUDA device")
    return ok("PyTorch", f"{found}, {torch.cuda.get_device_name()}")


def check_device(wanted: DeviceRequest, precision: Precision) -> Finding:
    """Check the device on which models run with these settings."""
    try:
        found = find_device(wanted, precision)
    except DeviceError as error:
        return fail("device", error.found, error.remedy)
    except (ImportError, OSError):
        return note("device", "cannot be checked, since PyTorch does not load")
    return ok("device", f"models run on {found}; --device {wanted}")


def check_mamba_ssm() -> Finding:
    """Check the kernels for CUDA devices, which are optional."""
    name = "mamba-ssm"
    try:
        import torch

        from mimamba.models.network.mamba_kernels import (
            MambaKernels,
            describe_scan,
            load_kernels,
            load_own_kernels,
        )
    except (ImportError, OSError):
        return note(name, "cannot be checked, since PyTorch does not load")
    if not torch.cuda.is_available():
        return ok(name, describe_scan(torch.device("cpu")))
    found = describe_scan(torch.device("cuda"))
    if isinstance(load_kernels(), MambaKernels) or load_own_kernels() is not None:
        return ok(name, found)
    remedy = "build it for this PyTorch and card: pip install mamba-ssm --no-build-isolation"
    return note(name, found, remedy)


def check_page() -> Finding:
    """Check that the page was built."""
    folder = find_page()
    if folder is None:
        return fail("page", "not built", "install mimamba again: pip install .")
    return ok("page", str(folder))


def check_tls(certificate: Path | None, key: Path | None) -> Finding:
    """Check the certificate with which ``mimamba serve`` would start."""
    name, remedy = "certificate", "renew it, and start the service again"
    if certificate is None:
        return ok(name, "none; --ssl-certfile names one")
    try:
        state = check_certificate(certificate, key)
    except CannotServe as error:
        return fail(name, str(error), "correct the paths; the key must have no password")
    if state.problem is None:
        end = "" if state.ends is None else f", valid until {_day(state.ends)}"
        return ok(name, f"{certificate}{end}")
    return fail(name, state.problem, remedy) if state.expired else note(name, state.problem, remedy)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def check_disk(folder: Path, slow_sync: float = SLOW_SYNC) -> Finding:
    """Check the free space and the speed of the disk that holds the recordings.

    An fsync that takes more than ``slow_sync`` s is noted.
    """
    existing, remedy = folder, "choose another folder with --data-dir"
    try:
        existing = nearest_existing(folder)
        free, seconds = free_space(existing), _sync(existing)
    except OSError as error:
        return fail("disk", f"{existing}: {error.strerror or error}", remedy)
    found = f"{existing}: {free / 1e9:.1f} GB free, fsync in {1e3 * seconds:.1f} ms"
    if free < 2 * LEAST_BYTES:
        return fail("disk", found, f"free some space, or {remedy}")
    if free < LOW_BYTES:
        return note("disk", found, f"free some space, or {remedy}")
    return note("disk", found, remedy) if seconds > slow_sync else ok("disk", found)


def _sync(folder: Path) -> float:
    """Write 8 kB to the disk as a recorder does, and return the seconds it takes."""
    with NamedTemporaryFile(dir=folder, prefix=".mimamba-doctor-") as file:
        start = time.perf_counter()
        file.write(bytes(8192))
        file.flush()
        os.fsync(file.fileno())
        return time.perf_counter() - start


def check_latency(seconds: float = SECONDS) -> Finding:
    """Measure the time from a sample's arrival to its prediction at a client."""
    name, remedy = "latency", "stop other programs, or turn off power saving"
    try:
        with simulated_service() as service:
            times = summarize(asyncio.run(_measure(service.url, round(PREDICTIONS * seconds))))
    except ServiceNotStarted as error:
        return fail(name, error.found, error.remedy)
    except TimeoutError:
        return fail(name, f"fewer than {seconds:g} s of predictions within {TIMEOUT:g} s", remedy)
    middle, _, late, worst = times["reception to client"]
    found = f"median {middle:.1f} ms, 99th percentile {late:.1f} ms, maximum {worst:.1f} ms"
    return note(name, found, remedy) if late > SLOW else ok(name, found)


async def _measure(url: str, count: int) -> ReceivedPredictions:
    async with asyncio.timeout(TIMEOUT):
        return await receive(url, count)
