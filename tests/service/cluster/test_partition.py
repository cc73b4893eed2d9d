"""A worker and a gateway that are cut off from a real NATS server, and do not see it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.service.bus.bus import Bus, publish
from mimamba.service.bus.nats_bus import NATSBus
from mimamba.service.cluster.placement import place
from mimamba.service.cluster.subjects import (
    SHARDS,
    Lease,
    Order,
    input_subject,
    lease_subject,
    pack,
    shard_of,
)
from mimamba.service.cluster.worker import Worker
from mimamba.service.protocol.messages import LinkMessage
from mimamba.service.recordings.recordings import RecordingRefused
from mimamba.service.recordings.verify import compare, load_recorded
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.session import Session
from tests.service.bus.nats_server import running
from tests.service.cluster.failover.test_bus_recordings import Gateway
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import packet, run
from tests.service.models import random_checkpoint
from tests.service.proxy import bad_line
from tests.service.scripted import INFO

SHARD = shard_of("a.b")


async def send_on(crew: Crew) -> None:
    """Send packets until cancelled."""
    while True:
        await crew.send(2)
        await asyncio.sleep(0.04)


async def store_late_lease(bus: Bus, slow: Worker, other: Worker) -> None:
    """A shard goes back to its worker where the bus stores too late that a slow one takes it."""
    names = [slow.name, other.name]
    shard = next(n for n in range(SHARDS) if place(n, names) == other.name)

    async def until_held() -> None:
        holder: str | None = None
        while holder != other.name:
            (newest,) = await bus.newest(lease_subject(shard))
            holder = msgspec.msgpack.decode(newest.payload, type=Lease).worker
            await asyncio.sleep(0.01)

    await until_held()
    await publish(bus, lease_subject(shard), pack(Lease(slow.name)), only=True)
    await until_held()


async def order_of_a_deaf_worker(crew: Crew, session: Session) -> None:
    """It says that the source is silent, as it has not heard the newest packets."""

    async def links() -> list[LinkMessage]:
        return [each for each in await crew.until(LinkMessage, 1) if isinstance(each, LinkMessage)]

    async def lost() -> int:
        return [each.event for each in await links()].count("lost")

    await crew.send(1)
    await asyncio.to_thread(session.hops_before, 0, 1.0)  # all before it is computed
    before = await lost()
    await publish(crew.bus, input_subject("a.b"), pack(Order("lost", 1)))
    session.report_recording("told after it")
    while "told after it" not in [each.detail for each in await links()]:
        await asyncio.sleep(0.01)
    assert await lost() == before


async def moved(first: Gateway, second: Gateway) -> None:
    """A recording moves, and only one of two gateways writes it."""
    while not second.recordings.running:
        await asyncio.sleep(0.01)
    assert not first.recordings.running


async def all_received(gateways: list[Gateway], packets: int) -> None:
    """All gateways get the signal of so many packets."""
    for gateway in gateways:
        session = await gateway.sessions.find("a.b")
        assert session is not None
        while (session.check_open().expected or 0) < 12 * packets:
            await asyncio.sleep(0.01)


def check_predictions(crew: Crew, path: str) -> None:
    """They are those of a decoder that nobody cuts off."""
    whole = packet(0, 0, 12 * crew.sent).chunk
    offline = StreamingDecoder(load_checkpoint(path), INFO).feed(whole)
    for found, made in zip(crew.told.predictions(), offline, strict=False):
        assert (found.index, found.status) == (made.index, made.status)
        for output, shares in (made.outputs or {}).items():
            assert (found.outputs or {})[output] == pytest.approx(shares, abs=1e-6)


def test_nothing_is_lost_or_doubled_over_a_partition(tmp_path: Path) -> None:
    """Another worker takes over, the cut-off one is refused; another gateway goes on recording."""
    random_checkpoint(tmp_path)
    path = str(tmp_path / "random.safetensors")
    choice = ModelChoice(path, required=True)
    folder = tmp_path / "recordings"

    async def scene(url: str) -> None:
        async with bad_line(url, "nats") as to_worker, bad_line(url, "nats") as to_gateway:
            crew = Crew(choice, url=url, worker_url=to_worker.url)
            bus = await crew.connect()
            far = await NATSBus.connect(to_gateway.url)
            other: asyncio.Task[None] | None = None
            try:
                await crew.open()
                second = Worker(bus, choice)
                while place(SHARD, [crew.worker.name, second.name]) != crew.worker.name:
                    second = Worker(bus, choice)
                other = asyncio.create_task(second.run())
                gateways = [Gateway(each, choice, folder) for each in (far, await crew.connect())]
                recorded = await gateways[0].sessions.find("a.b")
                assert recorded is not None
                await asyncio.to_thread(gateways[0].recordings.start, recorded, "r", None, None)
                while len(crew.gateway.workers()) < 2:
                    await asyncio.sleep(0.01)
                await store_late_lease(bus, crew.worker, second)
                await order_of_a_deaf_worker(crew, recorded)
                sending = asyncio.create_task(send_on(crew))
                to_worker.flowing.clear()
                to_gateway.flowing.clear()
                while second._find("a.b") is None:
                    await asyncio.sleep(0.01)
                await crew.told.until_predicted(12 * crew.sent // 64)
                await moved(*gateways)
                to_worker.flowing.set()
                to_gateway.flowing.set()
                while second._find("a.b") is not None:  # it moves back
                    await asyncio.sleep(0.01)
                await crew.told.until_predicted(12 * crew.sent // 64)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                await all_received(gateways, crew.sent)
                with pytest.raises(RecordingRefused, match="written by another service"):
                    await asyncio.to_thread(gateways[0].recordings.stop, "r", False)
                info = await asyncio.to_thread(gateways[1].recordings.stop, "r", False)
                assert (info.state, info.reason) == ("finished", None)
                check_predictions(crew, path)
                for gateway in gateways:
                    await gateway.end()
            finally:
                to_worker.flowing.set()
                to_gateway.flowing.set()
                if other is not None:
                    other.cancel()
                    await asyncio.gather(other, return_exceptions=True)
                await far.close()
                await crew.close()

    with running(tmp_path / "store") as server:
        run(lambda: scene(server.url))
    found = load_recorded(folder / "r.xdf")
    assert np.array_equal(found.index, found.index[0] + np.arange(len(found.index)))
    assert compare(found, load_checkpoint(path)).difference is None
