"""300 sessions over a NATS server, with two workers and a gateway, each a process.

The headsets are in this process: packets of 12 samples of noise as a Muse sends them, each
acknowledged by the server. So is the client, which follows all predictions over one WebSocket. The
headsets begin at random within half a second, as hops fall together for good where all begin in one
instant. A hop's time runs from when the headset sends the packet with its newest sample, so it has
the packet's way to the bus in it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.push_driver import Packet
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.acquire.bus_acquirer import announce
from mimamba.service.acquire.packet_message import samples_message
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.minimal_client import connect_client, send
from mimamba.service.bench.process_usage import cpu_seconds, resident_megabytes
from mimamba.service.bus.nats_bus import NATSBus
from mimamba.service.cluster.subjects import Packets, input_subject, pack
from mimamba.service.protocol.messages import PredictionMessage, Subscribe, decode_server
from mimamba.service.protocol.push import Push
from tests.ports import kept_port
from tests.service.bus.nats_server import NATSServer, running
from tests.service.cluster.processes import Role

SESSIONS, WORKERS = 300, 2
SESSIONS_A_SECOND = 10
"""Largest number of sessions for each second of measuring."""
INFO = StreamInfo("Noise", "noise", 256.0, ("TP9", "AF7", "AF8", "TP10"))
PACKET = 12
"""Samples of a packet."""
PACKETS = 341
"""Packets after which the noise repeats."""
STAMPS = (np.arange(PACKET) - PACKET + 1) / INFO.sfreq
"""Times of a packet's samples before its newest one, s."""
SPREAD = 0.5
"""Seconds within which the headsets begin: from hop to hop of ``demo``."""
SECONDS = 4.0
"""Seconds of signal before the model's windows are full, which are not measured."""
LIMIT = 0.1
"""Seconds from the newest sample's packet to the client for 99 % of hops."""


