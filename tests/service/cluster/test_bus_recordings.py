"""Recordings over the bus: another worker, and another recorder, go on with them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.service.bus.in_process import InProcessBus
from mimamba.service.cluster.bus_recordings import BusRecordings
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.recordings.recordings import RecordingTaken
from mimamba.service.recordings.verify import compare, load_recorded
from mimamba.service.sessions.registry import ModelChoice
from mimamba.service.stream.hub import Hub
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import run
from tests.service.models import random_checkpoint


class Gateway:
    """A gateway that records to a folder."""

    def __init__(self, crew: Crew, choice: ModelChoice, folder: Path) -> None:
        self.bus = InProcessBus(crew.exchange)
        self.sessions = BusSessions(Hub(), choice, self.bus)
        self.recordings = BusRecordings(folder, self.bus, self.sessions.name, self.sessions.find)
        self._tasks = [
            asyncio.create_task(self.sessions.run()),
            asyncio.create_task(self.recordings.run()),
        ]

    async def kill(self) -> None:
        """Leave the bus and the file as a process that is killed: what it still writes is lost."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for _, recorder in self.recordings._running.values():
            os.dup2(nowhere, recorder._writer._file)  # the lock goes with the file
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
    random_checkpoint(tmp_path)
    path = str(tmp_path / "random.safetensors")
    choice = ModelChoice(path, required=True)
    folder = tmp_path / "recordings"

    async def scene() -> None:
        crew = Crew(choice)
        try:
            await crew.open()
            gateways = [Gateway(crew, choice, folder) for _ in range(2)]
            first, second = gateways
            session = await first.sessions.find("a.b")
            assert session is not None
            await asyncio.to_thread(first.recordings.start, session, "r", None, None)
            twin = await second.sessions.find("a.b")
            assert twin is not None
            for recordings, each in ((first.recordings, session), (second.recordings, twin)):
                with pytest.raises(RecordingTaken, match="already recorded to r"):
                    await asyncio.to_thread(recordings.start, each, "s", None, None)
            await crew.send(100)
            await crew.replace_worker()
            await crew.send(100)
            session.add_marker(ReceivedMarker(1000 + 3000.2 / 256, "here", "test"))
            await asyncio.sleep(2.5)  # until the place in the file is on the bus
            await crew.send(60)
            await first.kill()
            while not second.recordings.running:
                await asyncio.sleep(0.02)
            await crew.send(100)
            await crew.told.until_predicted((12 * 460 - 1) // 64 - 1)
            info = await asyncio.to_thread(second.recordings.stop, "r")
            assert (info.state, info.reason) == ("finished", None)
            await asyncio.to_thread(second.recordings.check_not_recorded, twin)
            for gateway in gateways:
                await gateway.end()
        finally:
            await crew.close()

    run(scene)
    recorded = load_recorded(folder / "r.xdf")
    verdict = compare(recorded, load_checkpoint(path))
    assert verdict.difference is None
    assert verdict.confirmed > 60
    assert len(recorded.index) > 4000
    assert np.array_equal(recorded.index, 1200 + np.arange(len(recorded.index)))
