"""How many sessions the whole service holds: simulated headsets, logs, the model, a WebSocket."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.client import ClientConnection

from mimamba.service.bench.figures import Figure
from mimamba.service.bench.service_process import STARTING, ServiceProcess, served
from mimamba.service.bench.wire import ask, connected, say
from mimamba.service.protocol.messages import (
    PredictionMessage,
    SessionState,
    Subscribe,
    decode_server,
)

SESSIONS = (1, 64, 200)
SHARE = 8
"""Sessions that are tried in a second of measuring."""
IN_TIME, LATENESS = 0.1, 0.05
"""Seconds from the newest sample's reception within which 99 % of hops should be stepped: of 64
sessions, and of 200."""


@dataclass
class Hops:
    """From reception to step, seconds, of each hop that has outputs; and how many were skipped."""

    waits: list[float] = field(default_factory=list)
    skipped: int = 0

    def within(self, seconds: float) -> float:
        """The share that was stepped so soon, %."""
        told = len(self.waits) + self.skipped
        return 100 * sum(wait <= seconds for wait in self.waits) / max(1, told)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return 1e3 * float(np.percentile(self.waits, share))


def measure(seconds: float) -> list[Figure]:
    """Fewer sessions are tried in less than the 25 s that 200 take."""
    tried = [n for n in SESSIONS if n <= max(1, SHARE * seconds)]
    return [figure for n in tried for figure in measure_sessions(n, seconds / len(tried))]


def measure_sessions(sessions: int, seconds: float) -> list[Figure]:
    """So many, with the shipped model; its window moves twice a second."""
    sources = [f"simulate://?seed={seed}" for seed in range(sessions)]
    with served(*sources, model="demo") as service:
        return asyncio.run(figures(service, sessions, seconds))


async def figures(service: ServiceProcess, sessions: int, seconds: float) -> list[Figure]:
    """How a service fares that watches so many simulated headsets."""
    hops = await follow(service, sessions, seconds)
    within = IN_TIME if sessions < SESSIONS[-1] else LATENESS
    share, in_time = hops.within(within), f"hops stepped within {1e3 * within:g} ms"
    told = f"{sessions} sessions"
    return [
        Figure(f"{told}: {in_time}", share, "%", ">= 99 %", share >= 99),
        *(
            Figure(f"{told}: from reception to step, p{nth}", hops.percentile(nth), "ms")
            for nth in (50, 99)
            if hops.waits
        ),
        Figure(f"{told}: hops skipped", hops.skipped, "hops"),
        Figure(f"{told}: memory of the service", service.rss(), "MB"),
    ]


async def follow(service: ServiceProcess, sessions: int, seconds: float) -> Hops:
    """Hear all predictions for so long, once all sessions have warmed up."""
    hops, ready = Hops(), set[str]()
    end = time.monotonic() + 2 * STARTING
    async with connected(service.url) as client:
        while time.monotonic() < end:
            message = await hear(client, end)
            if isinstance(message, SessionState) and message.state == "opened":
                await say(client, Subscribe(message.session, ["prediction"]))
            elif isinstance(message, PredictionMessage) and message.status == "ok":
                if len(ready) == sessions:
                    hops.waits.append(message.timing.stepped - message.timing.received)
                    continue
                ready.add(message.session)
                if len(ready) == sessions:
                    before, end = await skipped_by(service), time.monotonic() + seconds
    if len(ready) == sessions:
        hops.skipped = await skipped_by(service) - before
    return hops


async def hear(client: ClientConnection, end: float) -> object:
    """The next message; None where none comes before the end."""
    try:
        async with asyncio.timeout(max(0.0, end - time.monotonic())):
            return decode_server(await client.recv())
    except TimeoutError:
        return None


async def skipped_by(service: ServiceProcess) -> int:
    """Hops that a busy engine has skipped so far."""
    _, told = await ask(service.url, "/metrics")
    lines = told.decode().splitlines()
    skips = [each for each in lines if re.match(r'mimamba_hops_total\{.*"skipped"', each)]
    return sum(round(float(each.rsplit(" ", 1)[1])) for each in skips)
