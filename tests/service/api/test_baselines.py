"""A person's baseline in sessions: taken, kept, used again; live as offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mimamba.drivers.driver import Chunk
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.prediction import Prediction
from mimamba.models.signal.baseline import Baseline
from mimamba.service.cli.main import app
from mimamba.service.cli.score import score_recording
from mimamba.service.engine.engine import Engine
from mimamba.service.logs.epoch_logs import LinkEntry
from mimamba.service.people.people import NoPerson, People
from mimamba.service.people.subject import Subject
from mimamba.service.protocol.messages import Position, PredictionMessage, Subscribe
from mimamba.service.sessions.session_decoder import (
    NoBaseline,
    format_baseline_seconds,
    parse_baseline_seconds,
    require_baselines,
)
from mimamba.service.storage.private_files import partial_of
from tests.service.live import Live, live, talk
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import write_muse
from tests.service.scripted import INFO, Stage, staged

pytestmark = pytest.mark.anyio

REST = 2.0
"""Seconds of the baseline that the tests' model was trained with: 8 hops."""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Engine]:
    """A model that uses baselines, and one that does not."""
    folder = tmp_path_factory.mktemp("models")
    return (
        Engine(random_checkpoint(folder, "aligned", REST)),
        Engine(random_checkpoint(folder, "plain")),
    )


DATA = np.random.default_rng(0).normal(0, 20, (8192, 4)).astype(np.float32)


def chunks_of(first: int, stop: int, n_times: int = 32) -> list[Chunk]:
    return [
        Chunk(DATA[at : (end := min(at + n_times, stop))], 500 + np.arange(at, end) / 256, at)
        for at in range(first, stop, n_times)
    ]


def told(stage: Stage) -> list[Prediction]:
    return [each.prediction for each in stage.predictions()]


def events(stage: Stage) -> list[LinkEntry]:
    assert stage.session.logs is not None
    log = stage.session.logs.link
    return [each for _, each in log.read(0, log.next) if isinstance(each, LinkEntry)]


def begin(stage: Stage, seconds: float) -> None:
    stage.session.begin_baseline(seconds)


def assert_same(found: list[Prediction], expected: list[Prediction]) -> None:
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.index, mine.status, mine.reason) == (
            theirs.index,
            theirs.status,
            theirs.reason,
        )
        for output, shares in (theirs.outputs or {}).items():
            assert (mine.outputs or {})[output] == pytest.approx(shares, abs=1e-5)


def decoder_of(engine: Engine) -> StreamingDecoder:
    return StreamingDecoder(engine.checkpoint, INFO)


@settings(max_examples=4)
@given(n_times=st.integers(16, 500), begun=st.integers(300, 1500), lost=st.integers(0, 60))
def test_a_session_takes_it_as_the_offline_decoder_does(
    engines: tuple[Engine, Engine], n_times: int, begun: int, lost: int
) -> None:
    """One at the start by itself, another later, with a gap; in any chunks."""
    before, after = chunks_of(0, begun, n_times), chunks_of(begun + lost, 3500, n_times)
    decoder = decoder_of(engines[0])
    decoder.start_baseline(REST)
    expected = [made for chunk in chunks_of(0, begun) for made in decoder.feed(chunk)]
    decoder.start_baseline(3.0)
    expected += [made for chunk in chunks_of(begun + lost, 3500) for made in decoder.feed(chunk)]
    with staged(engines[0]) as stage:
        stage.play(*before)
        begin(stage, 3.0)
        stage.play(*after)
        stage.until(lambda: len(told(stage)) == len(expected))
        assert_same(told(stage), expected)
        assert sum(each.status == "ok" for each in expected) > 0
        places = [(each.event, each.first) for each in events(stage) if "base" in each.event]
        assert places[0] == ("baseline_begun", None)
        assert ("baseline_begun", begun) in places
        assert places[-1][0] == "baseline_taken"
    decided = [made for made in expected if made.outputs]
    assert events(stage)[0].detail == "2 s of rest are being taken"
    assert decided[-1].index > begun


