"""Recordings over a real NATS server: another worker, and another recorder, go on with them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mimamba.drivers.formats.xdf.chunk_writer import FilePosition
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.models.personal.features import SIGNAL
from mimamba.service.bus.bus import Bus
from mimamba.service.cluster.failover.bus_recordings import BusRecordings
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.people.people import People
from mimamba.service.recordings.recorder import RecorderPosition
from mimamba.service.recordings.recordings import RecordingTaken
from mimamba.service.recordings.result_streams import ResultNumbers
from mimamba.service.recordings.verify import compare, load_recorded, verify_personal
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.stream.hub import Hub
from tests.service.bus.nats_server import running
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import LIGHT, TURNED, run
from tests.service.models import random_checkpoint
from tests.service.recordings.test_recorder import load
from tests.service.served_heads import served_head


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
    numbers = ResultNumbers(3, 4, None)
    place = RecorderPosition(
        FilePosition(10, ()), "a", {"signal": 3}, 5, 0, 1, 2, numbers, {}, None, None
    )
    noted = msgspec.to_builtins(place)
    for later in ("heads", "sensors", "feedback"):
        del noted[later]
    assert msgspec.convert(noted, RecorderPosition) == place
