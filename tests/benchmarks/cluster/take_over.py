"""Kills of workers, gateways and the NATS server, and partitions, while clients follow.

Run ``python -m tests.benchmarks.cluster.take_over --kills 20``. It prints lost and doubled
predictions, the largest difference to the unbroken run, and the time from a kill to the next
prediction. A recording goes on meanwhile: lost and doubled samples, and its verified predictions.
``recorder`` is the gateway that writes it. ``freeze`` stops a worker for a while. ``cut`` and
``cut-recorder`` let nothing through between a worker, or that gateway, and the server for 7 s.
``cut-server``, alone, runs three servers, and lets nothing through between one and the others.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from mimamba.drivers.driver import StreamInfo
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.service.bus.bus import Bus, BusUnreachable
from mimamba.service.bus.nats_bus import NATSBus
from mimamba.service.cluster.subjects import (
    Packets,
    View,
    input_subject,
    output_subject,
    unpack_input,
)
from mimamba.service.protocol.messages import (
    Error,
    LinkMessage,
    PredictionMessage,
    Subscribed,
    decode_server,
)
from mimamba.service.recordings.verify import compare, load_recorded
from mimamba.service.sessions.remote_sources import read_packet
from tests.benchmarks.cluster.lines import Lines, linked_servers
from tests.ports import keep_port, port_of
from tests.service.bus.nats_server import NATSServer, running
from tests.service.cluster.processes import STARTING, Role
from tests.service.forked import LoadedProgram
from tests.service.proxy import Line

SESSION = "killed"
RECORDING = "kills"
CUT_SERVER = "cut-server"
WHAT = ["worker", "freeze", "cut", "gateway", "recorder", "cut-recorder", "server"]
CUT_SECONDS = 7.0
"""Seconds of a partition: more than three times a lease."""
PAUSE = 3.0
"""Seconds between two kills, after the next prediction and the start of the killed process."""


@dataclass
class Viewer:
    """A client that follows predictions over any of the gateways, and goes on where it was."""

    urls: list[str]
    told: list[PredictionMessage] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    events: list[LinkMessage] = field(default_factory=list)
    epoch: str | None = None
    info: StreamInfo | None = None

    async def run(self) -> None:
        """Follow until cancelled; a connection that is lost is made again, to the next gateway."""
        for nth in range(1 << 30):
            try:
                async with connect(self.urls[nth % len(self.urls)]) as socket:
                    await socket.send(msgspec.json.encode(self._request()).decode())
                    async for frame in socket:
                        message = decode_server(frame)
                        if isinstance(message, Error):
                            break  # the session is not there yet
                        self._take(message)
            except (OSError, ConnectionClosed, InvalidHandshake):
                pass
            await asyncio.sleep(0.05)

    def _request(self) -> dict[str, Any]:
        since: dict[str, Any] = {"epoch": self.epoch or "none", "seq": {}}
        if self.told:
            since["seq"]["prediction"] = self.told[-1].seq
        if self.events:
            since["seq"]["link"] = self.events[-1].seq
        topics = ["prediction", "link"]
        return {"type": "subscribe", "session": SESSION, "topics": topics, "since": since}

    def _take(self, message: Any) -> None:
        if isinstance(message, Subscribed):
            self.epoch, self.info = message.epoch, message.info
        elif isinstance(message, LinkMessage):
            self.events.append(message)
        elif isinstance(message, PredictionMessage):
            self.told.append(message)
            self.times.append(time.monotonic())

    async def next_after(self, moment: float) -> float:
        """Return when the first prediction after a moment came."""
        while not self.times or self.times[-1] <= moment:
            await asyncio.sleep(0.005)
        return next(each for each in self.times if each > moment)


@dataclass
class Unbroken:
    """The same samples, read from the bus, for a decoder that nobody kills."""

    chunks: list[Any] = field(default_factory=list)
    next_seq: int = 0

    async def run(self, bus: Bus, viewer: Viewer) -> None:
        async with bus.follow(input_subject(SESSION), 0) as messages:
            async for message in messages:
                content = unpack_input(message.payload)
                while viewer.info is None:
                    await asyncio.sleep(0.05)
                for samples in content.packets if isinstance(content, Packets) else ():
                    if samples.seq >= self.next_seq:
                        self.next_seq = samples.seq + 1
                        self.chunks.append(read_packet(samples, viewer.info).chunk)


@dataclass(frozen=True)
class Outcome:
    """Result of a run; ``waits`` are seconds from a kill to the next prediction."""

    told: int
    lost: int
    doubled: int
    largest: float
    waits: list[tuple[str, float]]


@dataclass(frozen=True)
class RecordedOutcome:
    """What is in the recording: samples, predictions that verify, and the first that does not.

    ``different`` counts samples that are not those of the bus, ``hand_overs`` the gateways that
    went on with it.
    """

    samples: int
    lost: int
    doubled: int
    different: int
    verified: int
    difference: str | None
    hand_overs: int


def judge_recording(path: Path, unbroken: Unbroken, hand_overs: int) -> RecordedOutcome:
    """Compare a recording with the samples on the bus, and verify its predictions."""
    recorded = load_recorded(path)
    verdict = compare(recorded, load_checkpoint("demo"))
    index = recorded.index
    span = int(index[-1] - index[0]) + 1
    sent = np.concatenate([each.data for each in unbroken.chunks])[index[0] :][:span]
    found = np.asarray(recorded.signal.values)
    different = 0 if len(found) != len(sent) else int((found != sent).any(axis=1).sum())
    doubled = len(index) - len(np.unique(index))
    lost = span - len(np.unique(index))
    return RecordedOutcome(
        len(index), lost, doubled, different, verdict.confirmed, verdict.difference, hand_overs
    )


def judge(viewer: Viewer, unbroken: Unbroken, waits: list[tuple[str, float]]) -> Outcome:
    """Compare what the client was told with what a decoder says of the same samples."""
    numbers = [each.seq for each in viewer.told]
    lost = len(set(range(min(numbers), max(numbers) + 1)) - set(numbers)) + min(numbers)
    assert viewer.info is not None
    decoder = StreamingDecoder(load_checkpoint("demo"), viewer.info)
    expected = [made for chunk in unbroken.chunks if chunk.n_times for made in decoder.feed(chunk)]
    largest = 0.0
    for message in viewer.told[: len(expected)]:
        made = expected[message.seq]
        found = message.index, message.status, message.reason
        if found != (made.index, made.status, made.reason):
            events = [(each.event, each.detail, each.first) for each in viewer.events]
            raise AssertionError(f"{message.seq}: {found} instead of {made}; {events}")
        for output, shares in (made.outputs or {}).items():
            for label, share in shares.items():
                assert message.outputs is not None
                largest = max(largest, abs(share - message.outputs[output][label]))
    return Outcome(len(numbers), lost, len(numbers) - len(set(numbers)), largest, waits)


def join(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of several clients of one run: the fewest predictions, all else added."""
    return Outcome(
        min(each.told for each in outcomes),
        sum(each.lost for each in outcomes),
        sum(each.doubled for each in outcomes),
        max(each.largest for each in outcomes),
        outcomes[0].waits,
    )


