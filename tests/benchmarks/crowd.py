"""Many subscribers of one session, and beside them some that never read."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed

from drivers.clock import local_clock
from service.messages import Signal, Skipped, Subscribe, decode_server
from tests.benchmarks.served import STARTING, Figures, Served, served
from tests.service.live import Talk, talk

READERS, STALLED = 500, 50
AT_ONCE = 20
"""Connections that are made at the same time."""


@dataclass
class Heard:
    """What all readers together were told."""

    ages: list[float] = field(default_factory=list)
    lost: int = 0
    skips: int = 0
    closed: int = 0
    measured: bool = False


@asynccontextmanager
async def subscribed(
    url: str, limit: asyncio.Semaphore, narrow: bool = False
) -> AsyncIterator[Talk]:
    """A connection that follows the signal of simulate-1: 21 messages a second."""
    async with limit:
        client = talk(url, narrow=narrow)
        connection = await client.__aenter__()
    try:
        await connection.say(Subscribe("simulate-1", ["signal"]))
        yield connection
    finally:
        await client.__aexit__(None, None, None)


async def read(url: str, limit: asyncio.Semaphore, heard: Heard) -> None:
    """Read as fast as it comes, until cancelled."""
    following: int | None = None
    async with subscribed(url, limit) as client:
        try:
            while True:
                message = decode_server(await client.socket.recv())
                if isinstance(message, Signal):
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
        with suppress(ConnectionClosed):
            async with asyncio.timeout(STARTING):
                while True:
                    message = decode_server(await client.socket.recv())
                    if isinstance(message, Skipped):
                        return "told what it skipped"
                    if isinstance(message, Signal):
                        newest = np.frombuffer(message.timestamps, "<f8")[-1]
                        if local_clock() - newest < 1:
                            return "caught up"
    return "closed"


async def subscribers(service: Served, seconds: float, readers: int, stalled: int) -> Figures:
    """Figures of those who read, beside others that do not."""
    heard, limit, over = Heard(), asyncio.Semaphore(AT_ONCE), asyncio.Event()
    tasks = [asyncio.create_task(read(service.url, limit, heard)) for _ in range(readers)]
    stalls = [asyncio.create_task(stall(service.url, limit, over)) for _ in range(stalled)]
    await until_subscribed(service, readers + stalled)
    heard.measured = True
    memory = await watch(service, seconds)
    heard.measured = False
    over.set()
    outcomes = Counter(await asyncio.gather(*stalls))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "readers": readers,
        "messages/s of a reader": round(len(heard.ages) / readers / seconds, 1),
        "samples lost": heard.lost,
        "skips told": heard.skips,
        "readers closed": heard.closed,
        **ages_of(heard.ages),
        **{f"stalled, then {outcome}": count for outcome, count in outcomes.items()},
        "RSS, MB": memory,
    }


async def until_subscribed(service: Served, count: int) -> None:
    """Wait until so many connections are there, and a second for the last of them."""
    async with httpx.AsyncClient(base_url=service.url, timeout=STARTING) as http:
        async with asyncio.timeout(STARTING):
            while (await http.get("healthz")).json()["subscribers"] < count:
                await asyncio.sleep(0.2)
    await asyncio.sleep(1)


async def watch(service: Served, seconds: float) -> str:
    """The service's memory at seven times."""
    memory = [service.rss()]
    for _ in range(6):
        await asyncio.sleep(seconds / 6)
        memory.append(await asyncio.to_thread(service.rss))
    return " ".join(f"{each:.0f}" for each in memory)


def ages_of(ages: list[float]) -> Figures:
    """From a newest sample's time to its message's reception."""
    p50, p99, most = 1e3 * np.percentile(ages, [50, 99, 100]) if ages else [np.nan] * 3
    return {"age p50, ms": round(p50, 1), "age p99, ms": round(p99, 1), "max, ms": round(most, 1)}


def measure_readers(seconds: float, readers: int = READERS, stalled: int = 0) -> Figures:
    """Subscribers of one simulated session without a model."""
    with served("simulate://", model="none") as service:
        return asyncio.run(subscribers(service, seconds, readers, stalled))


def measure_stalled(seconds: float) -> Figures:
    """The same beside those who never read."""
    return measure_readers(seconds, stalled=STALLED)
