"""48 headsets that push to a service from elsewhere: CPU time that a packet takes to come in.

The headsets are in this process, each with a WebSocket of its own: packets of 12 samples of noise
as a Muse sends them. The service's event loop takes them, acknowledges them, and sends the
predictions of all sessions to a client; its time is that of its thread.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import numpy as np
from websockets.asyncio.client import ClientConnection

from mimamba.drivers.driver import Chunk
from mimamba.drivers.push_driver import Packet
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.acquire.packet_message import samples_message
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.minimal_client import connect_client, send
from mimamba.service.bench.process_usage import cpu_seconds
from mimamba.service.bench.service_process import running_service
from mimamba.service.protocol.messages import PredictionMessage, Subscribe, decode_server
from mimamba.service.protocol.push import Ack, Push, Pushing
from tests.benchmarks.cluster.throughput import INFO, PACKET, SPREAD, STAMPS

SESSIONS = 48
MOST_US = 40.0
"""Aim: CPU time of the event loop for a packet, µs."""
WARM = 5.0
"""Seconds before it is measured: sessions open, and the model's windows fill."""


class Headset:
    """Pushes packets when they are due, over a connection of its own.

    Parameters
    ----------
    name
        Id of its session.
    begin
        Time of its first packet on the LSL clock, s.
    """

    def __init__(self, name: str, begin: float) -> None:
        self.acknowledged = 0
        self._name, self._begin = name, begin
        self._data = np.random.default_rng(0).normal(0, 20, (PACKET, 4)).astype(np.float32)

    async def run(self, client: ClientConnection) -> None:
        """Push until cancelled."""
        await send(client, Push(self._name.rjust(16, "s"), INFO, self._name, "demo"))
        while not isinstance(decode_server(await client.recv()), Pushing):
            pass
        taking = asyncio.create_task(self._take_answers(client))
        try:
            for seq in range(2**31):
                newest = self._begin + seq * PACKET / INFO.sfreq
                await asyncio.sleep(newest - local_clock())
                packet = Packet(seq, Chunk(self._data, newest + STAMPS, seq * PACKET))
                await send(client, samples_message(self._name, packet))
        finally:
            taking.cancel()

    async def _take_answers(self, client: ClientConnection) -> None:
        async for frame in client:
            message = decode_server(frame)
            if isinstance(message, Ack):
                self.acknowledged = message.seq + 1


async def follow(client: ClientConnection, names: list[str], told: list[PredictionMessage]) -> None:
    """Follow the predictions of all sessions until cancelled."""
    for name in names:
        await send(client, Subscribe(name, ["prediction"]))
    async for frame in client:
        message = decode_server(frame)
        if isinstance(message, PredictionMessage):
            told.append(message)


def measure(seconds: float) -> list[Figure]:
    """Measure 48 headsets, on Linux."""
    with running_service(model="demo") as service:
        return asyncio.run(measure_service(service.url, service.pid, seconds))


async def measure_service(url: str, pid: int, seconds: float) -> list[Figure]:
    """Measure a service that runs."""
    names = [f"noise-{nth}" for nth in range(SESSIONS)]
    begins = local_clock() + 2.0 + np.random.default_rng(0).uniform(0, SPREAD, SESSIONS)
    headsets = [Headset(*each) for each in zip(names, begins.tolist(), strict=True)]
    told: list[PredictionMessage] = []
    async with AsyncExitStack() as stack:
        connect = [connect_client(url) for _ in range(SESSIONS + 1)]
        clients = [await stack.enter_async_context(each) for each in connect]
        tasks = [
            asyncio.create_task(headset.run(client))
            for headset, client in zip(headsets, clients, strict=False)
        ]
        await asyncio.sleep(WARM)
        tasks.append(asyncio.create_task(follow(clients[-1], names, told)))
        await asyncio.sleep(WARM)
        told.clear()
        before, begin = sum(each.acknowledged for each in headsets), time.monotonic()
        used = cpu_seconds(pid, thread=pid)  # the event loop is in the first thread
        await asyncio.sleep(seconds)
        used = cpu_seconds(pid, thread=pid) - used
        packets = sum(each.acknowledged for each in headsets) - before
        span = time.monotonic() - begin
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
    label, due = f"{SESSIONS} headsets that push", SESSIONS * span
    waits = [1e3 * (each.timing.stepped - each.timing.received) for each in told]
    return [
        Figure(f"{label}: packets acknowledged", 100 * packets * PACKET / INFO.sfreq / due, "%"),
        Figure(f"{label}: hops told to a client", 100 * len(told) / (2 * due), "%"),
        at_most(f"{label}: event loop for a packet", 1e6 * used / max(1, packets), "µs", MOST_US),
        Figure(f"{label}: from reception to step, p50", float(np.median(waits)), "ms"),
        Figure(f"{label}: from reception to step, p99", float(np.percentile(waits, 99)), "ms"),
    ]
