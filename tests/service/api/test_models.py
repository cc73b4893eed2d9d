"""Another model for a session that goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mimamba.drivers.driver import Chunk
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.prediction import Prediction
from mimamba.service.cli.main import app
from mimamba.service.engine.engine import Engine
from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.protocol.messages import (
    LinkMessage,
    Ok,
    Position,
    PredictionMessage,
    Subscribe,
    Subscribed,
    Unsubscribe,
    decode_server,
)
from mimamba.service.sessions.session import SessionOver
from mimamba.service.stream.reader import SessionReader, SharedFrames
from tests.service.live import Live, live, talk
from tests.service.models import random_checkpoint
from tests.service.scripted import INFO, Stage, staged

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> list[Engine]:
    folder = tmp_path_factory.mktemp("models")
    return [Engine(random_checkpoint(folder, name)) for name in ("one", "other")]


DATA = np.random.default_rng(0).normal(0, 20, (4096, 4)).astype(np.float32)


def chunks_of(first: int, stop: int) -> list[Chunk]:
    return [
        Chunk(DATA[at : at + 32], 500 + np.arange(at, at + 32) / 256, at)
        for at in range(first, stop, 32)
    ]


def told(stage: Stage) -> list[Prediction]:
    return [each.prediction for each in stage.predictions()]


def offline(engine: Engine, chunks: list[Chunk]) -> list[Prediction]:
    decoder = StreamingDecoder(engine.checkpoint, INFO)
    return [made for chunk in chunks for made in decoder.feed(chunk)]


def test_each_speaks_as_if_the_stream_were_its_own(engines: list[Engine]) -> None:
    """No prediction is lost, late or made of another one's memory; slots are given back."""
    one, other = engines
    turns = [(one, 0, 768), (other, 768, 1536), (None, 1536, 1792), (one, 1792, 2560)]
    with staged(one) as stage:
        expected: list[Prediction] = []
        for engine, first, stop in turns:
            if first:
                stage.session.set_model(engine, 1.0)
            stage.play(*chunks_of(first, stop))
            expected += offline(engine, chunks_of(first, stop)) if engine else []
        logs = stage.session.logs
        assert logs is not None
        stage.until(lambda: len(told(stage)) == len(expected))
        for mine, theirs in zip(told(stage), expected, strict=True):
            assert (mine.index, mine.status, mine.reason) == (
                theirs.index,
                theirs.status,
                theirs.reason,
            )
            for output, shares in (theirs.outputs or {}).items():
                assert (mine.outputs or {})[output] == pytest.approx(shares, abs=1e-5)
        names = [each.model.name if each.model else None for each in logs.active_models]
        assert names == ["one", "other", None, "one"]
        events = [entry for _, entry in logs.link.read(0, 99)]
        assert [getattr(each, "event", "") for each in events] == ["model"] * 3
        assert [getattr(each, "first", None) for each in events] == [768, 1536, 1792]
    assert [engine.stepper.pool.used for engine in engines] == [0, 0]


def test_a_reader_is_told_who_speaks_between_their_predictions(engines: list[Engine]) -> None:
    one, other = engines
    with staged(one) as stage:
        stage.play(*chunks_of(0, 512))
        now = SessionReader(stage.session, SharedFrames(ServiceCounters()), binary=True)
        now.subscribe(["link"], None)
        stage.session.set_model(other, 0.0)
        stage.play(*chunks_of(512, 1024))
        stage.session.set_model(None, 0.0)
        late = SessionReader(stage.session, SharedFrames(ServiceCounters()), binary=True)
        late.subscribe(["prediction"], Position(""))
        heard = [decode_server(late.describe())]
        while frames := late.take():
            heard += [decode_server(frame) for frame in frames]
        active_models = [
            each.model.name if each.model else None
            for each in heard
            if isinstance(each, Subscribed)
        ]
        assert active_models == ["one", "other", None]
        assert len({each.epoch for each in heard if isinstance(each, Subscribed)}) == 1
        places = [n for n, each in enumerate(heard) if isinstance(each, Subscribed)]
        assert places == [0, 9, 18]
        seqs = [each.seq for each in heard if isinstance(each, PredictionMessage)]
        assert seqs == list(range(16))
        second = heard[9]
        assert isinstance(second, Subscribed)
        assert second.next == {"prediction": 8}
        # Who comes back in the second one's time is told of that one, and goes on.
        back = SessionReader(stage.session, SharedFrames(ServiceCounters()), binary=True)
        back.subscribe(["prediction"], Position(second.epoch, {"prediction": 9}))
        described = decode_server(back.describe())
        assert isinstance(described, Subscribed)
        assert described.model is not None
        assert described.model.name == "other"
        # One without predictions is told at once.
        first_news = decode_server(now.take()[0])
        assert isinstance(first_news, Subscribed)


