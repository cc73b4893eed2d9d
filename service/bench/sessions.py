"""Hops stepped in time by a whole service: simulated headsets, logs, the model, a WebSocket."""

from __future__ import annotations

import asyncio
import math
import re
import time
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.client import ClientConnection

from mimamba.service.bench.figures import Figure
from mimamba.service.bench.minimal_client import connect_client, request, send
from mimamba.service.bench.service_process import STARTING, ServiceProcess, running_service
from mimamba.service.protocol.messages import (
    PredictionMessage,
    SessionState,
    Subscribe,
    decode_server,
)

SESSIONS = (1, 16, 64, 200, 500)
SESSIONS_A_SECOND = 8
"""Largest number of sessions for each second of measuring; more are left out."""
LIMIT = 0.1
"""Seconds from the newest sample's reception within which 99 % of hops should be stepped."""
PERCENTILES = (50, 90, 95, 99, 100)


@dataclass
class HopTimes:
    """Times of hops with outputs.

    Attributes
    ----------
    waits
        Seconds from reception to step of each.
    skipped
        Number of skipped hops.
    cpu
        CPU time of the service meanwhile, s; NaN where the system does not tell.
    """

    waits: list[float] = field(default_factory=list)
    skipped: int = 0
    cpu: float = math.nan

    def within(self, seconds: float) -> float:
        """Return the share of hops that were stepped within this time, %."""
        total = len(self.waits) + self.skipped
        return 100 * sum(wait <= seconds for wait in self.waits) / max(1, total)

    def percentile(self, share: float) -> float:
        """Return a percentile of the waits, ms."""
        return 1e3 * float(np.percentile(self.waits, share))


def measure(seconds: float) -> list[Figure]:
    """Measure 1 to 500 sessions; in less than 65 s, only as many as fit."""
    counts = [n for n in SESSIONS if n <= max(1, SESSIONS_A_SECOND * seconds)]
    return [figure for n in counts for figure in measure_sessions(n, seconds / len(counts))]


def measure_sessions(sessions: int, seconds: float) -> list[Figure]:
    """Measure this many sessions with the shipped model, which makes two hops a second."""
    sources = [f"simulate://?seed={seed}" for seed in range(sessions)]
    with running_service(*sources, model="demo") as service:
        return asyncio.run(measure_service(service, sessions, seconds))


async def measure_service(service: ServiceProcess, sessions: int, seconds: float) -> list[Figure]:
    """Measure a service that watches this many simulated headsets."""
    hops = await follow(service, sessions, seconds)
    share, label = hops.within(LIMIT), f"{sessions} sessions"
    cpu = 1e3 * hops.cpu / seconds / sessions
    usage = [
        Figure(f"{label}: CPU time of a session for a second of signal", cpu, "ms"),
        Figure(f"{label}: memory of the service", service.rss(), "MB"),
    ]
    return [
        Figure(
            f"{label}: hops stepped within {1e3 * LIMIT:g} ms", share, "%", ">= 99 %", share >= 99
        ),
        *(
            Figure(
                f"{label}: from reception to step, {'max' if nth == 100 else f'p{nth}'}",
                hops.percentile(nth),
                "ms",
            )
            for nth in PERCENTILES
            if hops.waits
        ),
        Figure(f"{label}: hops skipped", hops.skipped, "hops"),
        *(figure for figure in usage if math.isfinite(figure.value)),
    ]


async def follow(service: ServiceProcess, sessions: int, seconds: float) -> HopTimes:
    """Receive all predictions for this long, once all sessions have warmed up."""
    hops, ready = HopTimes(), set[str]()
    end = time.monotonic() + 2 * STARTING
    async with connect_client(service.url) as client:
        while time.monotonic() < end:
            message = await receive_until(client, end)
            if isinstance(message, SessionState) and message.state == "opened":
                await send(client, Subscribe(message.session, ["prediction"]))
            elif isinstance(message, PredictionMessage) and message.status == "ok":
                if len(ready) == sessions:
                    hops.waits.append(message.timing.stepped - message.timing.received)
                    continue
                ready.add(message.session)
                if len(ready) == sessions:
                    before, spent = await count_skipped(service), service.cpu()
                    end = time.monotonic() + seconds
    if len(ready) == sessions:
        hops.cpu = service.cpu() - spent
        hops.skipped = await count_skipped(service) - before
    return hops


async def receive_until(client: ClientConnection, end: float) -> object:
    """Return the next message; None if there is none before the end (s, monotonic clock)."""
    try:
        async with asyncio.timeout(max(0.0, end - time.monotonic())):
            return decode_server(await client.recv())
    except TimeoutError:
        return None


async def count_skipped(service: ServiceProcess) -> int:
    """Return the number of hops that a busy engine has skipped so far."""
    _, metrics = await request(service.url, "/metrics")
    lines = metrics.decode().splitlines()
    skips = [each for each in lines if re.match(r'mimamba_hops_total\{.*"skipped"', each)]
    return sum(round(float(each.rsplit(" ", 1)[1])) for each in skips)
