"""Readers of predictions beside strangers: clients without a token who take what they can get.

The service asks for tokens, and the readers have one. The strangers are 8 of each kind, in a
process of their own that yields to all others, as if they were on other machines. A stranger that
is cut off comes back at once. The readers are in this process, and so have the service's clock.
Everything is measured with one service, in several rounds, so that other programs disturb all
alike: the readers alone, beside each kind, and beside all kinds together.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np

from mimamba.drivers.runtime.child_environment import child_environment
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.minimal_client import connect_client, send
from mimamba.service.bench.service_process import STARTING, ServiceProcess, start_service
from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import (
    PredictionMessage,
    SessionState,
    Subscribe,
    decode_server,
)
from tests.benchmarks.strangers.clients import KINDS, PROGRAM

READERS, STRANGERS = 20, 8
SESSIONS = 4
"""Sessions that each reader follows: one alone has only two predictions a second."""
RATIO = 1.5
"""Largest ratio of the readers' latencies with and without strangers."""
ROUNDS = 4
BEGINNING = 1.0
"""Seconds for strangers to connect, at most; not measured."""
ALONE, ALL = "", "all of these together"
TOKEN, VIEW_TOKEN = "a-token-for-control-0123456789abcdef", "a-token-for-view-0123456789abcdef0"


@contextmanager
def strangers(url: str, count: int, *kinds: str) -> Iterator[None]:
    """Have this many strangers of each kind about."""
    process = subprocess.Popen(
        ["nice", "-n", "10", sys.executable, "-c", PROGRAM, url, str(count), *kinds],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.communicate()


@dataclass
class ReaderTotals:
    """Latencies of the predictions that the readers receive in the present phase, s."""

    latencies: list[float] = field(default_factory=list)
    ready: int = 0
    """Number of readers that have received a prediction."""

    def percentiles(self) -> tuple[float, float]:
        """Return the median and the 99th percentile, ms."""
        p50, p99 = 1e3 * np.percentile(self.latencies, (50, 99))
        return float(p50), float(p99)


async def read(url: str, totals: ReaderTotals) -> None:
    """Receive predictions until cancelled."""
    async with connect_client(url) as client:
        await send(client, Auth(VIEW_TOKEN))
        first = True
        while True:
            message = decode_server(await client.recv())
            if isinstance(message, SessionState) and message.state == "opened":
                await send(client, Subscribe(message.session, ["prediction"]))
            elif isinstance(message, PredictionMessage) and message.status == "ok":
                totals.latencies.append(local_clock() - message.timing.received)
                totals.ready += first
                first = False


def measure(seconds: float) -> list[Figure]:
    """Measure the readers alone, and beside strangers of each kind and of all."""
    settings = {"model": "demo", "token": TOKEN, "view_token": VIEW_TOKEN}
    sources = [f"simulate://?seed={seed}" for seed in range(SESSIONS)]
    with start_service(*sources, **settings) as starting:
        return asyncio.run(measure_service(starting.wait_until_ready(), seconds))


async def measure_service(
    service: ServiceProcess,
    seconds: float,
    readers: int = READERS,
    count: int = STRANGERS,
    rounds: int = ROUNDS,
) -> list[Figure]:
    """Measure a service that asks for tokens; the readers must be able to subscribe by now."""
    totals = ReaderTotals()
    tasks = [asyncio.create_task(read(service.url, totals)) for _ in range(readers)]
    async with asyncio.timeout(STARTING):
        while totals.ready < readers:
            await asyncio.sleep(0.1)
            for task in tasks:
                if task.done():
                    task.result()  # raises what has ended it
    phases = {ALONE: (), **{kind: (kind,) for kind in KINDS}, ALL: tuple(KINDS)}
    found = {name: ReaderTotals() for name in phases}
    for _ in range(rounds):
        for name, kinds in phases.items():
            about = strangers(service.url, count, *kinds) if kinds else nullcontext()
            await asyncio.to_thread(about.__enter__)
            try:
                found[name].latencies += await phase(totals, seconds / (rounds * len(phases)))
            finally:
                await asyncio.to_thread(about.__exit__, None, None, None)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    alone = found.pop(ALONE)
    return [
        *latency_figures(f"{readers} readers alone", alone),
        *(
            figure
            for name, each in found.items()
            for figure in compare(f"beside {count}: {name}", each, alone)
        ),
    ]


async def phase(totals: ReaderTotals, seconds: float) -> list[float]:
    """Return the latencies of what the readers receive from now on, after strangers have begun."""
    await asyncio.sleep(min(BEGINNING, seconds / 4))
    totals.latencies = []
    await asyncio.sleep(seconds)
    while not totals.latencies:
        await asyncio.sleep(0.05)
    return totals.latencies


def latency_figures(label: str, found: ReaderTotals) -> list[Figure]:
    """Make the figures of the readers' latencies."""
    p50, p99 = found.percentiles()
    return [Figure(f"{label}, p50", p50, "ms"), Figure(f"{label}, p99", p99, "ms")]


def compare(label: str, found: ReaderTotals, alone: ReaderTotals) -> list[Figure]:
    """Make the figures of latencies beside strangers, and their ratios to those without."""
    ratios = [
        at_most(f"{label}, {name}, ratio", now / before, "times", RATIO)
        for name, now, before in zip(
            ("p50", "p99"), found.percentiles(), alone.percentiles(), strict=True
        )
    ]
    return [*latency_figures(label, found), *ratios]
