"""A recording that is paused, moved and paced over the API."""

from __future__ import annotations

import inspect
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.responses import Response
from typer.testing import CliRunner

from mimamba.drivers.formats.read import read_recording
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.prediction import Prediction
from mimamba.service.api.replay import Timeline, control_replay, read_replay, timeline
from mimamba.service.cli.control import describe_replay, request_change
from mimamba.service.cli.main import app
from mimamba.service.client.credentials import NO_CREDENTIALS
from mimamba.service.client.rest_client import ControlRefused
from mimamba.service.protocol.messages import (
    LinkMessage,
    Position,
    PredictionMessage,
    Subscribe,
    Subscribed,
)
from mimamba.service.recordings.verify import load_recorded
from tests.drivers.formats.xdf import xdffile
from tests.service.live import Live, live, talk
from tests.service.muse_recordings import write_muse

SFREQ = 256
SECONDS = 20

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def muse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_muse(tmp_path_factory.mktemp("replay") / "muse.csv", seconds=SECONDS)


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "marked.xdf"
    stamps = [50 + k / SFREQ for k in range(SECONDS * SFREQ)]
    path.write_bytes(xdffile.recording(stamps, marks=[(52.0, "go"), (55.0, "stop"), (60.0, "go")]))
    return path


@pytest.fixture(scope="module")
def paused(marked: Path) -> Iterator[Live]:
    """A service that plays a recording, and has paused."""
    with live(f"replay://{marked}?speed=1", model="none") as service:
        service.opened("replay-1")
        assert change(service, paused=True)["paused"]
        yield service


def read(service: Live) -> dict[str, Any]:
    answer = service.http.get("/v1/sessions/replay-1/replay")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def change(service: Live, **changes: object) -> dict[str, Any]:
    answer = service.http.post("/v1/sessions/replay-1/replay", json=changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def offline(path: Path, start: int) -> list[Prediction]:
    """What is said of a recording that begins here."""
    recording = read_recording(path)
    decoder = StreamingDecoder(load_checkpoint(DEFAULT_MODEL), recording.info)
    return [made for chunk in recording.chunks(SFREQ, start) for made in decoder.feed(chunk)]


def assert_same(online: list[PredictionMessage], scored: list[Prediction]) -> None:
    assert [(each.index, each.status) for each in online] == [
        (each.index, each.status) for each in scored
    ]
    for mine, other in zip(online, scored, strict=True):
        assert (mine.outputs is None) == (other.outputs is None)
        for output, shares in (mine.outputs or {}).items():
            assert other.outputs is not None
            assert shares == pytest.approx(other.outputs[output], abs=1e-5)


async def test_predictions_after_a_seek_are_those_of_a_recording_that_begins_there(
    muse: Path,
) -> None:
    heard: dict[str, list[PredictionMessage]] = {}
    epochs: list[str] = []
    with live(f"replay://{muse}?speed=max&hold=1") as service:
        service.opened("replay-1")
        async with talk(service.url) as client:
            await client.say(Subscribe("replay-1", ["prediction"], Position("")))
            for start in (0.0, 7.0, 3.5):
                if start:
                    service.until(lambda: read(service)["paused"])
                    change(service, position=start, paused=False)
                last = offline(muse, round(start * SFREQ))[-1].index
                while True:
                    message = await client.hear()
                    if isinstance(message, Subscribed) and message.epoch not in epochs:
                        epochs.append(message.epoch)
                    elif isinstance(message, PredictionMessage):
                        heard.setdefault(epochs[-1], []).append(message)
                        if message.index == last:
                            break
    assert len(epochs) == 3
    for epoch, start in zip(epochs, (0.0, 7.0, 3.5), strict=True):
        assert_same(heard[epoch], offline(muse, round(start * SFREQ)))
    assert sum(each.status == "ok" for each in heard[epochs[1]]) > 10


async def test_all_who_follow_the_link_are_told(muse: Path) -> None:
    with live(f"replay://{muse}?speed=0.1", model="none") as service:
        service.opened("replay-1")
        assert service.sessions()["replay-1"]["link"]["event"] == "playing"
        async with talk(service.url) as client:
            await client.say(Subscribe("replay-1", ["link"]))
            await client.find(Subscribed)
            change(service, paused=True)
            paused = await client.find(LinkMessage)
            assert paused.event == "paused"
            assert re.fullmatch(r"at \d\.\d of 20\.0 s", paused.detail)
            assert service.sessions()["replay-1"]["link"]["event"] == "paused"
            change(service, position=10, speed=2, loop=True, paused=False)
            playing = await client.find(LinkMessage, lambda link: link.event == "playing")
            assert playing.detail == "from 10.0 of 20.0 s at speed 2, in a loop"
            await client.find(Subscribed)


def test_what_was_changed_is_what_is_read(marked: Path) -> None:
    with live(f"replay://{marked}?speed=0.1", model="none") as service:
        service.opened("replay-1")
        assert service.sessions()["replay-1"]["seekable"] is True
        first = change(service, paused=True)
        assert first == read(service)
        assert first["length"] == SECONDS
        assert first["markers"] == [
            {"position": 2.0, "label": "go", "source": "Tasks"},
            {"position": 5.0, "label": "stop", "source": "Tasks"},
            {"position": 10.0, "label": "go", "source": "Tasks"},
        ]
        for changes, found in (
            ({"position": 12.5}, {"position": 12.5, "paused": True}),
            ({"marker": "stop"}, {"position": 5.0}),
            ({"marker": "go", "nth": 2}, {"position": 10.0}),
            ({"speed": 4}, {"speed": 4.0, "position": 10.0}),
            ({"speed": "max", "loop": True}, {"speed": "max", "loop": True}),
            ({"loop": False, "position": SECONDS}, {"loop": False, "position": SECONDS}),
            ({}, {"paused": True}),
        ):
            made = change(service, **changes)
            assert made | found == made == read(service)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"position": -1}, "greater than or equal to 0"),
        ({"position": 20.1}, "a position up to 20 s"),
        ({"marker": "gone"}, "2 of 'go', 1 of 'stop'"),
        ({"marker": "go", "nth": 3}, "number 3"),
        ({"marker": "go", "position": 1}, "Remove one"),
        ({"nth": 2}, "Expected a marker"),
        ({"speed": 65}, "less than or equal to 64"),
        ({"speed": "fast"}, "'max'"),
        ({"pause": True}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    paused: Live, changes: dict[str, object], detail: str
) -> None:
    before = read(paused)
    answer = paused.http.post(
        "/v1/sessions/replay-1/replay", json={"paused": False, "loop": True, **changes}
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]
    assert read(paused) == before


