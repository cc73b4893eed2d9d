"""A worker that is killed, stopped or ended: another one continues its sessions without a seam."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo, Chunk
from mimamba.drivers.push_driver import Packet
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.service.acquire.bus_acquirer import announce, close_session
from mimamba.service.acquire.packet_message import samples_message
from mimamba.service.bus.bus import Bus, publish
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.cluster.shard import UNKNOWN_SECONDS
from mimamba.service.cluster.subjects import (
    SHARDS,
    Announcement,
    Order,
    Packets,
    input_subject,
    output_subject,
    pack,
    session_key,
    unpack_bundle,
)
from mimamba.service.cluster.worker import Worker
from mimamba.service.protocol.messages import PredictionMessage
from mimamba.service.protocol.push import Push
from mimamba.service.sessions.model_choice import ModelChoice
from tests.models.body.planted import PPG, pulse
from tests.service.models import random_checkpoint
from tests.service.scripted import INFO

DATA = np.random.default_rng(5).normal(0, 20, (8192, 4)).astype(np.float32)
PATIENCE = 120.0


TURN = AuxiliaryInfo("rotation", "°/s", 64.0, ("X", "Y", "Z"))
LIGHT = pulse(len(DATA) / 256, 70, 0.1)
TURNED = np.where(np.arange(len(LIGHT))[:, np.newaxis] % 640 < 30, 90, 1) * np.ones((1, 3), "f4")


def packet(seq: int, first: int, n_times: int) -> Packet:
    """Some EEG; every second one has what the headset measures beside it meanwhile."""
    stamps = 1000 + np.arange(first, first + n_times) / 256
    at = np.arange((first - n_times) // 4, (first + n_times) // 4) if seq % 2 else np.arange(0)
    measured = tuple(
        AuxiliaryChunk(info, data[at % len(data)].astype("f4"), 1000 + at / 64, int(at[0]))
        for info, data in ((PPG, LIGHT), (TURN, TURNED))
        if len(at)
    )
    chunk = Chunk(DATA[np.arange(first, first + n_times) % len(DATA)], stamps, first)
    return Packet(seq, chunk, auxiliary=measured, battery=90.0 - first // 2048)


class Told:
    """What the bus says of a session, by topic and ``seq``; each time a number is said."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], dict[int, Any]] = {}
        self.changed = asyncio.Condition()

    async def follow(self, bus: Bus, session: str) -> None:
        async with bus.follow(output_subject(session, "results"), 0) as messages:
            async for message in messages:
                bundle = unpack_bundle(message.payload)
                for entry in bundle.entries:
                    key = (bundle.epoch, type(entry).__name__)
                    there = self.entries.setdefault(key, {})
                    if entry.seq in there:
                        assert plain(there[entry.seq]) == plain(entry), "it is told otherwise"
                    else:
                        assert entry.seq == len(there), f"{key} jumps to {entry.seq}"
                        there[entry.seq] = entry
                async with self.changed:
                    self.changed.notify_all()

    def predictions(self) -> list[PredictionMessage]:
        return [
            entry
            for (_, kind), entries in self.entries.items()
            if kind == "PredictionMessage"
            for entry in entries.values()
        ]

    async def until_predicted(self, number: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.predictions()) >= number)


def plain(entry: Any) -> Any:
    """An entry without the times at which it was made, its numbers rounded."""
    if isinstance(entry, PredictionMessage):
        shares = {
            (output, label): round(share, 5)
            for output, labels in (entry.outputs or {}).items()
            for label, share in labels.items()
        }
        return entry.index, entry.status, entry.reason, entry.seq, shares
    if hasattr(entry, "event"):
        return entry.seq, entry.event, entry.detail
    return entry