def test_an_hour_of_predictions_is_kept_whoever_speaks(engines: list[Engine]) -> None:
    with staged(None) as stage:
        stage.play(*chunks_of(0, 256))
        stage.session.set_model(engines[0], 1.0)
        stage.play(*chunks_of(256, 1536))
        stage.session.set_model(None, 1.0)
        assert len(told(stage)) == 20


def test_an_ended_session_takes_none(engines: list[Engine]) -> None:
    with staged(engines[0]) as stage:
        stage.session.close()
        with pytest.raises(SessionOver):
            stage.session.set_model(engines[1], 1.0)


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checkpoints that are found by their names."""
    (tmp_path / "models").mkdir()
    for name in ("one", "other"):
        random_checkpoint(tmp_path / "models", name)
    monkeypatch.setenv("MIMAMBA_DATA_DIR", str(tmp_path))


def put(service: Live, new: dict[str, object], session: str = "simulate-1") -> int:
    return service.http.put(f"/v1/sessions/{session}/model", json=new).status_code


@pytest.mark.usefixtures("own_models")
async def test_the_api_and_the_terminal_change_it() -> None:
    with live("simulate://", model="one", lsl_out=False) as service:
        service.opened("simulate-1")
        async with talk(service.url) as client:
            await client.say(Subscribe("simulate-1", ["prediction", "link"]))
            first = await client.find(Subscribed)
            await client.find(PredictionMessage)
            answer = service.http.put(
                "/v1/sessions/simulate-1/model", json={"model": "other", "memory": False}
            )
            assert answer.status_code == 200
            assert (answer.json()["model"]["name"], answer.json()["model"]["r"]) == ("other", 0)
            second = await client.find(Subscribed)
            assert second.model is not None
            assert (second.epoch, second.model.name) == (first.epoch, "other")
            event = await client.find(LinkMessage, lambda each: each.event == "model")
            assert event.detail == "other is used from here on"
            # Its first hop may be told before the link's news.
            made = await client.told(
                PredictionMessage, lambda each: each.seq >= second.next["prediction"]
            )
            assert made.status == "warming_up"
            assert made.seq == second.next["prediction"]
            done = CliRunner().invoke(
                app, ["control", "simulate-1", "--model", "none", "--url", service.url]
            )
            assert (done.exit_code, done.output) == (0, "no model: signal only\n")
            assert (await client.find(Subscribed)).model is None
            assert put(service, {"model": "one"}) == 200
            assert put(service, {"model": None}) == 200
            assert service.sessions()["simulate-1"]["outputs"] is None
            await client.say(Unsubscribe("simulate-1", id=1))
            await client.find(Ok)


@pytest.mark.usefixtures("own_models")
def test_what_cannot_be_is_refused_and_the_old_one_speaks_on() -> None:
    names = "simulate://?names=a,b,c,d"
    with live("simulate://", names, model="one") as service:
        service.opened("simulate-1")
        assert put(service, {"model": "unheard"}) == 422
        assert put(service, {"model": "../one"}) == 422
        assert put(service, {}) == 422
        assert put(service, {"model": "one"}, "nobody") == 404
        new = {"source": names, "id": "nameless", "model": "none"}
        assert service.http.post("/v1/sessions", json=new).status_code == 201
        assert put(service, {"model": "one"}, "nameless") == 422
        assert service.sessions()["nameless"]["model"] is None
        tape = {"session": "simulate-1", "name": "taped"}
        assert service.http.post("/v1/recordings", json=tape).status_code == 201
        answer = service.http.put("/v1/sessions/simulate-1/model", json={"model": "other"})
        assert answer.status_code == 409
        assert "recorded to taped. Stop that" in answer.json()["detail"]
        assert service.http.post("/v1/recordings/taped/stop").status_code == 200
        assert service.sessions()["simulate-1"]["model"]["name"] == "one"
        assert put(service, {"model": "other"}) == 200
