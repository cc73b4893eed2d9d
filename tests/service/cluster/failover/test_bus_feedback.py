"""Feedback over a real NATS server: its worker and then its gateway die, and it goes on."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from mimamba.drivers.formats.read import read_recording
from mimamba.service.bus.bus import publish
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.cluster.failover.bus_feedback import BusFeedback, BusFeedbackState
from mimamba.service.cluster.failover.bus_recordings import BusRecordings
from mimamba.service.cluster.subjects import feedback_key, pack, recording_key
from mimamba.service.feedback.feedback_runs import NoFeedback
from mimamba.service.feedback.live_feedback import LiveFeedback
from mimamba.service.feedback.sham_course import load_course
from mimamba.service.feedback.wanted_feedback import WantedFeedback
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.recording_contents.feedback_log import read_feedback_log
from mimamba.service.recordings.recordings import RecordingRefused
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.session import Session
from tests.service.bus.nats_server import running
from tests.service.cluster.failover.test_bus_recordings import Gateway
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import run
from tests.service.feedback.test_feedback_runs import ALPHA, record
from tests.service.models import random_checkpoint

BLIND = WantedFeedback("band/alpha", "above", 0.0, 0.0, "sham", ("other",), True)
KEY = feedback_key("a.b")
REAL = WantedFeedback("band/alpha", "above", 0.0, 0.0, "real")


class FeedbackGateway(Gateway):
    """A gateway that gives feedback."""

    def give(self) -> BusFeedback:
        name, find = self.sessions.name, self.sessions.find
        self.feedback = BusFeedback(self.recordings, self.bus, name, find)
        self._tasks.append(asyncio.create_task(self.feedback.run()))
        return self.feedback

    async def kill(self) -> None:
        for each in self.feedback._live.values():
            each.leave()  # a process that is killed logs nothing any more
        await super().kill()


def entries_of(session: Session, run: str) -> list[FeedbackEntry]:
    """The states of feedback that a gateway has been told."""
    log = session.check_open().feedback
    found = [each for _, each in log.read(log.oldest, log.next) if isinstance(each, FeedbackEntry)]
    return [each for each in found if each.id == run]


async def shown(session: Session, run: str, number: int) -> list[float]:
    """Wait until this many values of feedback are shown."""
    while True:
        values = [each.state.value for each in entries_of(session, run)]
        if len(found := [each for each in values if each is not None]) >= number:
            return found
        await asyncio.sleep(0.01)


def has_log(recordings: BusRecordings) -> bool:
    """Return whether the place in the file that is on the bus is after the begin of the log."""
    state = recordings._keys.of(recording_key("a.b"))
    return state is not None and state.position is not None and state.position.feedback is not None


async def taken_over(feedback: BusFeedback, session: Session) -> LiveFeedback:
    """Wait until feedback is here."""
    while True:
        try:
            return feedback.of(session)
        except NotNow:
            await asyncio.sleep(0.01)


async def begun(
    gateway: FeedbackGateway, session: Session
) -> tuple[LiveFeedback, BusFeedbackState]:
    """New feedback, and what the bus says of it."""
    live = await asyncio.to_thread(gateway.feedback.begin, session, REAL)
    while (state := gateway.feedback._keys.of(KEY)) is None or state.id != live.id:
        await asyncio.sleep(0.01)
    return live, state


async def end_elsewhere(gateway: FeedbackGateway, session: Session) -> None:
    """Feedback of a slow gateway is ended by another, which cannot stop the recording."""
    live, state = await begun(gateway, session)
    assert gateway.recordings.running
    await publish(gateway.bus, KEY, pack(msgspec.structs.replace(state, gateway="x")), only=True)
    while live.going_on:
        await asyncio.sleep(0.01)
    await publish(gateway.bus, KEY, b"", only=True)
    while gateway.recordings.running:
        await asyncio.sleep(0.01)


async def end_unheard(gateway: FeedbackGateway, session: Session) -> None:
    """Feedback that has ended neither goes on nor blocks where the bus stores its place late."""
    live, state = await begun(gateway, session)
    await asyncio.to_thread(live.stop)
    await publish(gateway.bus, KEY, pack(state), only=True)
    while (await gateway.bus.newest(KEY))[0].payload:
        await asyncio.sleep(0.01)
    assert gateway.feedback.of(session) is live
    assert gateway.feedback.entry_of(session).state.reason == "stopped on request"


def test_feedback_goes_on(tmp_path: Path) -> None:
    random_checkpoint(tmp_path)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)
    folder = tmp_path / "recordings"
    folder.mkdir()
    record(folder / "other.xdf", 30)
    course = load_course(folder / "other.xdf", ALPHA, "band/alpha")

    async def scene(url: str) -> None:
        crew = Crew(choice, url=url)
        try:
            await crew.open()
            crew.send_always()
            made = [FeedbackGateway(await crew.connect(), choice, folder) for _ in range(2)]
            one, other = [await each.sessions.find("a.b") for each in made]
            assert one is not None
            assert other is not None
            first, second = [each.give() for each in made]
            with pytest.raises(NoFeedback):
                second.entry_of(other)
            live = await asyncio.to_thread(first.begin, one, BLIND)
            name = live.entry().state.recording
            await shown(other, live.id, 3)
            assert second.entry_of(other).id == live.id
            for refused in (lambda: second.of(other), lambda: second.begin(other, REAL)):
                with pytest.raises(NotNow, match="at another service"):
                    await asyncio.to_thread(refused)
            await crew.replace_worker()
            await shown(other, live.id, 6)
            while not has_log(made[1].recordings):
                await asyncio.sleep(0.01)
            before = await shown(other, live.id, 1)
            await made[0].kill()
            again = await taken_over(second, other)
            assert (again.id, live.going_on) == (live.id, False)
            with pytest.raises(RecordingRefused, match="still in progress"):
                made[1].recordings.file(name)  # nothing is told yet
            values = await shown(other, live.id, len(before) + 4)
            assert {*values} <= {course.at(0.25 * n)[1] for n in range(240)}
            await asyncio.to_thread(again.stop)
            states = [each.state for each in entries_of(other, live.id)]
            assert {(each.blind, each.source, each.sham) for each in states} == {(True, None, None)}
            assert (states[-1].running, states[-1].reason) == (False, "stopped on request")
            (log,) = read_feedback_log(folder / f"{name}.xdf")  # it ended with the feedback
            assert (log.source, log.sham, log.among) == ("sham", "other", ["other"])
            assert (log.reason, log.passes) == ("stopped on request", 1)
            assert log.on > 0
            assert all(before[1] != after[1] for before, after in pairwise(log.switches))
            content = (folder / f"{name}.xdf").read_bytes()
            notes = [content.count(f'"event":"{each}"'.encode()) for each in ("begin", "end")]
            assert notes == [1, 1]
            marks = [each.label for each in read_recording(str(folder / f"{name}.xdf")).markers]
            assert marks == ["feedback begin band/alpha above 0, blind", "feedback end"]

            # It ends where the recordings for a sham are gone, and says nothing of what was drawn.
            lost = await asyncio.to_thread(second.begin, other, BLIND)
            (folder / "other.xdf").unlink()
            lost.leave()
            while second.entry_of(other).state.running:
                await asyncio.sleep(0.01)
            assert "could not read" in (second.entry_of(other).state.reason or "")
            while (await taken_over(second, other)).going_on:
                await asyncio.sleep(0.01)
            assert not made[1].recordings.running
            await end_elsewhere(made[1], other)
            await end_unheard(made[1], other)
            await asyncio.to_thread(second.close)
            await made[1].end()
        finally:
            await crew.close()

    with running(tmp_path / "store") as server:
        run(lambda: scene(server.url))
