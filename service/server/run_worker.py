"""``mimamba worker``: connect to the bus, compute until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from rich.console import Console

from mimamba.drivers.runtime.cpu_affinity import pin_to_one_cpu
from mimamba.models.inference.device import Device, find_device
from mimamba.service.bus.connect import connect_bus
from mimamba.service.cluster.worker import Worker
from mimamba.service.monitoring import logging as eventlog
from mimamba.service.server.runtime_tuning import limit_blas_threads, limit_malloc_arenas
from mimamba.service.sessions.registry import choose_model
from mimamba.service.settings.settings import Settings
from mimamba.service.storage.own_checkpoints import models_folder


def run_worker(settings: Settings, capacity: int) -> None:
    """Run a worker until it is interrupted; then others have its sessions, with their states.

    Parameters
    ----------
    settings
        Its bus, models and log.
    capacity
        Sessions that it computes at most.

    Raises
    ------
    BusUnreachable
        If there is no usable bus at its address.
    DeviceError
        If the device for models does not exist.
    """
    limit_malloc_arenas()
    limit_blas_threads()
    device = find_device(settings.device, settings.precision)
    console = Console(stderr=True, quiet=settings.log_format == "json")
    with eventlog.configure_logging(settings.log_format, settings.log_level), pin_to_one_cpu():
        asyncio.run(_run(settings, device, capacity, console))


async def _run(settings: Settings, device: Device, capacity: int, console: Console) -> None:
    assert settings.bus is not None
    bus = await connect_bus(settings.bus, "mimamba worker")
    try:
        default = choose_model(settings.model, settings.memory)
        models = models_folder(settings.data_dir)
        worker = Worker(bus, default, models, device, capacity, settings.detect)
        running = asyncio.create_task(worker.run())
        with contextlib.suppress(NotImplementedError):  # on Windows
            for each in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(each, running.cancel)
        console.print(f"worker {worker.name} is on the bus (Ctrl+C stops it)", highlight=False)
        with contextlib.suppress(asyncio.CancelledError):
            await running
    finally:
        await bus.close()
