"""Memory over hours: a recording played again and again, and clients that come and go.

``python -m tests.benchmarks.soak [seconds]`` (600 where none are given), against a service in a
process of its own.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from service.bench.bench import table
from service.bench.figures import Figure
from service.bench.machine import describe_machine
from service.messages import SessionState, Subscribe, Topic, decode_server
from service.served import Served, served
from tests.service.live import talk
from tests.service.recordings import write_muse

TOPICS: list[Topic] = ["prediction", "quality", "bands", "link", "signal"]
PASSERS_BY = 8
FLAT = 5.0
"""Per cent by which memory may grow."""


async def soak(service: Served, seconds: float) -> list[Figure]:
    """Memory after the first minute, or a quarter of a shorter time, and at the end."""
    first = min(60.0, seconds / 4)
    end = time.monotonic() + seconds
    came: Counter[str] = Counter()
    passers = [asyncio.create_task(pass_by(service.url, end, came)) for _ in range(PASSERS_BY)]
    await asyncio.sleep(first)
    before = service.rss()
    await asyncio.gather(*passers)
    after = service.rss()
    growth = 100 * (after / before - 1)
    return [
        Figure("clients that came and went", came["clients"], "clients"),
        Figure("messages", came["messages"], "messages"),
        Figure(f"memory after {first:g} s", before, "MB"),
        Figure(f"memory after {seconds:g} s", after, "MB"),
        Figure("growth", growth, "%", f"<= {FLAT:g} %", growth <= FLAT),
    ]


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


def main() -> None:
    """Measure at eight times the recording's pace, and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    machine = describe_machine()
    with TemporaryDirectory() as folder:
        path = write_muse(Path(folder) / "muse.csv", 120, broken=True)
        with served(f"replay://{path}?speed=8&loop=1", model="demo") as service:
            found = asyncio.run(soak(service, seconds))
    Console().print(table(machine, {"soak": found}))


if __name__ == "__main__":
    main()
