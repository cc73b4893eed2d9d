"""Many subscribers of one session, first alone, then beside clients that never read.

The clients are in this process, and so have the clock of the service; their own delay is part of
the ages. Each half takes half of the time: with ``--seconds 120`` both take a minute, in which a
client that does not read is disconnected. In less than 70 s it may still catch up without a loss.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.minimal_client import connect_client, request, send
from mimamba.service.bench.service_process import STARTING, ServiceProcess, running_service
from mimamba.service.protocol.messages import SignalMessage, Skipped, Subscribe, decode_server
from mimamba.service.stream.stalled_clients import KEEPALIVE_TIMEOUT

READERS, STALLED = 500, 50
READERS_A_SECOND = 25
"""Largest number of readers for each second of measuring."""
CONNECTING = 20
"""Connections that are made at the same time."""
AGE = 0.1
"""Largest age of 99 % of messages, s."""
GROWTH = 0.125
"""Largest growth of memory for each client, MB: 64 KiB in its queue, and as much on the way."""
AGE_RATIO = 1.5
"""Largest ratio of the median ages with and without stalled clients. Three runs without them
differed by 13 % at load 4."""
SKIPPED, CLOSED, CAUGHT_UP, FORGOTTEN = (
    "got a skipped message",
    "disconnected",
    "caught up",
    "got nothing",
)
"""Fates of a client that does not read for long."""


@dataclass
class SubscriberTotals:
    """Everything that all readers together received."""

    ages: list[float] = field(default_factory=list)
    lost: int = 0
    skips: int = 0
    closed: int = 0
    measured: bool = False


def measure(seconds: float) -> list[Figure]:
    """Measure 500 readers, then as many beside 50 stalled clients; fewer in less than 20 s."""
    readers = min(READERS, max(2, round(READERS_A_SECOND * seconds)))
    stalled = max(1, readers * STALLED // READERS)
    with running_service("simulate://", model="none") as service:
        alone = asyncio.run(measure_service(service, seconds / 2, readers, 0))
        beside = asyncio.run(measure_service(service, seconds / 2, readers, stalled))
    return [*alone, *beside, *compare(alone, beside)]


@asynccontextmanager
async def subscribed(
    url: str, limit: asyncio.Semaphore, narrow: bool = False
) -> AsyncIterator[ClientConnection]:
    """Connect and subscribe to the signal of simulate-1, which has 21 messages a second."""
    async with limit:
        client = connect_client(url, narrow)
        connection = await client.__aenter__()
    try:
        await send(connection, Subscribe("simulate-1", ["signal"]))
        yield connection
    finally:
        await client.__aexit__(None, None, None)


async def read(url: str, limit: asyncio.Semaphore, totals: SubscriberTotals) -> None:
    """Read all messages as they come, until cancelled."""
    following: int | None = None
    async with subscribed(url, limit) as client:
        try:
            while True:
                message = decode_server(await client.recv())
                if isinstance(message, SignalMessage):
                    stamps = np.frombuffer(message.timestamps, "<f8")
                    if following is not None:
                        totals.lost += message.first - following
                    following = message.first + len(stamps)
                    if totals.measured:
                        totals.ages.append(local_clock() - stamps[-1])
                totals.skips += isinstance(message, Skipped)
        except ConnectionClosed:
            totals.closed += 1


async def stall(url: str, limit: asyncio.Semaphore, over: asyncio.Event) -> str:
    """Read nothing until ``over`` is set; then return what has become of this client."""
    async with subscribed(url, limit, narrow=True) as client:
        await over.wait()
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(STARTING):
                while True:
                    message = decode_server(await client.recv())
                    if isinstance(message, Skipped):
                        return SKIPPED
                    if isinstance(message, SignalMessage):
                        newest = np.frombuffer(message.timestamps, "<f8")[-1]
                        if local_clock() - newest < 1:
                            return CAUGHT_UP
        return CLOSED if client.state is not State.OPEN else FORGOTTEN


async def measure_service(
    service: ServiceProcess, seconds: float, readers: int, stalled: int
) -> list[Figure]:
    """Measure readers beside stalled clients."""
    totals, limit, over = SubscriberTotals(), asyncio.Semaphore(CONNECTING), asyncio.Event()
    tasks = [asyncio.create_task(read(service.url, limit, totals)) for _ in range(readers)]
    stalls = [asyncio.create_task(stall(service.url, limit, over)) for _ in range(stalled)]
    await until_subscribed(service, readers + stalled)
    totals.measured, before = True, service.rss()
    await asyncio.sleep(seconds)
    totals.measured, after = False, service.rss()
    over.set()
    outcomes = Counter(await asyncio.gather(*stalls))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    label = f"{readers} readers" + (f" beside {stalled} stalled clients" if stalled else "")
    return [
        *reader_figures(label, totals, readers * seconds),
        growth(label, after - before, readers + stalled),
        *(Figure(f"{label}: {how}", n, "clients") for how, n in outcomes.items()),
        *([stalled_figure(label, outcomes, seconds)] if stalled else []),
    ]


def growth(label: str, grown: float, clients: int) -> Figure:
    """Make the figure of the memory's growth, MB."""
    limit = GROWTH * clients
    what, aim = f"{label}: memory of the service, growth", f"<= {limit:.3g} MB"
    return Figure(what, grown, "MB", aim, grown <= limit)


def stalled_figure(label: str, outcomes: Counter[str], seconds: float) -> Figure:
    """Count stalled clients that learned nothing; a short stall may also end without a loss."""
    fair = (SKIPPED, CLOSED) if seconds >= KEEPALIVE_TIMEOUT + 5 else (SKIPPED, CLOSED, CAUGHT_UP)
    left = outcomes.total() - sum(outcomes[each] for each in fair)
    return Figure(f"{label}: neither informed nor disconnected", left, "clients", "0", left == 0)


def compare(alone: list[Figure], beside: list[Figure]) -> list[Figure]:
    """Compare the readers' median ages with and without stalled clients."""
    ages = [figure for figure in (*alone, *beside) if figure.what.endswith("age, p50")]
    if len(ages) < 2:
        return []
    ratio = ages[1].value / ages[0].value
    return [at_most("age, p50, ratio with and without stalled clients", ratio, "times", AGE_RATIO)]


def reader_figures(label: str, totals: SubscriberTotals, seconds: float) -> list[Figure]:
    """Make the figures of all readers; ``seconds`` is the sum of their times."""
    lost = totals.lost + totals.skips + totals.closed
    found = [
        Figure(f"{label}: messages of each", len(totals.ages) / seconds, "per second"),
        Figure(f"{label}: samples lost, skips, closed", lost, "", "0", lost == 0),
    ]
    if totals.ages:
        p50, p99 = (1e3 * float(np.percentile(totals.ages, share)) for share in (50, 99))
        found.append(Figure(f"{label}: age, p50", p50, "ms"))
        found.append(at_most(f"{label}: age, p99", p99, "ms", 1e3 * AGE))
    return found


async def until_subscribed(service: ServiceProcess, count: int) -> None:
    """Wait until the service has this many subscribers, and a second for the last of them."""
    async with asyncio.timeout(STARTING):
        while json.loads((await request(service.url, "/healthz"))[1])["subscribers"] < count:
            await asyncio.sleep(0.2)
    await asyncio.sleep(1)
