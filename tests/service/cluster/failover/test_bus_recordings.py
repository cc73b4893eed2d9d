"""Recordings over a real NATS server: another worker, and another recorder, go on with them."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mimamba.drivers.formats.xdf.chunk_writer import FilePosition
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.models.personal.features import SIGNAL
from mimamba.service.bus.bus import Bus, publish
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.cluster.failover.bus_recordings import (
    BusRecordings,
    RecordingLease,
    RecordingState,
    asked_for,
)
from mimamba.service.cluster.failover.watched_keys import HeldKey, NotedKey
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.cluster.subjects import pack, recording_key
from mimamba.service.people.people import People
from mimamba.service.recordings.recorder import RecorderPosition
from mimamba.service.recordings.recordings import RecordingTaken
from mimamba.service.recordings.result_streams import ResultNumbers
from mimamba.service.recordings.sidecar import load_sidecar
from mimamba.service.recordings.verify import compare, load_recorded, verify_personal
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.session import Session
from mimamba.service.stream.hub import Hub
from tests.service.bus.nats_server import running
from tests.service.cluster.failover.test_run_keys import find
from tests.service.cluster.failover.test_watched_keys import SilentBus
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import LIGHT, TURNED, run
from tests.service.models import random_checkpoint
from tests.service.recordings.test_recorder import load
from tests.service.scripted import staged
from tests.service.served_heads import served_head

PLACE = RecorderPosition(
    FilePosition(10, ()), "a", {"signal": 3}, 5, 0, 1, 2, ResultNumbers(3, 4, None), {}, None, None
)


class Gateway:
    """A gateway that records to a folder."""

    def __init__(
        self, bus: Bus, choice: ModelChoice, folder: Path, people: People | None = None
    ) -> None:
        self.bus = bus
        self.sessions = BusSessions(Hub(), choice, bus, people)
        self.recordings = BusRecordings(folder, bus, self.sessions.name, self.sessions.find)
        self._tasks = [
            asyncio.create_task(self.sessions.run()),
            asyncio.create_task(self.recordings.run()),
        ]

    async def kill(self) -> None:
        """Leave the bus and the file as a process that is killed: what it still writes is lost."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for _, recorder in self.recordings._running.values():
            os.dup2(nowhere, recorder._writer._file)  # the lock goes with the file
            recorder._on_end = lambda _: None  # else it would note an end of its own
        os.close(nowhere)
        await self.bus.close()
        for each in self._tasks:
            each.cancel()

    async def end(self) -> None:
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self.recordings.close)
        await self.sessions.close_all()