def run(scene: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await scene()

    asyncio.run(bounded())


@pytest.mark.parametrize("how", ["released", "killed"])
def test_another_worker_continues(tmp_path: Path, how: str) -> None:  # noqa: C901
    """In one process: a worker that is gone is one whose connection is closed."""
    checkpoint = random_checkpoint(tmp_path)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)

    async def scene() -> None:
        exchange = Exchange()
        bus = InProcessBus(exchange)
        told = Told()
        following = asyncio.create_task(told.follow(bus, "a.b"))
        buses, tasks = [], []

        def begin() -> None:
            own = InProcessBus(exchange)
            buses.append(own)
            tasks.append(asyncio.create_task(Worker(own, choice).run()))

        begin()
        while not await bus.newest("keys.worker.*"):
            await asyncio.sleep(0.01)
        await announce(bus, Push("s" * 16, INFO), "a.b")
        sent = 0

        async def send(stop: int) -> None:
            nonlocal sent
            while sent < stop:
                message = Packets([samples_message("a.b", packet(sent, 12 * sent, 12))])
                await publish(bus, input_subject("a.b"), pack(message))
                sent += 1
                await asyncio.sleep(0.001)

        await send(150)
        await told.until_predicted(20)
        begin()
        await asyncio.sleep(2.5)  # until a state is on the bus
        await send(200)
        for nth, each in enumerate(list(tasks)):
            if how == "killed":
                await buses[nth].close()
            each.cancel()
            await asyncio.gather(each, return_exceptions=True)
            begin()
            await send(250 + 50 * nth)
            await asyncio.sleep(1.0)
        await told.until_predicted((12 * 300 - 1) // 64 - 1)
        (light,) = (each for key, each in told.entries.items() if key[1] == "PPGMessage")
        sent_light = [each for nth in range(sent) for each in packet(nth, 12 * nth, 12).auxiliary]
        expected_light = [each.data.tobytes() for each in sent_light if each.info == PPG]
        assert [each.data for each in light.values()] == expected_light[: len(light)]
        kinds = {key[1] for key in told.entries}
        assert kinds > {"HeartMessage", "MotionMessage"}
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await close_session(bus, "a.b")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        decoder = StreamingDecoder(checkpoint, INFO)
        expected = decoder.feed(packet(0, 0, 12 * sent).chunk)
        for found, offline in zip(told.predictions(), expected, strict=False):
            assert (found.index, found.status) == (offline.index, offline.status)
            for output, shares in (offline.outputs or {}).items():
                assert (found.outputs or {})[output] == pytest.approx(shares, abs=1e-6)

    run(scene)


def test_packets_that_come_before_their_announcement_is_seen(tmp_path: Path) -> None:
    """A worker that has looked in vain for the announcement loses none of the first packets."""
    checkpoint = random_checkpoint(tmp_path)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)

    async def scene() -> None:
        exchange = Exchange()
        bus, own = InProcessBus(exchange), InProcessBus(exchange)
        told = Told()
        following = asyncio.create_task(told.follow(bus, "early"))
        working = asyncio.create_task(Worker(own, choice).run())
        while len(await bus.newest("out.*.lease")) < SHARDS:
            await asyncio.sleep(0.01)
        after = await publish(bus, input_subject("early"), pack(Order("begin")))
        await asyncio.sleep(0.05)  # the worker looks for the session, and finds none
        push = Push("s" * 16, INFO)
        await publish(bus, session_key("early"), pack(Announcement(push, "early", after)))
        for seq in range(40):
            message = Packets([samples_message("early", packet(seq, 12 * seq, 12))])
            await publish(bus, input_subject("early"), pack(message))
        await asyncio.sleep(2 * UNKNOWN_SECONDS)
        message = Packets([samples_message("early", packet(40, 480, 12))])
        await publish(bus, input_subject("early"), pack(message))
        await told.until_predicted(7)
        offline = StreamingDecoder(checkpoint, INFO).feed(packet(0, 0, 492).chunk)
        assert [each.index for each in told.predictions()] == [each.index for each in offline]
        for task in (following, working):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(scene)
