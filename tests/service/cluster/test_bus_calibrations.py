"""Calibrations and ratings over a real NATS server: they go on with another worker or gateway."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimamba.service.calibration.calibrations import CalibrationRefused, Calibrations
from mimamba.service.calibration.live_calibration import SOURCE, LiveCalibration
from mimamba.service.calibration.plan import CalibrationPlan, complete_plan
from mimamba.service.calibration.ratings import add_rating, ratings_of
from mimamba.service.calibration.sittings import CannotCalibrate, read_frames
from mimamba.service.people.people import People
from mimamba.service.protocol.messages import CalibrationMessage, MarkerMessage, RatingMessage
from mimamba.service.sessions.model_choice import ModelChoice
from tests.service.bus.nats_server import running
from tests.service.cluster.failover.test_bus_recordings import Gateway
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import DATA, run
from tests.service.models import random_checkpoint

PLAN = complete_plan(
    CalibrationPlan(contrast="calm-strained", pairs=4, seconds=6, rest=10, cue=1, pause=1)
)


async def live_on(crew: Crew, live: LiveCalibration, phase: str, block: int) -> None:
    """Send signal until the calibration is in this phase of this block."""
    while (live.progress.phase, live.progress.block) != (phase, block):
        await crew.send(20)
        while (live.session.check_open().expected or 0) < 12 * crew.sent:
            await asyncio.sleep(0.005)


async def rate(live: LiveCalibration) -> None:
    def rate_block() -> None:
        with live.session.between_chunks():
            live.rate(50.0, 80.0, None)

    await asyncio.to_thread(rate_block)


def test_a_calibration_goes_on(tmp_path: Path) -> None:
    random_checkpoint(tmp_path)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)
    folder = tmp_path / "people"
    told: list[Any] = []

    async def scene(url: str) -> LiveCalibration:
        crew = Crew(choice, People(folder), url)
        try:
            await crew.open()
            gateways = [
                Gateway(await crew.connect(), choice, tmp_path / "recordings", People(folder))
                for _ in range(2)
            ]
            calibrations = [Calibrations(People(folder), folder) for _ in gateways]
            one, other = [await each.sessions.find("a.b") for each in gateways]
            assert one is not None
            assert other is not None
            live = await asyncio.to_thread(calibrations[0].begin, one, "P01", PLAN)
            await live_on(crew, live, "block", 1)
            assert one.subject.person == "P01"
            while other.subject.person != "P01":
                await asyncio.sleep(0.01)
            with pytest.raises(CalibrationRefused, match="another service has one there"):
                await asyncio.to_thread(calibrations[1].begin, other, "P02", PLAN)
            with pytest.raises(CannotCalibrate, match="another service goes on with it"):
                calibrations[1].sittings.open_signal(live.record)
            await crew.replace_worker()
            await live_on(crew, live, "rating", 1)
            await rate(live)
            await live_on(crew, live, "block", 2)
            await gateways[0].end()
            assert live.progress.phase == "stopped"
            await asyncio.to_thread(calibrations[0].close)
            heard = other.check_open().calibration
            while "stopped" not in str(heard.read(heard.next - 1, heard.next)):
                await asyncio.sleep(0.01)
            again = await asyncio.to_thread(calibrations[1].begin, other, "P01", PLAN)
            assert (again.record.id, again.record.resumed) == (live.record.id, 1)
            await live_on(crew, again, "rating", 2)
            await rate(again)
            entry = await asyncio.to_thread(add_rating, other, 71.0, 64.5)
            assert entry.outputs is not None
            given = [(each.valence, each.arousal) for _, each in ratings_of(other)]
            assert given == [(50.0, 80.0), (50.0, 80.0), (71.0, 64.5)]
            again.stop()
            await asyncio.to_thread(calibrations[1].close)
            told.extend(await crew.until(RatingMessage, 3))
            markers = await crew.until(MarkerMessage, 5)
            while "rating valence 71 arousal 64.5" not in str(markers[-1]):
                markers = await crew.until(MarkerMessage, len(markers) + 1)
            told.extend(markers)
            told.extend(await crew.until(CalibrationMessage, 20))
            await gateways[1].end()
            return again
        finally:
            await crew.close()

    found: list[LiveCalibration] = []

    async def whole() -> None:
        found.append(await scene(server.url))

    with running(tmp_path / "store") as server:
        run(whole)
    [live] = found
    marks = [each for each in told if isinstance(each, MarkerMessage) and each.source == SOURCE]
    words = [each.label.removeprefix(f"calibration {live.record.id} ") for each in marks]
    assert words[0] == "begin"
    assert "resumed" in words
    phases = [each.progress.phase for each in told if isinstance(each, CalibrationMessage)]
    assert {"rest", "cue", "block", "rating", "stopped"} <= {*phases}
    path = Calibrations(People(folder), folder).sittings.signal_path(live.record)
    parts = list(read_frames(path, 4))
    jumps = [a[1] + len(a[2]) != b[1] for a, b in pairwise(parts)]
    border = jumps.index(True) + 1
    begin, resumed = (marks[words.index(each)].index for each in ("begin", "resumed"))
    for at, part in ((begin, parts[:border]), (resumed, parts[border:])):
        signal = np.concatenate([data for *_, data in part])
        assert len(signal) > 5 * 256
        sent = DATA[np.arange(at, at + len(signal)) % len(DATA)]
        np.testing.assert_array_equal(signal, sent)