def test_the_link_tells_it_at_the_hop_that_completes_it(engines: tuple[Engine, Engine]) -> None:
    with staged(engines[0]) as stage:
        stage.play(*chunks_of(0, 1500))
        said = [each.reason for each in told(stage)]
        assert "baseline 1 of 2 s" in said
        last = [each for each in told(stage) if each.reason == "baseline 2 of 2 s"][-1]
        taken = events(stage)[1]
        assert (taken.event, taken.first) == ("baseline_taken", last.index)
        assert taken.detail == "2 s of rest are recorded, for this session"
        assert stage.session.aligner.baseline is not None
        assert stage.session.baseline.seconds == REST
        restarted = [each for each in events(stage) if each.event == "restarted"]
        assert restarted == []  # nothing had been remembered before


@pytest.mark.parametrize("seconds", [10.0, 60.0, 12.3456789, 1 / 3, 600.0])
def test_the_seconds_in_the_link_are_exact(seconds: float) -> None:
    assert parse_baseline_seconds(format_baseline_seconds(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "nan s", "-1 s", "0 s", "1e9 s of rest", "many s"])
def test_seconds_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"rest|float"):
        parse_baseline_seconds(text)


def persons(tmp_path: Path, person: str) -> Subject:
    people = People(tmp_path / "people")
    people.add(person)
    return Subject(people, person)


def test_it_is_kept_and_used_again_by_models_alike(
    tmp_path: Path, engines: tuple[Engine, Engine]
) -> None:
    subject = persons(tmp_path, "P01")
    with staged(engines[0], subject=subject) as stage:
        stage.play(*chunks_of(0, 1500))
        assert events(stage)[-1].detail == "2 s of rest are recorded and stored"
        first = stage.session.aligner.baseline
    assert first is not None
    again = persons(tmp_path, "P01")
    decoder = decoder_of(engines[0])
    decoder.set_baseline(Baseline(first.log_power, first.seconds))
    expected = [made for chunk in chunks_of(2000, 4000) for made in decoder.feed(chunk)]
    with staged(engines[0], subject=again) as stage:
        stage.play(*chunks_of(2000, 4000))
        assert_same(told(stage), expected)
        assert [each.event for each in events(stage)] == ["baseline_used"]
        assert events(stage)[0].detail.startswith("2 s of rest, taken 20")
        # Another model, and back: what is kept is used anew.
        stage.session.set_model(engines[1], 1.0)
        with (
            pytest.raises(NoBaseline, match="plain, which was trained without"),
            stage.session.between_chunks() as model,
        ):
            require_baselines(model)
        stage.session.set_model(engines[0], 1.0)
        found = [each.event for each in events(stage)]
        assert found == ["baseline_used", "model", "model", "baseline_used"]
        stage.session.subject.person = None
        stage.session.set_model(engines[0], 1.0)
        assert events(stage)[-1].event == "baseline_begun"
        assert events(stage)[-1].first == 4000


def test_what_cannot_be_kept_is_used_and_says_why(
    tmp_path: Path, engines: tuple[Engine, Engine]
) -> None:
    subject = persons(tmp_path, "P01")
    path = tmp_path / "people" / "P01.json"
    path.write_text('{"notes": 3}')
    with staged(engines[0], subject=subject) as stage:
        stage.play(*chunks_of(0, 1500))
        why = "2 s of rest are recorded, for this session; not stored: the person"
        assert events(stage)[-1].detail == f"{why}'s file cannot be read"
        assert stage.session.aligner.baseline is not None
        assert path.read_text() == '{"notes": 3}'
        path.unlink()  # deleted meanwhile
        begin(stage, 2.0)
        stage.play(*chunks_of(1500, 3000))
        taken = [each for each in events(stage) if each.event == "baseline_taken"]
        assert taken[-1].detail == f"{why} was deleted"
        people = People(tmp_path / "people")
        people.add("P01")
        partial_of(path).mkdir()  # as a folder that takes no file
        begin(stage, 2.0)
        stage.play(*chunks_of(3000, 4500))
        taken = [each for each in events(stage) if each.event == "baseline_taken"]
        assert taken[-1].detail == f"{why}'s file cannot be written"
        path.unlink()
    with pytest.raises(NoPerson):
        People(tmp_path / "people").get("P01")


