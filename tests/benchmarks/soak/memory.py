"""Memory of a service with eight simulated sessions and a reader of each, minute by minute.

The logs of a session fill for a long time by design: signal, quality and bands for 5 minutes,
predictions for an hour. What grows in the second half of an hour, beyond the predictions, is a
leak. ``soak`` has clients that come and go, at a greater pace and for a shorter time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.minimal_client import connect_client, send
from mimamba.service.bench.service_process import StartingService, start_service
from mimamba.service.protocol.messages import SessionState, Subscribe, decode_server
from tests.benchmarks.soak.block_counts import PROGRAM, newest
from tests.benchmarks.soak.load_clients import TOPICS

SESSIONS = 8
PERIOD = 10.0
"""Seconds between two readings, at most."""
FLAT = 0.1
"""Largest slope of memory in the second half, MB a minute."""


@dataclass(frozen=True)
class Reading:
    """Memory of the service at a time: MB resident, blocks of Python's allocator, threads."""

    seconds: float
    resident: float
    blocks: int
    threads: int


def measure(seconds: float) -> list[Figure]:
    """Run eight sessions for this long; the clock starts when all readers follow theirs."""
    sources = [f"simulate://?seed={seed}" for seed in range(SESSIONS)]
    with start_service(*sources, code=PROGRAM, model="demo", log_format="json") as service:
        readings = asyncio.run(watch(service, seconds, SESSIONS))
    return slope_figures(readings)


async def watch(starting: StartingService, seconds: float, sessions: int) -> list[Reading]:
    """Read the memory at regular times, while each session has a reader of everything."""
    service = await asyncio.to_thread(starting.wait_until_ready)
    begun = [asyncio.Event() for _ in range(sessions)]
    readers = [
        asyncio.create_task(read(service.url, f"simulate-{n + 1}", begun[n]))
        for n in range(sessions)
    ]
    try:
        await asyncio.gather(*(each.wait() for each in begun))
        readings = []
        start = time.monotonic()
        period = min(PERIOD, seconds / 8)
        while (now := time.monotonic() - start) <= seconds:
            resident = await asyncio.to_thread(service.rss)
            found = newest(starting.stderr.read_text().splitlines())
            readings.append(Reading(now, resident, found.count, found.threads))
            await asyncio.sleep(period)
        for each in readers:
            if each.done():
                each.result()  # raises what has ended it
    finally:
        for each in readers:
            each.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return readings


async def read(url: str, session: str, begun: asyncio.Event) -> None:
    """Receive all topics of a session until cancelled."""
    async with connect_client(url) as client:
        while True:
            message = decode_server(await client.recv())
            if isinstance(message, SessionState) and (message.session, message.state) == (
                session,
                "opened",
            ):
                await send(client, Subscribe(session, TOPICS))
                begun.set()


def slope_figures(readings: Sequence[Reading]) -> list[Figure]:
    """Make the figures of memory and of its slopes."""
    middle = readings[-1].seconds / 2
    halves = {
        "first": [each for each in readings if each.seconds <= middle],
        "second": [each for each in readings if each.seconds >= middle],
    }
    slopes = {name: slope([each.resident for each in half], half) for name, half in halves.items()}
    return [
        Figure("memory at the start", readings[0].resident, "MB"),
        Figure("memory at half of the time", halves["second"][0].resident, "MB"),
        Figure("memory at the end", readings[-1].resident, "MB"),
        Figure("memory, slope in the first half", slopes["first"], "MB a minute"),
        at_most("memory, slope in the second half", slopes["second"], "MB a minute", FLAT),
        *(
            Figure(
                f"blocks of Python's allocator, slope in the {name} half",
                slope([each.blocks for each in half], half),
                "a minute",
            )
            for name, half in halves.items()
        ),
        Figure("threads, most", max(each.threads for each in readings), ""),
    ]


def slope(values: Sequence[float], readings: Sequence[Reading]) -> float:
    """Fit a line to the values of these readings; return its slope per minute."""
    if len(values) < 2:
        return 0.0
    minutes = [each.seconds / 60 for each in readings]
    return float(np.polyfit(minutes, values, 1)[0])
