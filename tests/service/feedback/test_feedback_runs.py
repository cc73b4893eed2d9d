"""Feedback for studies in a running service: real, sham, drawn; its log; its ends."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk
from mimamba.drivers.formats.read import read_recording
from mimamba.models.signal.measures import BandPower, ChannelQuality, Quality
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.feedback.feedback_runs import FeedbackRuns, NoFeedback
from mimamba.service.feedback.sham_course import load_course
from mimamba.service.feedback.wanted_feedback import FeedbackChoice, WantedFeedback
from mimamba.service.people.people import People
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.messages import (
    FeedbackMessage,
    MarkerMessage,
    Position,
    StudyMessage,
    Subscribe,
)
from mimamba.service.recording_contents.feedback_log import read_feedback_log
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.rules.recorded_values import NothingToWatch
from mimamba.service.rules.rule_file import Watched
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.cli.test_main import invoke
from tests.service.live import Live, bearer, live, talk
from tests.service.scripted import INFO, staged

FEEDBACK = "/v1/sessions/simulate-1/feedback"
ALPHA = Watched("band", "alpha")


BALANCED = """
record = true
[feedback]
quantity = "band/alpha"
above = 0.0
values = "balanced"
recordings = ["other"]
block = 2
[[step]]
text = "Press a key"
[[step]]
text = "Follow the disc"
seconds = 1
feedback = true
[[step]]
text = "Rest"
seconds = 0.1
"""


def record(path: Path, seconds: int) -> None:
    """A recording of noise with band power, made at once."""
    rng = np.random.default_rng(seconds)
    with staged(None) as stage:
        recorder = Recorder(path, stage.session, lambda _: None)
        recorder.start()
        for at in range(0, 256 * seconds, 256):
            data = rng.normal(0, 20, (256, 4)).astype(np.float32)
            stage.play(Chunk(data, 500 + np.arange(at, at + 256) / 256, at))
        recorder.stop()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, seconds in {"short": 8, "other": 30}.items():
        record(folder / f"{name}.xdf", seconds)
    (folder / "foreign.xdf").write_bytes(b"no XDF")
    (folder / "studies").mkdir()
    (folder / "studies" / "trial.toml").write_text(BALANCED, "utf-8")
    long = BALANCED.replace("balanced", "drawn").replace("block = 2", "")
    (folder / "studies" / "long.toml").write_text(long.replace("seconds = 1", "seconds = 600"))
    return folder


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[Live]:
    with live(
        "simulate://?scenario=calm", model="none", data_dir=data, token=CONTROL, view_token=VIEW
    ) as service:
        service.opened("simulate-1")
        yield service


def ask(service: Live, **wanted: object) -> tuple[int, dict[str, Any]]:
    answer = service.http.post(FEEDBACK, json={"quantity": "band/alpha", "at": 0.0, **wanted})
    return answer.status_code, answer.json()


async def hear_value(service: Live, run: str) -> list[FeedbackMessage]:
    """All states of the feedback up to the third one with a value."""
    async with talk(service.url, headers=bearer(VIEW)) as client:
        topics = Subscribe("simulate-1", ["feedback", "marker"], Position("", {}))
        await client.say(topics)
        for _ in range(3):
            await client.find(
                FeedbackMessage, lambda each: each.id == run and each.state.value is not None
            )
        heard = [each for each in client.heard if isinstance(each, FeedbackMessage)]
        return [each for each in heard if each.id == run]


async def hear_study(service: Live, session: str) -> list[tuple[int, bool]]:
    """All steps of a study that has ended, and if they give feedback."""
    async with talk(service.url, headers=bearer(VIEW)) as client:
        await client.say(Subscribe(session, ["study"], Position("", {})))
        await client.find(StudyMessage, lambda each: each.progress.phase == "done")
        heard = [each.progress for each in client.heard if isinstance(each, StudyMessage)]
        return sorted({(each.step, each.feedback) for each in heard if each.phase != "done"})


def log_of(service: Live, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.http.get(f"/v1/recordings/{name}/feedback").json()
    return found


def test_a_sham_shows_another_recording(service: Live, data: Path) -> None:
    status, begun = ask(service, source="sham", recordings=["other"])
    assert status == 201, begun
    assert (begun["state"]["source"], begun["state"]["sham"]) == ("sham", "other")
    assert ask(service, source="real")[0] == 409
    heard = asyncio.run(hear_value(service, begun["id"]))
    course = load_course(data / "other.xdf", ALPHA, "band/alpha")
    shown = [each.state.value for each in heard if each.state.value is not None]
    possible = {course.at(0.25 * n)[1] for n in range(120)}
    assert set(shown) <= possible
    assert all(each.state.on for each in heard if each.state.value is not None)
    assert all("noted" not in repr(each) for each in heard)
    ended = service.http.delete(FEEDBACK).json()["state"]
    assert (ended["running"], ended["reason"]) == (False, "stopped on request")
    name = ended["recording"]  # it began and ended with the feedback
    assert service.http.get(f"/v1/recordings/{name}").json()["state"] == "finished"
    [run] = log_of(service, name)
    assert (run["source"], run["sham"], run["chosen"]) == ("sham", "other", "sham")
    assert run["sham_from"] == course.first
    assert "on" in [each[1] for each in run["switches"]]
    assert 0 < run["on"] <= run["ended"] - run["began"]
    markers = read_recording(str(data / f"{name}.xdf")).markers
    labels = [each.label for each in markers if each.source == "feedback"]  # not the simulator's
    assert labels == ["feedback begin band/alpha above 0, sham", "feedback end"]
    table = invoke("recordings", "--data-dir", str(data), "feedback", name, "--json")
    assert json.loads(table.stdout) == run
    assert "sham: other" in invoke("recordings", "--data-dir", str(data), "feedback", name).stdout


def test_recordings_for_a_sham_have_its_quantity(service: Live, data: Path) -> None:
    def offered(quantity: str) -> set[str]:
        answer = service.http.get("/v1/sham-recordings", params={"quantity": quantity})
        return {each["name"] for each in answer.raise_for_status().json()}

    assert {"other", "short"} <= offered("band/alpha") == offered("band/theta/TP9")
    assert "foreign" not in offered("band/alpha")
    changed = data / "changed.xdf"
    shutil.copy(data / "other.xdf", changed)
    assert "changed" in offered("band/alpha")
    changed.write_bytes(b"no XDF")
    assert "changed" not in offered("band/alpha")
    changed.unlink()
    assert offered("band/alpha/Cz") == offered("valence/high") == offered("personal/calm") == set()
    refused = service.http.get("/v1/sham-recordings?quantity=link/lost")
    assert (refused.status_code, "band/BAND/ELECTRODE" in refused.text) == (422, True)


def test_a_draw_is_told_to_nobody_before_the_recording_has_ended(service: Live) -> None:
    service.http.post(
        "/v1/recordings", json={"session": "simulate-1", "name": "blinded"}
    ).raise_for_status()
    status, begun = ask(service, source="drawn", recordings=["other"])
    assert status == 201, begun
    heard = asyncio.run(hear_value(service, begun["id"]))
    for state in (begun["state"], service.http.get(FEEDBACK).json()["state"]):
        assert (state["blind"], state["source"], state["sham"]) == (True, None, None)
        assert state["recording"] == "blinded"
    assert {(each.state.source, each.state.sham) for each in heard} == {(None, None)}
    assert service.http.get("/v1/recordings/blinded/feedback").status_code == 409
    service.http.post("/v1/recordings/blinded/stop").raise_for_status()
    service.until(lambda: not service.http.get(FEEDBACK).json()["state"]["running"])
    ended = service.http.get(FEEDBACK).json()["state"]
    assert ended["reason"] == "the recording blinded ended"
    [run] = log_of(service, "blinded")
    assert run["source"] in ("real", "sham")
    assert (run["sham"] == "other") is (run["source"] == "sham")
    assert (run["chosen"], run["among"], run["reason"]) == ("drawn", ["other"], None)

    async def markers() -> list[str]:
        async with talk(service.url, headers=bearer(VIEW)) as client:
            await client.say(Subscribe("simulate-1", ["marker"], Position("", {})))
            await client.find(MarkerMessage, lambda each: each.label.endswith("blind"))
            return [each.label for each in client.heard if isinstance(each, MarkerMessage)]

    assert "feedback begin band/alpha above 0, blind" in asyncio.run(markers())


def test_who_may_only_view_is_not_told_afterwards(service: Live, data: Path) -> None:
    new = {"session": "simulate-1", "name": "secret", "person": "P01"}
    service.http.post("/v1/recordings", json=new).raise_for_status()
    assert ask(service, source="drawn", recordings=["other"])[0] == 201
    service.http.post("/v1/recordings/secret/stop").raise_for_status()
    assert service.http.get("/v1/recordings/secret").json()["feedback"] is True
    place, person = "/v1/recordings/secret", "/v1/people/P01/export"
    for unblinding in (f"{place}/file", person, f"{place}/feedback"):
        refused = service.http.get(unblinding, headers=bearer(VIEW))
        assert (refused.status_code, b'"source"' in refused.content) == (403, False)
        assert "control" in refused.json()["detail"]
        assert service.http.get(unblinding).status_code == 200
    # Whoever analyses it stays blind: an export and a report have no word of it.
    for analysed in (f"{place}/export?format=csv", f"{place}/export?format=edf", f"{place}/report"):
        answer = service.http.get(analysed, headers=bearer(VIEW))
        assert answer.status_code == 200
        assert not any(each in answer.content for each in (b"chosen", b"pass_seconds"))
    assert service.http.get("/v1/recordings/other/file", headers=bearer(VIEW)).status_code == 200
    # A recording from before this was noted is looked at, and so is one that was put there by hand.
    note = data / "secret.json"
    noted = json.loads(note.read_text("utf-8"))
    assert noted.pop("feedback") is True
    note.write_text(json.dumps(noted), "utf-8")
    shutil.copy(data / "secret.xdf", data / "given.xdf")
    for name in ("secret", "given"):
        path = f"/v1/recordings/{name}"
        assert service.http.get(f"{path}/file", headers=bearer(VIEW)).status_code == 403
        assert service.http.get(path).json()["feedback"] is True
    assert json.loads(note.read_text("utf-8"))["feedback"] is True
    (data / "given.xdf").unlink()
    content = (data / "secret.xdf").read_bytes()
    uploaded = service.http.post("/v1/uploads?name=again.xdf", content=content)
    assert (uploaded.status_code, uploaded.json()["feedback"]) == (201, True)
    # The log of a sham is a little longer.
    sizes = [
        service.http.get(place, headers=bearer(token)).json()["bytes"] for token in (CONTROL, VIEW)
    ]
    assert sizes == [len(content), -(-len(content) >> 20) << 20]


def begin_trial(service: Live, session: str) -> None:
    study = {"study": "trial"}
    service.http.post(f"/v1/sessions/{session}/study", json=study).raise_for_status()


def run_trial(service: Live, session: str) -> tuple[str, dict[str, Any]]:
    """Run the study that has begun; the name of its recording, and its only feedback."""
    study = f"/v1/sessions/{session}/study"
    service.until(lambda: service.http.get(study).json()["progress"]["step"] == 1)
    other = {"quantity": "band/alpha", "source": "real"}
    refused = service.http.post(f"/v1/sessions/{session}/feedback", json=other)
    assert refused.status_code == 409  # the study would find no room for its own
    assert "The study trial, which gives feedback itself, goes on in" in refused.text
    service.http.post(f"{study}/answers", json={"step": 1}).raise_for_status()
    service.until(lambda: service.http.get(study).json()["progress"]["phase"] == "done")
    recording = service.http.get(study).json()["progress"]["recording"]
    [run] = log_of(service, recording)
    return recording, run


class DrawnMeanwhile(People):
    """People of a folder in which another service draws while a person is exported."""

    def file_of(self, name: str) -> Path:
        self.store_arm(name, "elsewhere", "sham")
        return super().file_of(name)


def test_an_archive_with_what_was_drawn_meanwhile_is_sent_to_nobody(
    service: Live, data: Path
) -> None:
    app: Any = service.server.config.app
    running, path = app.state.running, "/v1/people/E1/export"
    running.people.add("E1")
    viewer = bearer(VIEW)
    assert service.http.get(path, headers=viewer).status_code == 200
    own, running.people = running.people, DrawnMeanwhile(data / "people")
    try:
        refused = service.http.get(path, headers=viewer)
    finally:
        running.people = own
    assert own.get("E1").arms == {"elsewhere": "sham"}
    assert (refused.status_code, b"elsewhere" in refused.content) == (403, False)
    assert service.http.get(path).status_code == 200  # to who may control


def test_a_study_gives_feedback_in_a_step_balanced_over_people(service: Live, data: Path) -> None:
    refused = service.http.post("/v1/sessions/simulate-1/study", json={"study": "trial"})
    assert (refused.status_code, "a session with a person" in refused.text) == (422, True)
    arms: dict[str, str] = {}
    for person in ("B1", "B2"):
        opened = {"source": "simulate://?scenario=calm", "model": "none", "id": person}
        service.http.post("/v1/sessions", json={**opened, "person": person}).raise_for_status()
        service.opened(person)
        if not arms:
            # A study that is refused draws nothing.
            service.http.post("/v1/recordings", json={"session": person, "name": "taken"})
            refused = service.http.post(f"/v1/sessions/{person}/study", json={"study": "trial"})
            assert (refused.status_code, "recorded to taken" in refused.text) == (409, True)
            assert not (data / "allocations").exists()
            service.http.post("/v1/recordings/taken/stop").raise_for_status()
        begin_trial(service, person)
        recording, run = run_trial(service, person)
        assert (run["chosen"], run["blind"], run["reason"]) == ("balanced", True, "step 2 ended")
        assert 0 < run["ended"] - run["began"] < 60
        arms[person] = run["source"]
        labels = [each.label for each in read_recording(data / f"{recording}.xdf").markers]
        told = [each for each in labels if each.startswith("feedback begin")]
        assert told == ["feedback begin band/alpha above 0, blind"]
        assert labels.index("step 2") < labels.index(told[0]) < labels.index("step 3")
    assert asyncio.run(hear_study(service, "B1")) == [(0, False), (1, False), (2, True), (3, False)]
    assert set(arms.values()) == {"real", "sham"}
    begin_trial(service, "B2")
    assert run_trial(service, "B2")[1]["source"] == arms["B2"]  # a person keeps the arm
    # The arm is in the person's file: nobody who may only view gets it, with or without recordings.
    assert "arms" not in service.http.get("/v1/people/B1", headers=bearer(VIEW)).json()
    for each in service.http.get("/v1/recordings").json():
        if each["person"] == "B1":
            service.http.delete(f"/v1/recordings/{each['name']}?confirm={each['name']}")
    export = "/v1/people/B1/export"
    assert service.http.get(export, headers=bearer(VIEW)).status_code == 403
    assert service.http.get(export).status_code == 200
    (data / "people" / "B1.json").write_text('{"arms": {"trial": "sham"}', "utf-8")  # damaged
    assert service.http.get(export, headers=bearer(VIEW)).status_code == 403
    for person in arms:
        service.http.delete(f"/v1/sessions/{person}")


def test_a_study_stays_blind_up_to_its_end(service: Live) -> None:
    study = "/v1/sessions/simulate-1/study"
    service.http.post(study, json={"study": "long"}).raise_for_status()

    def progress() -> dict[str, Any]:
        found: dict[str, Any] = service.http.get(study).json()["progress"]
        return found

    service.until(lambda: progress()["step"] == 1)
    service.http.post(f"{study}/answers", json={"step": 1}).raise_for_status()
    service.until(lambda: service.http.get(FEEDBACK).json().get("state", {}).get("running"))
    recording = f"/v1/recordings/{progress()['recording']}"
    assert service.http.get(f"{recording}/feedback").status_code == 409
    service.http.post(f"{recording}/stop").raise_for_status()
    service.until(lambda: progress()["phase"] == "stopped")
    assert "which has the log of its feedback, ended" in progress()["reason"]
    assert service.http.get(f"{recording}/feedback").status_code == 200


def test_a_sham_goes_on_from_step_to_step(data: Path) -> None:
    runs = FeedbackRuns(Recordings(data))
    wanted = WantedFeedback("band/alpha", "above", 0.0, 0.0, "sham", ("other",))
    course = load_course(data / "other.xdf", ALPHA, "band/alpha")
    places = [course.at(0.05 * n)[1] for n in range(400)]
    rng = np.random.default_rng(0)
    with staged(None, max_delay=0.0) as stage:
        prepared = runs.prepare(stage.session, wanted)

        def give(step: int) -> str:
            """Give it in a step of 4 s; the name of its recording."""
            live_feedback = runs.begin_prepared(stage.session, prepared)
            for at in range(1024 * step, 1024 * (step + 1), 256):
                samples = rng.normal(0, 20, (256, 4)).astype(np.float32)
                stage.play(Chunk(samples, 500 + np.arange(at, at + 256) / 256, at))
            stage.until(lambda: live_feedback.entry().state.value is not None)
            live_feedback.stop()
            return live_feedback.entry().state.recording

        names = [give(0), give(1)]
        runs.close()
        log = stage.session.check_open().feedback
        entries = [each for _, each in log.read(0, log.next) if isinstance(each, FeedbackEntry)]
    shown = [places.index(each.state.value) for each in entries if each.state.value is not None]
    assert shown == sorted(shown)
    first, second = (read_feedback_log(data / f"{name}.xdf")[0].sham_shown for name in names)
    assert 0 == first < second


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({"source": "sham"}, 422, "at least one recording with feedback that is sham"),
        ({"source": "real", "recordings": ["other"]}, 422, "no recording with feedback"),
        ({"source": "sham", "recordings": ["a"] * 11}, 422, "up to 10 recordings for a sham"),
        ({"source": "sham", "recordings": ["gone"]}, 404, "No recording is named 'gone'"),
        ({"source": "drawn", "recordings": ["other", "short"]}, 422, "at least 10 s of band/alpha"),
        ({"source": "sham", "recordings": ["foreign"]}, 422, "a recording of mimamba (XDF)"),
        ({"source": "sham", "recordings": ["other"], "quantity": "band/alpha/Cz"}, 422, "'band"),
        ({"source": "real", "quantity": "link/lost"}, 422, "a quantity of the session simulate-1"),
        ({"source": "real", "quantity": "valence/high"}, 422, "a quantity of the session"),
    ],
)
def test_what_is_not_possible_is_said(
    service: Live, wanted: dict[str, object], status: int, words: str
) -> None:
    found, answer = ask(service, **wanted)
    assert found == status, answer
    assert words in answer["detail"]
    # Nothing began, and no recording is left.
    states = {each["name"]: each["state"] for each in service.http.get("/v1/recordings").json()}
    assert "recording" not in states.values()


def test_a_sham_without_the_quantity_is_refused(data: Path) -> None:
    with pytest.raises(NothingToWatch, match="valence/high in the recording other"):
        load_course(data / "other.xdf", Watched("output", "valence", "high"), "valence/high")


def shapes_of(folder: Path, source: FeedbackChoice) -> list[tuple[object, ...]]:
    """What each entry of 8 s of feedback tells everybody, but its values."""
    runs = FeedbackRuns(Recordings(folder))
    chosen = () if source == "real" else ("other",)
    rng = np.random.default_rng(0)
    with staged(None, max_delay=0.0) as stage:
        runs.begin(
            stage.session, WantedFeedback("band/alpha", "above", 0.0, 0.0, source, chosen, True)
        )
        for at in range(0, 2048, 256):
            samples = rng.normal(0, 20, (256, 4)).astype(np.float32)
            stage.play(Chunk(samples, 500 + np.arange(at, at + 256) / 256, at))
        logs = stage.session.logs
        assert logs is not None
        stage.until(lambda: logs.feedback.next > logs.bands.next)  # one of them is the beginning
        runs.close()
        entries = [entry for _, entry in logs.feedback.read(0, logs.feedback.next)]
    states = [each.state for each in entries if isinstance(each, FeedbackEntry)]
    return [(each.value is None, each.on, each.reason, each.running) for each in states]


def test_a_blind_sham_sends_as_many_messages_of_the_same_form(data: Path, tmp_path: Path) -> None:
    for each in ("real", "sham"):
        (tmp_path / each).mkdir()
        shutil.copy(data / "other.xdf", tmp_path / each)
    real, sham = shapes_of(tmp_path / "real", "real"), shapes_of(tmp_path / "sham", "sham")
    assert real == sham
    assert (False, True, None, True) in real


def test_each_of_several_windows_measured_at_once_is_shown(tmp_path: Path) -> None:
    runs = FeedbackRuns(Recordings(tmp_path))
    good = dict.fromkeys(INFO.ch_names, ChannelQuality(1.0, None))
    with staged(None, max_delay=0.0) as stage:
        runs.begin(stage.session, WantedFeedback("band/alpha", "above", 0.0, 0.0, "real"))
        measures: list[Quality | BandPower] = []
        for n in range(4):
            at = 500 + n / 4
            power = BandPower(n, at, INFO.ch_names, np.full((4, 5), 1.0))
            measures += [Quality(n, at, good), power]
        stage.session.add_measures(measures)
        log = stage.session.check_open().feedback
        stage.until(lambda: log.next >= 5)
        runs.close()
    shown = [each.state.value for _, each in log.read(0, 5) if isinstance(each, FeedbackEntry)]
    assert shown == [None, *[pytest.approx(0.2)] * 4]


def test_feedback_that_another_service_began_since_is_the_newest(tmp_path: Path) -> None:
    wanted = WantedFeedback("band/alpha", "above", 0.0, 0.0, "real")
    runs, others = [FeedbackRuns(Recordings(tmp_path)) for _ in range(2)]
    with staged(None, max_delay=0.0) as stage:
        ended = runs.begin(stage.session, wanted)
        ended.stop()
        assert not runs.entry_of(stage.session).state.running
        newer = others.begin(stage.session, wanted)
        assert runs.entry_of(stage.session).id == newer.id
        assert runs.entry_of(stage.session).state.running
        others.close()


def test_a_sham_is_silent_while_an_electrode_of_the_wearer_is_bad(data: Path) -> None:
    runs = FeedbackRuns(Recordings(data))
    wanted = WantedFeedback("band/alpha", "above", 0.0, 0.0, "sham", ("deleted",))
    (data / "deleted.xdf").write_bytes((data / "other.xdf").read_bytes())
    rng = np.random.default_rng(0)
    with staged(None, max_delay=0.0) as stage:
        with pytest.raises(NoFeedback, match="has had no feedback"):
            runs.of(stage.session)
        live_feedback = runs.begin(stage.session, wanted)
        (data / "deleted.xdf").unlink()  # it is shown all the same

        def is_silent(wanted: bool) -> bool:
            return (live_feedback.entry().state.value is None) is wanted

        for n, bad in enumerate((False, True, False)):
            for at in range(1024 * n, 1024 * (n + 1), 256):
                samples = rng.normal(0, 20, (256, 4)).astype(np.float32)
                samples[:, 1] *= not bad
                stage.play(Chunk(samples, 500 + np.arange(at, at + 256) / 256, at))
            stage.until(partial(is_silent, bad))
        runs.close()
    assert live_feedback.entry().state.reason == "the service ended"
    with staged(None) as stage, pytest.raises(NotNow, match="shutting down"):
        runs.begin(stage.session, wanted)
    [run] = read_feedback_log(data / f"{live_feedback.entry().state.recording}.xdf")
    assert [each[1] for each in run.switches][:3] == ["on", "silent", "on"]
    assert run.reason == "the service ended"
