"""Many at once: subscribers, subscribers that never read, sessions, and hours.

``python -m tests.benchmarks.load [readers] [stalled] [sessions] [soak] [--seconds N] [--json]``:
each of these, all where none is named, against a service in a process of its own on the loopback
interface. The clients are in this process and so on the same clock; their own delay is in the ages.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from service.messages import (
    PredictionMessage,
    SessionState,
    Subscribe,
    Topic,
    decode_server,
)
from tests.benchmarks.crowd import measure_readers, measure_stalled
from tests.benchmarks.served import STARTING, Figures, Served, served
from tests.service.live import talk
from tests.service.recordings import write_muse

TOPICS: list[Topic] = ["prediction", "quality", "bands", "link", "signal"]
SESSIONS, PASSERS_BY = 64, 8
IN_TIME = 0.1
"""Seconds from the newest sample's reception within which a hop should be stepped."""


def measure_sessions(seconds: float) -> Figures:
    """Hops of many sessions: how long they wait for their step."""
    sources = [f"simulate://?seed={seed}" for seed in range(SESSIONS)]
    with served(*sources, model="demo") as service:
        steps, skipped = asyncio.run(steps_of(service, seconds))
        memory = service.rss()
    waits = np.array(steps or [np.inf])  # none: they never warmed up
    hops = len(waits) + skipped
    return {
        "sessions": SESSIONS,
        "hops": hops,
        "of them skipped": skipped,
        "stepped within 100 ms, %": round(100 * float((waits <= IN_TIME).sum()) / max(1, hops), 2),
        "reception to step p50, ms": round(1e3 * float(np.percentile(waits, 50)), 1),
        "p99, ms": round(1e3 * float(np.percentile(waits, 99)), 1),
        "RSS, MB": round(memory),
    }


async def steps_of(service: Served, seconds: float) -> tuple[list[float], int]:
    """From reception to step for each hop that has outputs, once all sessions have warmed up.

    Also how many hops were skipped meanwhile.
    """
    before = 0
    waits: list[float] = []
    ready: set[str] = set()
    end = time.monotonic() + 2 * STARTING + seconds
    async with talk(service.url) as client:
        while time.monotonic() < end:
            message = decode_server(await client.socket.recv())
            if isinstance(message, SessionState) and message.state == "opened":
                await client.say(Subscribe(message.session, ["prediction"]))
            elif isinstance(message, PredictionMessage) and message.status == "ok":
                if len(ready) == SESSIONS:
                    waits.append(message.timing.stepped - message.timing.received)
                    continue
                ready.add(message.session)
                if len(ready) == SESSIONS:
                    before = await skipped_by(service)
                    end = time.monotonic() + seconds
    return waits, await skipped_by(service) - before


async def skipped_by(service: Served) -> int:
    """Hops that a busy engine has skipped so far."""
    async with httpx.AsyncClient(base_url=service.url, timeout=STARTING) as http:
        lines = (await http.get("metrics")).text.splitlines()
    skips = [each for each in lines if re.match(r'mimamba_hops_total\{.*"skipped"', each)]
    return sum(round(float(each.rsplit(" ", 1)[1])) for each in skips)


def measure_soak(seconds: float) -> Figures:
    """A recording at eight times its pace, again and again, and clients that come and go."""
    with TemporaryDirectory() as folder:
        path = write_muse(Path(folder) / "muse.csv", 120, broken=True)
        with served(f"replay://{path}?speed=8&loop=1", model="demo") as service:
            return asyncio.run(soak(service, seconds))


async def soak(service: Served, seconds: float) -> Figures:
    """Memory after the first minute, or a quarter of a shorter time, and at the end."""
    first = min(60.0, seconds / 4)
    end = time.monotonic() + seconds
    came: Counter[str] = Counter()
    passers = [asyncio.create_task(pass_by(service.url, end, came)) for _ in range(PASSERS_BY)]
    await asyncio.sleep(first)
    before = service.rss()
    await asyncio.gather(*passers)
    after = service.rss()
    return {
        "clients that came and went": came["clients"],
        "messages": came["messages"],
        f"RSS after {first:g} s, MB": round(before, 1),
        f"RSS after {seconds:g} s, MB": round(after, 1),
        "growth, %": round(100 * (after / before - 1), 1),
    }


async def pass_by(url: str, end: float, came: Counter[str]) -> None:
    """Come, read all of a session for some time, and go, again and again."""
    while time.monotonic() < end:
        came["clients"] += 1
        async with talk(url, binary=random.random() < 0.5) as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(3 * random.random(), end - time.monotonic())):
                    while True:
                        message = decode_server(await client.socket.recv())
                        came["messages"] += 1
                        if isinstance(message, SessionState) and message.state == "opened":
                            await client.say(Subscribe(message.session, TOPICS))


MEASURES: dict[str, tuple[Callable[[float], Figures], float]] = {
    "readers": (measure_readers, 60.0),
    "stalled": (measure_stalled, 60.0),
    "sessions": (measure_sessions, 60.0),
    "soak": (measure_soak, 600.0),
}
"""What is measured, and for how many seconds."""


def machine() -> str:
    """The machine that the figures are of."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((each.split(": ")[1] for each in lines if "model name" in each), name)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}"


def main() -> None:
    """Measure and print the table, or JSON."""
    asks = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    asks.add_argument("what", nargs="*", choices=[*MEASURES, []], default=[])
    asks.add_argument("--seconds", type=float, help="instead of 60, or 600 for the soak")
    asks.add_argument("--json", action="store_true")
    asked = asks.parse_args()
    there, found = machine(), {}
    for name in asked.what or MEASURES:
        measure, seconds = MEASURES[name]
        found[name] = measure(asked.seconds or seconds)
    if asked.json:
        print(json.dumps({"machine": there, **found}, indent=2))
        return
    table = Table("", "figure", "", title="Load", caption=there)
    for name, figures in found.items():
        for nth, (figure, value) in enumerate(figures.items()):
            table.add_row("" if nth else name, figure, str(value))
        table.add_section()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