def test_a_live_source_cannot_be_played(muse: Path) -> None:
    with live("simulate://", f"replay://{muse}?speed=max", model="none") as service:
        service.opened("simulate-1", "replay-2")
        assert service.sessions()["simulate-1"]["seekable"] is False
        service.until(lambda: service.sessions()["replay-2"]["state"] == "ended")
        assert service.sessions()["replay-2"]["seekable"] is False
        for name, status, detail in (
            ("simulate-1", 409, "a live source"),
            ("replay-2", 409, "hold=1"),
            ("nobody", 404, "nobody"),
        ):
            path = f"/v1/sessions/{name}/replay"
            for answer in (
                service.http.get(path),
                service.http.post(path, json={"paused": True}),
            ):
                assert answer.status_code == status
                assert detail in answer.json()["detail"]


def test_its_pace_stays_while_it_is_recorded(marked: Path, tmp_path: Path) -> None:
    with live(f"replay://{marked}?speed=2", model="none", data_dir=tmp_path) as service:
        service.opened("replay-1")
        new = {"session": "replay-1", "name": "take"}
        refused = service.http.post("/v1/recordings", json=new)
        assert refused.status_code == 409
        assert "a replay at speed 2" in refused.json()["detail"]
        change(service, speed=1)
        assert service.http.post("/v1/recordings", json=new).status_code == 201
        for changes in ({"paused": True}, {"speed": 2}):
            answer = service.http.post("/v1/sessions/replay-1/replay", json=changes)
            assert answer.status_code == 409
            assert "recorded to take. Stop that" in answer.json()["detail"]
        assert change(service, loop=True)["loop"] is True
        assert service.http.post("/v1/recordings/take/stop").status_code == 200
        assert change(service, paused=True)["paused"] is True


def test_from_the_terminal(marked: Path) -> None:
    def control(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["control", *arguments, "--url", service.url])
        return done.exit_code, done.output

    with live("simulate://", f"replay://{marked}?speed=0.1", model="none") as service:
        service.opened("simulate-1", "replay-2")
        code, said = control("replay-2", "--pause", "--seek", "2.5", "--speed", "max", "--loop")
        assert (code, said) == (0, "paused at 2.5 of 20.0 s, speed max, in a loop\n")
        code, said = control("replay-2", "--marker", "go", "--nth", "2", "--speed", "2")
        assert (code, said) == (0, "paused at 10.0 of 20.0 s, speed 2, in a loop\n")
        code, said = control("replay-2", "--no-loop")
        assert (code, said) == (0, "paused at 10.0 of 20.0 s, speed 2\n")
        assert control("replay-2") == (0, said)
        code, said = control("replay-2", "--resume", "--speed", "0.1")
        assert (code, said) == (0, "playing at 10.0 of 20.0 s, speed 0.1\n")
        for arguments, found in (
            (["simulate-1"], "a live source"),
            (["replay-2", "--seek", "21"], "a position up to 20 s"),
            (["replay-2", "--speed", "quick"], "'max'"),
            (["nobody"], "There are: replay-2, simulate-1"),
        ):
            code, said = control(*arguments)
            assert code == 2
            assert said.startswith("mimamba: ")
            assert said.count("\n") == 1
            assert found in said
    code, said = control("replay-2")
    assert code == 2
    assert "No mimamba service answers" in said


