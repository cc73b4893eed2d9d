"""Readers of predictions beside strangers: clients without a token who take what they can get.

The service asks for tokens, and the readers have one. The strangers are 8 of each kind, in a
process of their own that yields to all others, as if they were on other machines. A stranger that
is cut off comes back at once. The readers are in this process, and so have the service's clock.
Everything is measured with one service, in several rounds, so that other programs disturb all
alike: the readers alone, beside each kind, and beside all kinds together.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from mimamba.drivers.runtime.child_environment import child_environment
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.service_process import STARTING, ServiceProcess, start_service
from mimamba.service.bench.wire import connect_client, send
from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import (
    PredictionMessage,
    SessionState,
    Subscribe,
    decode_server,
)

READERS, STRANGERS = 20, 8
RATIO = 1.5
"""Largest ratio of the readers' latencies with and without strangers."""
ROUNDS = 4
BEGINNING = 1.0
"""Seconds for strangers to connect, at most; not measured."""
ALONE, ALL = "", "all of these together"
TOKEN, VIEW_TOKEN = "a-token-for-control-0123456789abcdef", "a-token-for-view-0123456789abcdef0"
PATIENCE = 0.2
"""Seconds that a stranger waits for room to send."""
PROGRAM = "import sys; from tests.benchmarks.strangers import main; main(*sys.argv[1:])"

UPGRADE = (
    "GET /v1/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
FRAME = bytes((0x80 | 125,)) + bytes(4) + b'{"type": "ping", "t": 0, "id": "x"}'.ljust(125)
"""A masked frame of the greatest short length, without its first byte; the mask changes nothing."""
PING, MESSAGE = b"\x89" + FRAME, b"\x81" + FRAME
POST = "POST /v1/login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n"
REQUEST = "GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\n\r\n"


# The strangers, in their process --------------------------------------------------------------


def hold(plug: socket.socket, first: bytes) -> None:
    """Send the first bytes and nothing more, until the service closes the connection."""
    plug.settimeout(None)
    plug.sendall(first)
    while plug.recv(1 << 16):
        pass


def flood(plug: socket.socket, first: bytes, frame: bytes, reads: bool) -> None:
    """Send frames as fast as they are taken, reading or not, until the connection is closed."""
    plug.sendall(first)
    block = frame * 64
    sent = 0
    while True:
        with suppress(TimeoutError):
            sent = (sent + plug.send(block[sent:])) % len(block)  # never a part of a frame alone
        if reads:
            with suppress(BlockingIOError):
                if not plug.recv(1 << 16, socket.MSG_DONTWAIT):
                    return


def ask(plug: socket.socket, request: bytes) -> None:
    """Send requests one after the other, each as soon as the last is answered."""
    plug.settimeout(None)
    while True:
        plug.sendall(request)
        if not plug.recv(1 << 16):
            return


KINDS: dict[str, Callable[[socket.socket, str], None]] = {
    "pings, nothing read": lambda plug, host: flood(
        plug, UPGRADE.format(host=host).encode(), PING, reads=False
    ),
    "nothing sent": lambda plug, _: hold(plug, b""),
    "half a head": lambda plug, host: hold(plug, f"GET / HTTP/1.1\r\nHost: {host}\r\nX".encode()),
    "a body that does not come": lambda plug, host: hold(plug, POST.format(host=host).encode()),
    "messages": lambda plug, host: flood(
        plug, UPGRADE.format(host=host).encode(), MESSAGE, reads=True
    ),
    "requests": lambda plug, host: ask(plug, REQUEST.format(host=host).encode()),
}
"""Visits of strangers, each until its connection ends."""


def come_back(host: str, port: int, kind: str) -> None:
    """Visit again and again."""
    while True:
        with suppress(OSError), socket.create_connection((host, port)) as plug:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plug.settimeout(PATIENCE)
            KINDS[kind](plug, f"{host}:{port}")


def main(url: str, count: str, *kinds: str) -> None:
    """Run this many strangers of each kind until the process is ended; print a line before."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    for kind in kinds:
        for _ in range(int(count)):
            thread = threading.Thread(
                target=come_back, args=(parts.hostname, parts.port, kind), daemon=True
            )
            thread.start()
    print(flush=True)
    sys.stdin.read()


@contextmanager
def strangers(url: str, count: int, *kinds: str) -> Iterator[None]:
    """Have this many strangers of each kind about."""
    process = subprocess.Popen(
        ["nice", "-n", "19", sys.executable, "-c", PROGRAM, url, str(count), *kinds],
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


# The readers ----------------------------------------------------------------------------------


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
    with start_service("simulate://?seed=1", **settings) as starting:
        return asyncio.run(measure_service(starting.wait_until_ready(), seconds))


async def measure_service(
    service: ServiceProcess, seconds: float, readers: int = READERS, count: int = STRANGERS
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
    for _ in range(ROUNDS):
        for name, kinds in phases.items():
            about = strangers(service.url, count, *kinds) if kinds else nullcontext()
            await asyncio.to_thread(about.__enter__)
            try:
                found[name].latencies += await phase(totals, seconds / (ROUNDS * len(phases)))
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