class Cluster:
    """Two workers, two gateways and an acquirer, each a process.

    Workers and gateways reach a server over ``lines`` that can be cut off; directly without, or if
    there are several servers, which have the lines ``between`` them.
    """

    def __init__(
        self,
        folder: Path,
        servers: Sequence[NATSServer],
        loaded: LoadedProgram,
        lines: Lines | None = None,
        between: Sequence[Sequence[Line]] = (),
    ) -> None:
        self._folder, self._server, self._loaded = folder, servers[0], loaded
        self._lines, self._between = lines, between
        self.url = ",".join(each.url for each in servers)
        self._line_of: dict[Role, Line] = {}
        self._count = self.hand_overs = self._recorder = 0
        (folder / "none.toml").touch()
        self._keepers = [keep_port(), keep_port()]
        self.ports = [port_of(each) for each in self._keepers]
        self.workers = [self._worker(), self._worker()]
        self.gateways = [self._gateway(port) for port in self.ports]
        self._beginner = self.gateways[0]
        self._recording = self._beginner, 1  # which process writes it, for the how many-th time
        for each in self.workers:
            each.wait_for("is on the bus")
        url, source = self.url, "simulate://"
        self.acquirer = self._role("acquire", "--source", source, "--to", url, "--id", SESSION)
        self.acquirer.wait_for("is open on the bus")
        for each in self.gateways:
            each.wait_for("mimamba is at")

    def _role(self, *arguments: str) -> Role:
        self._count += 1
        name = f"{arguments[0]}-{self._count}"
        return Role(self._folder, name, *arguments, loaded=self._loaded)

    def _worker(self) -> Role:
        return self._role_on_bus("worker")

    def _gateway(self, port: int) -> Role:
        options = ("--port", str(port), "--data-dir", str(self._folder / "data"))
        return self._role_on_bus("serve", *options)

    def _role_on_bus(self, command: str, *options: str) -> Role:
        if self._lines is None or self._between:
            return self._role(command, "--bus", self.url, *options)
        line = self._lines.add(self.url)
        role = self._role(command, "--bus", line.url, *options)
        self._line_of[role] = line
        return role

    def record(self) -> None:
        """Begin the recording, at the first gateway."""
        httpx.post(
            f"{self._at(0)}/v1/recordings", json={"session": SESSION, "name": RECORDING}, timeout=30
        ).raise_for_status()

    def _at(self, nth: int) -> str:
        return f"http://127.0.0.1:{self.ports[nth]}"

    def _follow_recorder(self) -> None:
        """Wait until a gateway goes on with the recording, and note which one it is."""
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            for nth, each in enumerate(self.gateways):
                said = each.log.read_text(errors="replace")
                begun = said.count("recording goes on") + (each is self._beginner)
                if begun > said.count("another service goes on"):
                    self.hand_overs += (each, begun) != self._recording
                    self._recorder, self._recording = nth, (each, begun)
                    return
            time.sleep(0.1)
        raise AssertionError("no gateway goes on with the recording")

    def stop_recording(self) -> Path:
        """Stop the recording at the gateway that writes it; return its file."""
        stopped = httpx.post(
            f"{self._at(self._recorder)}/v1/recordings/{RECORDING}/stop", timeout=30
        ).raise_for_status()
        assert stopped.json()["state"] == "finished", stopped.text
        return self._folder / "data" / f"{RECORDING}.xdf"

    async def _computing(self, bus: Bus) -> int:
        """Return which of the workers computes the session."""
        (view,) = await bus.newest(output_subject(SESSION, "view"))
        name = msgspec.msgpack.decode(view.payload, type=View).worker
        return [name in each.log.read_text() for each in self.workers].index(True)

    async def _cut_off(self, lines: Sequence[Line], viewers: Sequence[Viewer]) -> float:
        """Let nothing through lines for a while; return when the first client was told."""
        assert self._lines is not None, "Expected a cluster with lines."
        moment = time.monotonic()
        for line in lines:
            self._lines.cut_off(line)
        hearing = [asyncio.create_task(each.next_after(moment + 0.1)) for each in viewers]
        await asyncio.sleep(CUT_SECONDS)
        for line in lines:
            self._lines.heal(line)
        heard = min([await each for each in hearing]) - moment
        print(f"all clients after {max(each.result() for each in hearing) - moment:.2f} s")
        return heard

    async def kill(self, what: str, viewers: Sequence[Viewer], bus: Bus) -> float:
        """Kill one process, wait for the next prediction, and start another one in its place.

        A frozen worker wakes up again: by then it is overtaken. So it is with one that is cut off.
        """
        worker, viewer = what in ("worker", "freeze", "cut"), viewers[0]
        nth = await self._computing(bus) if worker else random.randrange(2)
        nth = self._recorder if what in ("recorder", "cut-recorder") else nth
        if what in ("cut", "cut-recorder"):
            role = (self.workers if worker else self.gateways)[nth]
            waited = await self._cut_off([self._line_of[role]], viewers)
            if not worker:
                await asyncio.to_thread(self._follow_recorder)
            return waited
        if what == CUT_SERVER:
            waited = await self._cut_off(random.choice(self._between), viewers)
            await asyncio.to_thread(self._follow_recorder)
            return waited
        moment = time.monotonic()
        if what == "freeze":
            process = self.workers[nth].process
            process.send_signal(signal.SIGSTOP)
            waited = await viewer.next_after(moment + 0.1) - moment
            process.send_signal(signal.SIGCONT)
            return waited
        if what == "server":
            await asyncio.to_thread(self._server.kill)
            await asyncio.to_thread(self._server.start)
            return await viewer.next_after(moment) - moment
        roles = self.workers if what == "worker" else self.gateways
        await asyncio.to_thread(roles[nth].kill)
        waited = await viewer.next_after(moment) - moment
        roles[nth] = self._worker() if what == "worker" else self._gateway(self.ports[nth])
        ready = "is on the bus" if what == "worker" else "mimamba is at"
        await asyncio.to_thread(roles[nth].wait_for, ready)
        if what != "worker" and nth == self._recorder:
            await asyncio.to_thread(self._follow_recorder)
        return waited

    def stop(self) -> None:
        """Stop all that runs."""
        for each in [self.acquirer, *self.gateways, *self.workers]:
            each.stop()
        for keeper in self._keepers:
            keeper.close()


