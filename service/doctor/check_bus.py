"""Check of a bus: its server, its streams, and the workers on it."""

from __future__ import annotations

import asyncio
import time

from mimamba.service.acquire.bus_acquirer import ClusterFull, check_room
from mimamba.service.bus.bus import BusUnreachable, NotStored, publish
from mimamba.service.bus.connect import connect_bus
from mimamba.service.doctor.finding import Finding, fail, note, ok

NAME = "bus"
TRIES = 20
SLOW_SECONDS = 0.05
"""Time to store a message that delays predictions visibly."""


def check_bus_at(url: str) -> Finding:
    """Check that a bus stores messages, and that workers are there."""
    return asyncio.run(_check(url))


async def _check(url: str) -> Finding:
    try:
        bus = await connect_bus(url, "mimamba doctor")
    except BusUnreachable as error:
        return fail(NAME, str(error), "see docs/guide/scaling.md")
    try:
        times = []
        for _ in range(TRIES):
            start = time.perf_counter()
            await publish(bus, "keys.doctor", b"", only=True)
            times.append(time.perf_counter() - start)
        middle = sorted(times)[TRIES // 2]
        facts = f"{url} stores a message in {1000 * middle:.1f} ms"
        if middle > SLOW_SECONDS:
            return note(NAME, facts, "give the server a faster disk or a nearer machine")
        await check_room(bus)
    except NotStored as error:
        return fail(NAME, f"{url} stores nothing ({error})", "see the server's log")
    except ClusterFull as error:
        return note(NAME, f"{facts}; {error}")
    finally:
        await bus.close()
    return ok(NAME, f"{facts}, and its workers have room")
