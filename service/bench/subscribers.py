"""Many subscribers of one session, and beside them some that never read.

The clients are in this process and so on the clock of the service; their own delay is in the ages.
Half of the time is without the others: ``--seconds 120`` has both for a minute, in which whoever
does not read is cut off. In less than 70 s one may still catch up, having missed nothing.
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
from mimamba.service.bench.figures import Figure, most
from mimamba.service.bench.service_process import STARTING, ServiceProcess, served
from mimamba.service.bench.wire import ask, connected, say
from mimamba.service.protocol.messages import SignalMessage, Skipped, Subscribe, decode_server
from mimamba.service.stream.stalled_clients import KEEPALIVE_TIMEOUT

READERS, STALLED = 500, 50
SHARE = 25
"""Readers that are tried in a second of measuring."""
AT_ONCE = 20
"""Connections that are made at the same time."""
AGE = 0.1
"""Seconds that 99 % of messages may be old."""
ROOM = 0.125
"""MB for each client, by which memory may grow: 64 KiB is written ahead of one who is slow, and as
much is on its way there."""
NOISE = 1.5
"""Times the median age without them that it may be beside those who do not read: three runs without
any differed by 13 % at load 4."""
TOLD, CLOSED, CAUGHT_UP, LEFT = "told what they skipped", "closed", "caught up", "told nothing"
"""What becomes of one who does not read for long."""


@dataclass
class SubscriberTotals:
    """What all readers together were told."""

    ages: list[float] = field(default_factory=list)
    lost: int = 0
    skips: int = 0
    closed: int = 0
    measured: bool = False


def measure(seconds: float) -> list[Figure]:
    """500 readers, then as many beside 50 that do not read; fewer in less than 20 s."""
    readers = min(READERS, max(2, round(SHARE * seconds)))
    stalled = max(1, readers * STALLED // READERS)
    with served("simulate://", model="none") as service:
        alone = asyncio.run(subscribers(service, seconds / 2, readers, 0))
        beside = asyncio.run(subscribers(service, seconds / 2, readers, stalled))
    return [*alone, *beside, *compared(alone, beside)]


@asynccontextmanager
async def subscribed(
    url: str, limit: asyncio.Semaphore, narrow: bool = False
) -> AsyncIterator[ClientConnection]:
    """A connection that follows the signal of simulate-1: 21 messages a second."""
    async with limit:
        client = connected(url, narrow)
        connection = await client.__aenter__()
    try:
        await say(connection, Subscribe("simulate-1", ["signal"]))
        yield connection
    finally:
        await client.__aexit__(None, None, None)


async def read(url: str, limit: asyncio.Semaphore, heard: SubscriberTotals) -> None:
    """Read as fast as it comes, until cancelled."""
    following: int | None = None
    async with subscribed(url, limit) as client:
        try:
            while True:
                message = decode_server(await client.recv())
                if isinstance(message, SignalMessage):
                    stamps = np.frombuffer(message.timestamps, "<f8")
                    if following is not None:
                        heard.lost += message.first - following
                    following = message.first + len(stamps)
                    if heard.measured:
                        heard.ages.append(local_clock() - stamps[-1])
                heard.skips += isinstance(message, Skipped)
        except ConnectionClosed:
            heard.closed += 1


async def stall(url: str, limit: asyncio.Semaphore, over: asyncio.Event) -> str:
    """Read nothing until it is over; then what was told of it."""
    async with subscribed(url, limit, narrow=True) as client:
        await over.wait()
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(STARTING):
                while True:
                    message = decode_server(await client.recv())
                    if isinstance(message, Skipped):
                        return TOLD
                    if isinstance(message, SignalMessage):
                        newest = np.frombuffer(message.timestamps, "<f8")[-1]
                        if local_clock() - newest < 1:
                            return CAUGHT_UP
        return CLOSED if client.state is not State.OPEN else LEFT


async def subscribers(
    service: ServiceProcess, seconds: float, readers: int, stalled: int
) -> list[Figure]:
    """Figures of those who read, beside others that do not."""
    heard, limit, over = SubscriberTotals(), asyncio.Semaphore(AT_ONCE), asyncio.Event()
    tasks = [asyncio.create_task(read(service.url, limit, heard)) for _ in range(readers)]
    stalls = [asyncio.create_task(stall(service.url, limit, over)) for _ in range(stalled)]
    await until_subscribed(service, readers + stalled)
    heard.measured, before = True, service.rss()
    await asyncio.sleep(seconds)
    heard.measured, after = False, service.rss()
    over.set()
    outcomes = Counter(await asyncio.gather(*stalls))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    told = f"{readers} readers" + (f" beside {stalled} that do not" if stalled else "")
    return [
        *figures(told, heard, readers * seconds),
        growth(told, after - before, readers + stalled),
        *(Figure(f"{told}: these, then {how}", n, "clients") for how, n in outcomes.items()),
        *([of_stalled(told, outcomes, seconds)] if stalled else []),
    ]


def growth(told: str, grown: float, clients: int) -> Figure:
    """Of the service's memory while it tells them."""
    room = ROOM * clients
    what, aim = f"{told}: memory of the service, growth", f"<= {room:.3g} MB"
    return Figure(what, grown, "MB", aim, grown <= room)


def of_stalled(told: str, outcomes: Counter[str], seconds: float) -> Figure:
    """Those who were left in the dark; soon enough after, nobody has missed anything yet."""
    fair = (TOLD, CLOSED) if seconds >= KEEPALIVE_TIMEOUT + 5 else (TOLD, CLOSED, CAUGHT_UP)
    left = outcomes.total() - sum(outcomes[each] for each in fair)
    return Figure(f"{told}: of these, neither told nor closed", left, "clients", "0", left == 0)


def compared(alone: list[Figure], beside: list[Figure]) -> list[Figure]:
    """What those who do not read change for those who do."""
    ages = [figure for figure in (*alone, *beside) if figure.what.endswith("age, p50")]
    if len(ages) < 2:
        return []
    rise = ages[1].value / ages[0].value
    return [most("age, p50, beside those that do not read", rise, "times", NOISE)]


def figures(told: str, heard: SubscriberTotals, seconds: float) -> list[Figure]:
    """What readers were told in so many seconds of one of them."""
    lost = heard.lost + heard.skips + heard.closed
    found = [
        Figure(f"{told}: messages of each", len(heard.ages) / seconds, "per second"),
        Figure(f"{told}: samples lost, skips, closed", lost, "", "0", lost == 0),
    ]
    if heard.ages:
        p50, p99 = (1e3 * float(np.percentile(heard.ages, share)) for share in (50, 99))
        found.append(Figure(f"{told}: age, p50", p50, "ms"))
        found.append(most(f"{told}: age, p99", p99, "ms", 1e3 * AGE))
    return found


async def until_subscribed(service: ServiceProcess, count: int) -> None:
    """Wait until so many connections are there, and a second for the last of them."""
    async with asyncio.timeout(STARTING):
        while json.loads((await ask(service.url, "/healthz"))[1])["subscribers"] < count:
            await asyncio.sleep(0.2)
    await asyncio.sleep(1)