class Headsets:
    """Publishes packets of many sessions when they are due.

    It speaks the server's protocol itself: a client library for each headset is the load of other
    machines, and all of them in this process would take more than a core.

    Parameters
    ----------
    names
        Ids of the sessions.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._subjects = {name: input_subject(name).encode() for name in names}
        noise = np.random.default_rng(0).normal(0, 20, (PACKET * PACKETS, 4))
        self._data = noise.astype(np.float32)
        self.sent = self.stored = 0

    async def announce(self, bus: NATSBus) -> None:
        """Announce all sessions; the workers open them with their first packets."""
        for name in self._names:
            await announce(bus, Push(name.rjust(16, "s"), INFO, None, "demo"), name)

    async def run(self, port: int) -> None:
        """Publish until cancelled."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB acks 1\r\n')
        answers = asyncio.create_task(self._take_answers(reader, writer))
        try:
            await self._publish_all(writer)
        finally:
            answers.cancel()
            writer.close()

    async def _publish_all(self, writer: asyncio.StreamWriter) -> None:
        period = PACKET / INFO.sfreq
        start = local_clock() + 0.1
        phases = np.random.default_rng(0).uniform(0, SPREAD, len(self._names))
        due = (start + phases).tolist()
        seqs = [0] * len(self._names)
        while True:
            now = local_clock()
            for nth, name in enumerate(self._names):
                while due[nth] <= now:
                    writer.write(self._packet(name, seqs[nth], due[nth]))
                    self.sent += 1
                    seqs[nth] += 1
                    due[nth] += period
            await writer.drain()
            await asyncio.sleep(0.005)

    def _packet(self, name: str, seq: int, newest: float) -> bytes:
        row = seq % PACKETS * PACKET
        packet = Packet(seq, Chunk(self._data[row : row + PACKET], newest + STAMPS, seq * PACKET))
        message = pack(Packets([samples_message(name, packet)]))
        return b"PUB %s acks %d\r\n%s\r\n" % (self._subjects[name], len(message), message)

    async def _take_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Count what the server has stored."""
        rest = b""
        while read := await reader.read(1 << 16):
            *lines, rest = (rest + read).split(b"\r\n")
            for line in lines:
                if line.startswith(b"{") and b'"seq"' in line:
                    self.stored += 1
                elif line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")


async def follow(url: str, names: list[str], waits: list[float], since: float) -> None:
    """Follow the predictions of all sessions; note the time of each from its newest packet."""
    async with connect_client(url) as client:
        for name in names:
            await send(client, Subscribe(name, ["prediction"]))
        while True:
            message = decode_server(await client.recv())
            if isinstance(message, PredictionMessage) and message.timestamp > since:
                behind = PACKET - 1 - message.index % PACKET  # samples of the packet after it
                waits.append(local_clock() - message.timestamp - behind / INFO.sfreq)


def measure(seconds: float) -> list[Figure]:
    """Measure 300 sessions; fewer in less than 30 s."""
    sessions = min(SESSIONS, max(2, round(SESSIONS_A_SECOND * seconds)))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        server = stack.enter_context(running(folder / "store"))
        (folder / "none.toml").touch()
        url, capacity, port = server.url, str(sessions), stack.enter_context(kept_port())
        roles = [
            Role(folder, f"worker-{nth}", "worker", "--bus", url, "--capacity", capacity)
            for nth in range(WORKERS)
        ]
        roles.append(Role(folder, "gateway", "serve", "--bus", url, "--port", str(port)))
        for each in roles:
            stack.callback(each.stop)
        for each in roles:
            each.wait_for("mimamba is at" if each.name == "gateway" else "is on the bus")
        gateway = f"ws://127.0.0.1:{port}/v1/stream"
        return asyncio.run(measure_roles(server, roles, gateway, sessions, seconds))


async def measure_roles(
    server: NATSServer, roles: list[Role], gateway: str, sessions: int, seconds: float
) -> list[Figure]:
    """Measure a server, workers and a gateway that run."""
    names = [f"noise-{nth}" for nth in range(sessions)]
    bus = await NATSBus.connect(server.url)
    headsets = Headsets(names)
    await headsets.announce(bus)
    publishing = asyncio.create_task(headsets.run(server.port))
    await asyncio.sleep(SECONDS)
    waits: list[float] = []
    following = asyncio.create_task(follow(gateway, names, waits, local_clock() + SECONDS))
    await asyncio.sleep(SECONDS)
    processes = {each.name: each.process.pid for each in roles} | {"server": server.pid}
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    begin = time.monotonic()
    waits.clear()
    await asyncio.sleep(seconds)
    span = time.monotonic() - begin
    unstored = headsets.sent - headsets.stored - len(names)  # one each may be on its way
    for task in (following, publishing):
        task.cancel()
    await asyncio.gather(following, publishing, return_exceptions=True)
    label = f"{sessions} sessions over NATS"
    expected = max(2 * sessions * span, len(waits))  # more come where a backlog is worked off
    within = 100 * sum(wait <= LIMIT for wait in waits) / expected
    aim = ">= 99 %" if sessions == SESSIONS else None
    figures = [
        Figure(
            f"{label}: hops at the client within {LIMIT:g} s",
            within,
            "%",
            aim,
            None if aim is None else within >= 99,
        ),
        Figure(f"{label}: hops at the client", 100 * len(waits) / expected, "%"),
        at_most(f"{label}: packets that were not stored", max(0, unstored), "", 0),
    ]
    for share in (50, 90, 99, 100):
        value = 1e3 * float(np.percentile(waits, share)) if waits else float("nan")
        figures.append(Figure(f"{label}: p{share} from packet to client", value, "ms"))
    for name, pid in processes.items():
        cost = 1e3 * (cpu_seconds(pid) - before[name]) / span / sessions
        figures.append(Figure(f"{label}: CPU time of {name} for a session's second", cost, "ms"))
        figures.append(Figure(f"{label}: memory of {name}", resident_megabytes(pid), "MB"))
    await bus.close()
    return figures