def test_whoever_is_deleted_comes_not_back_when_it_is_broken_off(
    tmp_path: Path, engines: tuple[Engine, Engine]
) -> None:
    subject = persons(tmp_path, "P01")
    with staged(engines[0], subject=subject) as stage:
        stage.play(*chunks_of(0, 1500))
        assert subject.baseline_person == "P01"
        begin(stage, 3.0)
        subject.forget("P01")
        stage.session.cancel_baseline()
        assert subject.person is None
        assert stage.session.aligner.baseline is not None
        assert events(stage)[-1].event == "baseline_stopped"


def test_a_rest_that_is_withdrawn(tmp_path: Path, engines: tuple[Engine, Engine]) -> None:
    """The usual one of the person before is taken, until there is a baseline to return to."""
    subject = persons(tmp_path, "P01")
    with staged(engines[0], subject=subject) as stage:
        stage.play(*chunks_of(0, 600))
        stage.session.begin_baseline(60.0, "P02")
        stage.session.withdraw_rest()
        assert (subject.person, stage.session.baseline.wanted) == ("P01", REST)
        stage.play(*chunks_of(600, 2400))
        stage.session.withdraw_rest()  # it is complete
        assert subject.baseline_person == "P01"
        stage.session.begin_baseline(60.0, "P02")
        stage.session.withdraw_rest()
        assert (subject.person, stage.session.baseline.seconds) == ("P01", REST)
        assert [each.event for each in events(stage) if "base" in each.event] == [
            *["baseline_begun"] * 3,
            "baseline_taken",
            "baseline_begun",
            "baseline_stopped",
        ]


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints that are found by their names."""
    (tmp_path / "models").mkdir()
    random_checkpoint(tmp_path / "models", "aligned", REST)
    random_checkpoint(tmp_path / "models", "plain")
    monkeypatch.setenv("MIMAMBA_DATA_DIR", str(tmp_path))


def baseline(
    service: Live, method: str, session: str, **body: object
) -> tuple[int, dict[str, Any]]:
    path = f"/v1/sessions/{session}/baseline"
    answer = service.http.request(method, path, json=body or None)
    found: dict[str, Any] = answer.json()
    return answer.status_code, found


@pytest.fixture
def slowly(tmp_path: Path) -> str:
    """A recording that is played so slowly that nothing is complete until it is hurried."""
    return f"replay://{write_muse(tmp_path / 'muse.csv', 16)}?speed=0.1&hold=1"


def hurry(service: Live) -> None:
    """Play to the end, and wait until a baseline is there; then its own pace is wanted again."""
    path = "/v1/sessions/replay-1/replay"
    assert service.http.post(path, json={"speed": "max"}).status_code == 200
    service.until(lambda: baseline(service, "GET", "replay-1")[1]["seconds"] == REST)
    service.until(lambda: service.http.get(path).json()["paused"] is True)
    assert service.http.post(path, json={"speed": 1}).status_code == 200


@pytest.mark.usefixtures("own_models")
async def test_a_replay_at_full_speed_is_what_score_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    muse = write_muse(tmp_path / "muse.csv", 16, broken=True)
    own = tmp_path / "models"
    score_recording(str(muse), "aligned", memory=True, models=own)
    usual = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    score_recording(str(muse), "aligned", memory=True, baseline=REST, models=own)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == usual
    assert sum(each["status"] == "ok" for each in usual) > 10
    with live(f"replay://{muse}?speed=max&hold=1", model="aligned") as service:
        service.opened("replay-1")
        async with talk(service.url) as client:
            await client.say(Subscribe("replay-1", ["prediction"], Position("")))
            for offline in usual:
                online = await client.find(PredictionMessage)
                assert online.index == offline["index"]
                assert (online.status, online.reason) == (offline["status"], offline["reason"])
                for output, shares in (online.outputs or {}).items():
                    assert shares == pytest.approx(offline["outputs"][output], abs=1e-5)


@pytest.mark.usefixtures("own_models")
def test_over_the_api(tmp_path: Path, slowly: str) -> None:
    with live(slowly, model="aligned", person="P01", data_dir=tmp_path) as service:
        service.opened("replay-1")
        status, seen = baseline(service, "GET", "replay-1")
        assert status == 200
        assert (seen["wanted"], seen["seconds"], seen["usual"]) == (REST, 0, REST)
        assert seen["person"] == service.sessions()["replay-1"]["person"] == "P01"
        assert service.http.get("/v1/people/P01").json()["baselines"] == []
        # Nothing is kept yet.
        status, problem = baseline(service, "DELETE", "replay-1")
        assert (status, "previous baseline to return to" in problem["detail"]) == (409, True)
        status, problem = baseline(service, "PUT", "replay-1", person="P01")
        assert (status, problem["title"]) == (409, "Not possible with this session")
        assert "Record one first" in problem["detail"]
        assert baseline(service, "PUT", "replay-1", person="P99")[0] == 404
        hurry(service)
        kept = service.http.get("/v1/people/P01").json()["baselines"]
        assert [each["seconds"] for each in kept] == [REST]
        status, seen = baseline(service, "POST", "replay-1", seconds=30, person="P02")
        assert (status, seen["wanted"], seen["person"]) == (200, 30, "P02")
        assert (seen["seconds"], seen["taken"]) == (REST, 0)
        # While it is recorded, one can be taken, but none switched in.
        tape = {"session": "replay-1", "name": "taped"}
        made = service.http.post("/v1/recordings", json=tape).json()
        assert made["person"] == "P02"
        status, problem = baseline(service, "PUT", "replay-1", person="P01")
        assert (status, "Stop that recording first" in problem["detail"]) == (409, True)
        assert baseline(service, "POST", "replay-1")[0] == 200
        service.http.post("/v1/recordings/taped/stop")
        status, seen = baseline(service, "PUT", "replay-1", person="P01")
        assert (status, seen["wanted"], seen["person"]) == (200, 0, "P01")
        # One that is taken is broken off: the one before holds, and its person's session it is.
        status, problem = baseline(service, "DELETE", "replay-1")
        assert (status, "a baseline in progress" in problem["detail"]) == (409, True)
        assert baseline(service, "POST", "replay-1", seconds=30, person="P02")[1]["person"] == "P02"
        status, seen = baseline(service, "DELETE", "replay-1")
        assert (status, seen["wanted"], seen["taken"]) == (200, 0, 0)
        assert (seen["seconds"], seen["person"]) == (REST, "P01")
        for refused in ({"seconds": 9}, {"seconds": 601}, {"person": "../P01"}, {"rest": 60}):
            assert baseline(service, "POST", "replay-1", **refused)[0] == 422
        assert baseline(service, "POST", "nobody", seconds=60)[0] == 404
        for name, status in (("plain", 409), ("none", 409), ("aligned", 200)):
            new = {"model": name}
            assert service.http.put("/v1/sessions/replay-1/model", json=new).status_code == 200
            assert baseline(service, "POST", "replay-1", seconds=60)[0] == status


@pytest.mark.usefixtures("own_models")
def test_from_the_terminal(tmp_path: Path, slowly: str) -> None:
    def ask(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["baseline", "replay-1", *arguments, "--url", service.url])
        return done.exit_code, done.output

    with live(slowly, model="aligned", data_dir=tmp_path) as service:
        service.opened("replay-1")
        assert ask() == (0, "recording 2 s of rest\n")
        taking = "P01: recording 12.5 s of rest\n"
        assert ask("--seconds", "12.5", "--person", "P01") == (0, taking)
        code, said = ask("--kept", "--person", "P01")
        assert (code, "Record one first" in said) == (2, True)
        assert ask()[1] == "P01: recording 2 s of rest\n"
        hurry(service)
        assert ask("--kept", "--person", "P01") == (0, "P01: using 2 s of rest\n")
        assert ask("--kept")[0] == 2
        assert ask("--seconds", "30", "--person", "P02")[1] == "P02: recording 30 s of rest\n"
        assert ask("--break-off", "--kept")[0] == 2
        assert ask("--break-off") == (0, "P01: using 2 s of rest\n")


@pytest.mark.usefixtures("own_models")
def test_score_refuses_a_baseline_for_a_model_without(tmp_path: Path) -> None:
    muse = str(write_muse(tmp_path / "muse.csv", 6))
    plain = ["score", muse, "--model", "plain"]
    done = CliRunner().invoke(app, [*plain, "--baseline", "60"])
    assert (done.exit_code, "plain, which was not" in done.output) == (2, True)
    assert CliRunner().invoke(app, plain).exit_code == 0
    assert CliRunner().invoke(app, [*plain, "--baseline", "5"]).exit_code == 2