def test_a_recording_goes_on(tmp_path: Path) -> None:
    """It holds all samples, those of sensors included, predictions, and outputs of two heads.

    One of them has the model's hops, and began before the recording.
    """
    random_checkpoint(tmp_path, signal=SIGNAL)
    path = str(tmp_path / "random.safetensors")
    choice = ModelChoice(path, required=True)
    folder = tmp_path / "recordings"

    async def scene(url: str) -> None:
        crew = Crew(choice, People(tmp_path / "people"), url)
        try:
            session = await crew.open()
            await asyncio.to_thread(session.set_head, served_head())
            await crew.send(40)
            gateways = [Gateway(await crew.connect(), choice, folder) for _ in range(2)]
            first, second = gateways
            recorded = await first.sessions.find("a.b")
            assert recorded is not None
            await asyncio.to_thread(first.recordings.start, recorded, "r", None, None)
            twin = await second.sessions.find("a.b")
            assert twin is not None
            for recordings, each in ((first.recordings, recorded), (second.recordings, twin)):
                with pytest.raises(RecordingTaken, match="already recorded to r"):
                    await asyncio.to_thread(recordings.start, each, "s", None, None)
            await crew.send(80)
            await crew.replace_worker()
            await crew.send(80)
            session.add_marker(ReceivedMarker(1000 + 3000.2 / 256, "here", "test"))
            await asyncio.sleep(2.5)  # until the place in the file is on the bus
            await crew.send(60)
            await first.kill()
            while not second.recordings.running:
                await asyncio.sleep(0.02)
            await crew.send(40)
            await asyncio.to_thread(session.set_head, served_head())
            await crew.send(60)
            await crew.told.until_predicted(12 * 460 // 256 - 1)
            while (twin.check_open().expected or 0) < 12 * crew.sent:
                await asyncio.sleep(0.01)
            twin.add_marker(ReceivedMarker(1000 + 5500 / 256, "just before the end", "test"))
            info = await asyncio.to_thread(second.recordings.stop, "r")
            assert (info.state, info.reason) == ("finished", None)
            await asyncio.to_thread(second.recordings.check_not_recorded, twin)
            for gateway in gateways:
                await gateway.end()
        finally:
            await crew.close()

    with running(tmp_path / "store") as server:
        run(lambda: scene(server.url))
    recorded = load_recorded(folder / "r.xdf")
    verdict = compare(recorded, load_checkpoint(path))
    assert verdict.difference is None
    assert verdict.confirmed >= 14
    assert np.array_equal(recorded.index, 12 * 140 + np.arange(12 * 320))
    assert len(recorded.personal) == 2
    assert verify_personal(recorded)
    streams = load(folder / "r.xdf")
    labels = [label for [label] in streams["test"]["time_series"]]
    assert labels == ["here", "just before the end"]
    for kind, sent in (("PPG", LIGHT), ("GYRO", TURNED)):
        found = streams[kind]["time_series"]
        np.testing.assert_array_equal(found, sent[3 * 140 : 3 * 460])
    assert len(streams["HeartRate"]["time_series"]) == 3 * 460 // 64 - 3 * 140 // 64


def test_a_place_that_an_older_version_noted_is_read() -> None:
    noted = msgspec.to_builtins(PLACE)
    for later in ("heads", "sensors", "feedback"):
        del noted[later]
    assert msgspec.convert(noted, RecorderPosition) == PLACE


def test_a_file_of_the_same_name_in_another_folder_is_left_alone(tmp_path: Path) -> None:
    """Neither a gateway that is slow nor one that is gone loses its recording to a namesake."""

    async def scene(session: Session) -> None:
        bus = InProcessBus(Exchange())
        await bus.answer("there")
        bus.connected_since = -math.inf  # so nobody has renewed a key for long
        here = BusRecordings(tmp_path / "here", bus, "here", find)
        there = BusRecordings(tmp_path / "there", bus, "there", find)
        for each in (here, there):
            await asyncio.to_thread(each.start, session, "baseline", None, None)
            await asyncio.to_thread(each.stop, "baseline", False)
        own = load_sidecar(tmp_path / "here" / "baseline.xdf")
        foreign = replace(own, session="other", state="recording")
        for gateway in ("there", "gone"):
            assert await here._is_left(RecordingState(gateway, own))
            for namesake in (foreign, replace(own, started="2026-01-01T00:00:00+00:00")):
                assert not await here._is_left(RecordingState(gateway, namesake))
        assert await here._is_left(RecordingState("here", foreign))  # it could not begin
        key = recording_key(session.name)
        left = replace(foreign, session=session.name, started=None)
        await publish(bus, key, pack(RecordingState("gone", left)), only=True)
        await asyncio.to_thread(here.check_not_recorded, session)

    with staged(None) as stage:
        asyncio.run(scene(stage.session))


def test_a_recorder_without_the_bus_goes_on_until_another_gateway_asks(tmp_path: Path) -> None:
    path = tmp_path / "r.xdf"

    async def scene() -> None:
        bus = SilentBus(Exchange())
        key = HeldKey(bus, asyncio.get_running_loop(), recording_key("a"), 0)
        lease = RecordingLease(key, lambda _: RecordingState("here", load_sidecar(path)), path)
        assert await asyncio.to_thread(lease.renew, PLACE)
        bus.silent = True
        assert await asyncio.to_thread(lease.renew, PLACE)
        asked_for(path).touch()
        assert not await asyncio.to_thread(lease.renew, PLACE)
        bus.silent = False
        assert await asyncio.to_thread(lease.renew, PLACE)
        assert not asked_for(path).exists()
        asked_for(path).touch()
        await asyncio.to_thread(lease.give_up)
        assert not asked_for(path).exists()

    asyncio.run(scene())


def test_nothing_is_left_of_what_a_gateway_asked(tmp_path: Path) -> None:
    """Its name may name a person."""
    asked = asked_for(tmp_path / "r.xdf")

    async def scene(session: Session) -> None:
        bus = InProcessBus(Exchange())
        recordings = BusRecordings(tmp_path, bus, "here", find)
        asked.touch()
        await asyncio.to_thread(recordings.start, session, "r", None, None)
        assert not asked.exists()
        asked.touch()
        await asyncio.to_thread(recordings.stop, "r", False)
        assert not asked.exists()
        asked.touch()
        key = recording_key(session.name)
        state = RecordingState("gone", load_sidecar(tmp_path / "r.xdf"))
        sequence = await publish(bus, key, pack(state), only=True)
        await recordings._take_over(NotedKey(key, sequence, state))
        assert [each.payload for each in await bus.newest(key)] == [b""]
        assert not asked.exists()
        asked.touch()
        await asyncio.to_thread(recordings.delete, "r", "r")
        assert not list(tmp_path.iterdir())

    with staged(None) as stage:
        asyncio.run(scene(stage.session))
