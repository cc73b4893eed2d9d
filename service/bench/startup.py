"""From the start of ``mimamba serve`` to its first predictions, and the memory of one session.

It is started as a person would: the simulator, the shipped model, nothing else. Each start is a new
process; the system has its files in memory from the start before.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from dataclasses import dataclass

from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.minimal_client import connect_client, send
from mimamba.service.bench.process_usage import cpu_seconds
from mimamba.service.bench.service_process import STARTING, start_service
from mimamba.service.protocol.messages import (
    Position,
    PredictionMessage,
    SessionState,
    Subscribe,
    decode_server,
)

SECONDS_A_START = 10.0
"""Approximate seconds of one start: the model has warmed up after 5 s of signal."""
FIRST, OK, MEMORY = 6.0, 10.0, 600.0
"""Aims: seconds to the first prediction message and to the first of status ``ok``; MB."""


@dataclass(frozen=True)
class StartupFigures:
    """One start.

    Parameters
    ----------
    address, first, ok
        Seconds from the start of the process to its address, to the first prediction, and to the
        first prediction of status ``ok``.
    cpu
        CPU seconds up to the first prediction, which other programs disturb less.
    memory
        Resident memory in the end, MB. Both are NaN where the system does not tell them.
    """

    address: float
    first: float
    ok: float
    cpu: float
    memory: float


def measure(seconds: float) -> list[Figure]:
    """Measure as many starts as fit, at least one, and return their medians."""
    starts = [start_once() for _ in range(max(1, int(seconds / SECONDS_A_START)))]
    address, cpu, first, ok, memory = (
        statistics.median(getattr(each, name) for each in starts)
        for name in ("address", "cpu", "first", "ok", "memory")
    )
    figures = [
        Figure("starts", len(starts), ""),
        Figure("until the service prints its address", address, "s"),
        Figure("CPU time until the first prediction", cpu, "s"),
        at_most("until the first prediction", first, "s", FIRST),
        at_most("until the first prediction that is ok", ok, "s", OK),
        at_most("memory with one session", memory, "MB", MEMORY),
    ]
    return [figure for figure in figures if math.isfinite(figure.value)]


def start_once() -> StartupFigures:
    """Start a service, and receive its first predictions."""
    start = time.monotonic()
    with start_service("simulate://", model="demo") as starting:
        service = starting.wait_until_ready()
        address = time.monotonic() - start
        first, cpu, ok = asyncio.run(first_predictions(service.url, service.pid))
        return StartupFigures(address, first - start, ok - start, cpu, service.rss())


async def first_predictions(url: str, pid: int) -> tuple[float, float, float]:
    """Receive the first predictions.

    Returns
    -------
    tuple of float
        The time of the first prediction, the CPU time of the process until then, and the time of
        the first prediction of status ``ok``; s, times on the monotonic clock.
    """
    first = cpu = 0.0
    async with asyncio.timeout(STARTING), connect_client(url) as client:
        while True:
            message = decode_server(await client.recv())
            if isinstance(message, SessionState) and message.state == "opened":
                await send(client, Subscribe(message.session, ["prediction"], Position("")))
            elif isinstance(message, PredictionMessage):
                if not first:
                    first, cpu = time.monotonic(), cpu_seconds(pid)
                if message.status == "ok":
                    return first, cpu, time.monotonic()