async def follow_kills(cluster: Cluster, kills: Sequence[str]) -> tuple[Outcome, RecordedOutcome]:
    """Follow a session at both gateways, and record it, while processes are killed."""
    bus = await NATSBus.connect(cluster.url)
    urls = [f"ws://127.0.0.1:{port}/v1/stream" for port in cluster.ports]
    viewers, unbroken = [Viewer(urls), Viewer(urls[::-1])], Unbroken()
    tasks = [
        *(asyncio.create_task(each.run()) for each in viewers),
        asyncio.create_task(unbroken.run(bus, viewers[0])),
    ]
    waits: list[tuple[str, float]] = []
    try:
        await asyncio.gather(*(each.next_after(time.monotonic()) for each in viewers))
        await asyncio.to_thread(cluster.record)
        for what in kills:
            await asyncio.sleep(PAUSE)
            waits.append((what, await cluster.kill(what, viewers, bus)))
            print(f"{what}: next prediction after {waits[-1][1]:.2f} s", flush=True)
        await asyncio.sleep(PAUSE)
        path = await asyncio.to_thread(cluster.stop_recording)
        recorded = judge_recording(path, unbroken, cluster.hand_overs)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()
    return join([judge(each, unbroken, waits) for each in viewers]), recorded


async def wait_for_streams(servers: Sequence[NATSServer]) -> None:
    """Wait until several servers have found each other, and made the streams."""
    url, end = ",".join(each.url for each in servers), time.monotonic() + STARTING
    while True:
        try:
            await (await NATSBus.connect(url)).close()
        except BusUnreachable:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.2)
        else:
            return


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--what", nargs="*", default=WHAT)
    options = parser.parse_args()
    if CUT_SERVER in options.what and len(options.what) > 1:
        parser.error(f"Expected {CUT_SERVER} alone, as it needs three servers.")
    kills = [random.choice(options.what) for _ in range(options.kills)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        lines, store = stack.enter_context(Lines()), folder / "store"
        between: list[list[Line]] = []
        if CUT_SERVER in options.what:
            servers, between = stack.enter_context(linked_servers(store, lines))
            asyncio.run(wait_for_streams(servers))
        else:
            servers = [stack.enter_context(running(store))]
        loaded = LoadedProgram()
        cluster = Cluster(folder, servers, loaded, lines, between)
        try:
            outcome, recorded = asyncio.run(follow_kills(cluster, kills))
        finally:
            cluster.stop()
            loaded.close()
    print(f"{len(kills)} kills, {outcome.told} predictions told")
    print(f"lost {outcome.lost}, doubled {outcome.doubled}, largest {outcome.largest:.1e}")
    print(
        f"recording: {recorded.samples} samples, lost {recorded.lost}, doubled {recorded.doubled}, "
        f"different {recorded.different}; {recorded.verified} predictions verified, first "
        f"difference {recorded.difference}; {recorded.hand_overs} hand-overs"
    )
    for what in sorted({each for each, _ in outcome.waits}):
        times = sorted(seconds for each, seconds in outcome.waits if each == what)
        middle = times[len(times) // 2]
        print(
            f"{what}: {len(times)} kills, next prediction p50 {middle:.2f}, max {times[-1]:.2f} s"
        )


if __name__ == "__main__":
    main()
