"""From the start of ``mimamba serve`` to its first predictions, and the memory of one session.

As a person starts it: the simulator, the shipped model, nobody else there. Each start is a process
of its own, whose files the system has in memory from the one before.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mimamba.service.bench.figures import Figure, most
from mimamba.service.bench.service_process import STARTING, begun
from mimamba.service.bench.wire import connected, say
from mimamba.service.protocol.messages import (
    Position,
    PredictionMessage,
    SessionState,
    Subscribe,
    decode_server,
)

EACH = 10.0
"""Seconds that a start takes, about: the model is warm after some 5 s of signal."""
FIRST, OK, MEMORY = 6.0, 10.0, 600.0
"""Seconds to the first prediction message and to the first that is ok; MB."""


@dataclass(frozen=True)
class StartupFigures:
    """Seconds from the start of the process to what it came to, and its memory in the end, MB.

    ``worked`` is the processor's time up to the first prediction, which other programs disturb
    less; 0 where the system does not tell it.
    """

    reached: float
    first: float
    ok: float
    worked: float
    memory: float


def measure(seconds: float) -> list[Figure]:
    """The median of so many starts as fit, one at least."""
    starts = [start() for _ in range(max(1, int(seconds / EACH)))]
    reached, worked, first, ok, memory = (
        statistics.median(getattr(each, name) for each in starts)
        for name in ("reached", "worked", "first", "ok", "memory")
    )
    return [
        Figure("starts", len(starts), ""),
        Figure("to the address that is told", reached, "s"),
        Figure("processor's time to the first prediction", worked, "s"),
        most("to the first prediction", first, "s", FIRST),
        most("to the first that is ok", ok, "s", OK),
        most("memory with one session", memory, "MB", MEMORY),
    ]


def start() -> StartupFigures:
    """Start a service once, and hear its first predictions."""
    began = time.monotonic()
    with begun("simulate://", model="demo") as process:
        service = process.served()
        reached = time.monotonic() - began
        first, worked, ok = asyncio.run(hear(service.url, service.pid))
        return StartupFigures(reached, first - began, ok - began, worked, service.rss())


async def hear(url: str, pid: int) -> tuple[float, float, float]:
    """When the first prediction came, the work up to it, and when the first came that is ok."""
    first = worked = 0.0
    async with asyncio.timeout(STARTING), connected(url) as client:
        while True:
            message = decode_server(await client.recv())
            if isinstance(message, SessionState) and message.state == "opened":
                await say(client, Subscribe(message.session, ["prediction"], Position("")))
            elif isinstance(message, PredictionMessage):
                if not first:
                    first, worked = time.monotonic(), processor_time(pid)
                if message.status == "ok":
                    return first, worked, time.monotonic()


def processor_time(pid: int) -> float:
    """Of a process so far, s; Linux tells it (proc(5), ``stat``), others are not asked."""
    with suppress(OSError):
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