def test_many_markers_do_not_hold_up_the_event_loop() -> None:
    """What takes longer the more markers there are runs in a thread, its JSON included."""
    for endpoint in (read_replay, control_replay):
        assert not inspect.iscoroutinefunction(endpoint)
        assert inspect.signature(endpoint, eval_str=True).return_annotation is Response


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of a port that says this to all who come, whatever they ask."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def http(body: str, status: str = "200 OK", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}".encode()


FOREIGN = {
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
    "other JSON": http('{"hello": "world"}'),
    "a list": http("[]"),
    "text for a number": http(
        '{"paused": true, "speed": "fast", "loop": false, "position": "x", "length": 1}'
    ),
    "no JSON": http("<html>"),
    "no UTF-8": http("x").replace(b"\r\n\r\nx", b"\r\n\r\n\xff"),
    "half": http("{", length=100),
    "a refusal": http("<html>", "403 Forbidden"),
    "half a refusal": http("{", "403 Forbidden", length=100),
}


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_service_is_reported_in_one_line(answer: bytes) -> None:
    with answering(answer) as url:
        assert_one_line(url)


@pytest.mark.parametrize("url", ["localhost:abc", "http://[", "://", "a..b"])
def test_what_is_no_address_is_reported_in_one_line(url: str) -> None:
    assert_one_line(url)


def assert_one_line(url: str) -> None:
    with pytest.raises(ControlRefused, match=r"Expected .+, but found .+"):
        request_change(url, "replay-1", "replay", None, describe_replay, NO_CREDENTIALS)
    done = CliRunner().invoke(app, ["control", "replay-1", "--url", url])
    assert done.exit_code == 2
    assert done.output.startswith("mimamba: Expected ")
    assert done.output.count("\n") == 1


def test_a_timeline_has_the_predictions_of_a_recording(tmp_path: Path) -> None:
    write_muse(tmp_path / "muse.csv", 5)
    source = f"replay://{tmp_path}/muse.csv?speed=0.1"
    with live(source, "simulate://", data_dir=tmp_path) as service:
        service.opened("replay-1", "simulate-2")
        service.play("replay-1", paused=True, speed=1)  # or it might be over before it is recorded
        assert service.http.get("/v1/sessions/simulate-2/timeline").status_code == 409
        made = service.http.post("/v1/recordings", json={"session": "replay-1", "name": "made"})
        assert made.status_code == 201, made.text
        service.play("replay-1", paused=False)
        service.until(lambda: service.sessions()["replay-1"]["state"] == "ended")
        service.http.post("/v1/recordings/made/stop")
        asked = {"source": "replay://made?hold=1&speed=max", "id": "again", "model": "none"}
        assert service.http.post("/v1/sessions", json=asked).status_code == 201
        told = service.http.get("/v1/sessions/again/timeline").json()
        length = service.http.get("/v1/sessions/again/replay").json()["length"]
    recorded = load_recorded(tmp_path / "made.xdf")
    rows = np.asarray(recorded.predictions.values)
    assert told["model"] == recorded.predictions.text("desc/mimamba/model/name")
    first = int(recorded.index[0])
    np.testing.assert_allclose(told["position"], (rows[:, -2] - first) / 256)
    assert 0 < told["position"][0] < told["position"][-1] < length
    high = np.array(told["outputs"]["valence"]["high"], float)
    np.testing.assert_array_equal(high, rows[:, 1])
    assert np.isnan(high).any()
    assert np.isfinite(high).any()
    thin = timeline(tmp_path / "made.xdf", max_points=4)
    assert len(thin.position) == len(thin.outputs["arousal"]["low"]) <= 4
    together = -(-len(rows) // 4)
    wanted = np.nanmean(rows[-(len(rows) % together or together) :, 1])
    assert thin.outputs["valence"]["high"][-1] == pytest.approx(wanted)


def test_a_timeline_of_another_file_is_empty(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", 2)
    assert timeline(path) == timeline(tmp_path / "absent.xdf") == Timeline()
