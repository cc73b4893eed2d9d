"""A study over a real NATS server: its worker and then its gateway die, and it goes on."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from mimamba.service.bus.bus import publish
from mimamba.service.calibration.ratings import add_rating
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.cluster.failover.bus_studies import BusStudies
from mimamba.service.cluster.subjects import pack, study_key
from mimamba.service.feedback.allocations import Allocations
from mimamba.service.people.people import People
from mimamba.service.protocol.messages import MarkerMessage, StudyMessage
from mimamba.service.recording_contents.feedback_log import read_feedback_log
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.session import Session
from mimamba.service.studies.live_study import LiveStudy
from mimamba.service.studies.protocol_file import NoStudy
from tests.service.bus.nats_server import running
from tests.service.cluster.failover.test_bus_feedback import REAL, FeedbackGateway, taken_over
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import run
from tests.service.feedback.test_feedback_runs import record
from tests.service.models import random_checkpoint

STUDY = """
record = true
[feedback]
quantity = "band/alpha"
above = 0.0
values = "balanced"
recordings = ["other0", "other1", "other2"]
[[step]]
text = "One"
seconds = 0.2
marker = "one"
feedback = true
[[step]]
rating = true
[[step]]
text = "Press a key"
feedback = true
[[step]]
rating = true
seconds = 0.2
feedback = true
"""
LONG = "[[step]]\ntext = 'Rest'\nseconds = 600\n"
LABELS = {
    "study timed begin",
    "one",
    "step 2",
    "rating valence 70 arousal 30",
    "step 3",
    "step 4",
    "no rating in step 4",
    "study timed end",
}


class StudyGateway(FeedbackGateway):
    """A gateway that runs studies, and gives their feedback."""

    def lead(self, folder: Path, people: People) -> BusStudies:
        place = self.bus, self.sessions.name, self.sessions.find
        self.give()
        allocations = Allocations(people, folder / "allocations")
        self.studies = BusStudies(folder, self.recordings, *place, self.feedback, allocations)
        self._tasks.append(asyncio.create_task(self.studies.run()))
        return self.studies

    async def kill(self) -> None:
        for each in self.studies._live.values():
            each.leave()  # a process that is killed sets no marker any more
        await super().kill()


async def step_of(studies: BusStudies, session: Session, step: int) -> LiveStudy:
    """Wait until a study is here, and in this step."""
    while True:
        try:
            live = studies.of(session)
        except (NoStudy, NotNow):
            live = None
        if live is not None and live.entry().progress.step == step:
            return live
        await asyncio.sleep(0.01)


async def end_elsewhere(gateway: StudyGateway, session: Session) -> None:
    """A study of a slow gateway is ended by another, which cannot stop the recording."""
    studies, key = gateway.studies, study_key("a.b")
    live = await asyncio.to_thread(studies.begin, session, studies.protocols.get("kept"))
    while not gateway.recordings.running:
        await asyncio.sleep(0.01)
    while (state := gateway.studies._keys.of(key)) is None or state.recording is None:
        await asyncio.sleep(0.01)
    await publish(gateway.bus, key, pack(msgspec.structs.replace(state, gateway="x")))
    while live.going_on:
        await asyncio.sleep(0.01)
    await publish(gateway.bus, key, b"", only=True)
    while gateway.recordings.running:
        await asyncio.sleep(0.01)


def test_a_study_goes_on(tmp_path: Path) -> None:
    random_checkpoint(tmp_path)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)
    for name, text in {"timed": STUDY, "long": LONG}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.toml").write_text(text, encoding="utf-8")
    (tmp_path / "long" / "kept.toml").write_text(f"record = true\n{LONG}", encoding="utf-8")
    folder, people = tmp_path / "recordings", People(tmp_path / "people")
    folder.mkdir()
    record(folder / "other0.xdf", 30)
    for name in ("other1", "other2"):
        shutil.copy(folder / "other0.xdf", folder / f"{name}.xdf")
    people.add("P01")

    async def scene(url: str) -> None:
        crew = Crew(choice, url=url)
        try:
            await crew.open()
            crew.send_always()
            made = [StudyGateway(await crew.connect(), choice, folder, people) for _ in range(2)]
            one, other = [await each.sessions.find("a.b") for each in made]
            assert one is not None
            assert other is not None
            await asyncio.to_thread(one.set_person, "P01")
            first, second = [
                each.lead(tmp_path / name, people)
                for each, name in zip(made, ("timed", "long"), strict=True)
            ]
            with pytest.raises(NoStudy):
                second.entry_of(other)
            live = await asyncio.to_thread(first.begin, one, first.protocols.get("timed"))
            await step_of(first, one, 2)
            while (entry := second.entry_of(other)).progress.step != 2:
                await asyncio.sleep(0.01)
            assert entry.id == live.id
            assert entry.progress.recording is not None
            with pytest.raises(NotNow, match=r"goes on in .*, at another service"):
                await asyncio.to_thread(second.begin, other, second.protocols.get("long"))
            await crew.replace_worker()
            await asyncio.to_thread(live.answer, 2, lambda: add_rating(one, 70.0, 30.0))
            await step_of(first, one, 3)
            while (given := made[0].feedback.entry_of(one)).state.reason == "step 1 ended":
                await asyncio.sleep(0.01)
            with pytest.raises(NotNow, match="gives feedback itself"):
                await asyncio.to_thread(made[1].feedback.begin, other, REAL)
            await made[0].kill()
            again = await step_of(second, other, 3)
            assert (again.id, again.protocol) == (live.id, live.protocol)
            taken = await taken_over(made[1].feedback, other)
            assert (taken.id, taken.going_on) == (given.id, True)
            with pytest.raises(NotNow, match="gives feedback itself"):
                await asyncio.to_thread(made[1].feedback.begin, other, REAL)
            with pytest.raises(NotNow, match="Answer there"):
                live.answer(3, None)
            again.answer(3, None)
            while again.going_on:
                await asyncio.sleep(0.01)
            done = again.entry().progress
            assert (done.phase, done.reason) == ("done", None)
            found = made[1].recordings.get(entry.progress.recording)
            assert (found.state, found.reason) == ("finished", None)
            content = (folder / f"{found.name}.xdf").read_bytes()
            told_once = LABELS - {"one", "step 3", "step 4"}  # these end feedback, too
            assert {content.count(each.encode()) for each in told_once} == {1}
            logs = read_feedback_log(folder / f"{found.name}.xdf")
            assert [each.reason for each in logs] == [f"step {n} ended" for n in (1, 3, 4)]
            assert live._feedback is not None
            drawn = live._feedback.assignment  # once, for all steps and both gateways
            assert {(each.source, each.sham) for each in logs} == {(drawn.source, drawn.sham)}
            assert people.get("P01").arms == {"timed": drawn.source}

            brief = await asyncio.to_thread(second.begin, other, second.protocols.get("long"))
            await asyncio.to_thread(brief.stop)
            assert brief.entry().progress.phase == "stopped"
            await end_elsewhere(made[1], other)

            told = await crew.until(MarkerMessage, len(LABELS) + 8)
            labels = Counter(each.label for each in told if isinstance(each, MarkerMessage))
            assert {*labels} >= LABELS
            assert {labels[each] for each in LABELS} == {1}
            steps = [
                each.progress.step
                for each in await crew.until(StudyMessage, 6)
                if isinstance(each, StudyMessage) and each.id == live.id
            ]
            assert steps == sorted(steps)  # what goes on is told again
            assert {*steps} == {0, 1, 2, 3, 4}
            await asyncio.to_thread(second.close)
            await made[1].end()
        finally:
            await crew.close()

    with running(tmp_path / "store") as server:
        run(lambda: scene(server.url))
