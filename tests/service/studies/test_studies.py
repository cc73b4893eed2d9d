"""Studies in a running service: steps, markers, answers, a recording, and ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from mimamba.models.signal.measures import ChannelQuality, Quality
from mimamba.service.protocol.messages import (
    MarkerMessage,
    Position,
    RatingMessage,
    ServerMessage,
    StudyMessage,
    Subscribe,
)
from mimamba.service.studies.electrode_contact import ContactCount
from tests.service.live import Live, live, talk

TIMED = """
record = true
[[step]]
text = "One"
seconds = 0.3
marker = "first"
hed = "Agent-action, (Experiment-participant, Rest)"
[[step]]
rating = true
[[step]]
text = "Press a key"
[[step]]
rating = true
seconds = 0.1
"""
LONG = """
[[step]]
text = "Rest"
seconds = 600
"""
CONTACT = "wait_for_contact = true\n[[step]]\ntext = 'Rest'\nseconds = 0.1\n"
STUDY = "/v1/sessions/simulate-1/study"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("studies")
    for name, text in {"timed": TIMED, "long": LONG, "contact": CONTACT}.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    data = tmp_path_factory.mktemp("data")
    with live("simulate://", model="none", studies=folder, data_dir=data) as service:
        service.opened("simulate-1")
        yield service


def begin(service: Live, name: str) -> None:
    service.http.post(STUDY, json={"study": name}).raise_for_status()


def progress(service: Live) -> dict[str, Any]:
    found: dict[str, Any] = service.http.get(STUDY).json()["progress"]
    return found


def answer(service: Live, **fields: float) -> int:
    return service.http.post(f"{STUDY}/answers", json=fields).status_code


async def heard(service: Live) -> list[ServerMessage]:
    """Everything up to the end of the study."""
    async with talk(service.url) as client:
        await client.say(Subscribe("simulate-1", ["marker", "rating", "study"], Position("", {})))
        await client.find(StudyMessage, lambda each: each.progress.phase == "done")
        return client.heard


def test_the_list_shows_the_protocols(service: Live) -> None:
    listed = service.http.get("/v1/studies").json()
    assert [each["name"] for each in listed if not each["shipped"]] == ["contact", "long", "timed"]
    assert listed[2]["record"]
    assert service.http.post(STUDY, json={"study": "none"}).status_code == 404


def test_a_study_goes_from_step_to_step(service: Live) -> None:
    begin(service, "timed")
    assert service.http.post(STUDY, json={"study": "long"}).status_code == 409
    service.until(lambda: progress(service)["step"] == 2)
    assert answer(service, step=2) == 409  # a rating is asked for
    assert answer(service, step=1, valence=1, arousal=1) == 409
    assert answer(service, step=2, valence=1) == 422
    assert answer(service, step=2, valence=70, arousal=30) == 200
    service.until(lambda: progress(service)["step"] == 3)
    assert progress(service)["left"] is None
    assert answer(service, step=3, valence=70, arousal=30) == 409
    assert answer(service, step=3) == 200
    service.until(lambda: progress(service)["phase"] == "done")
    assert answer(service, step=4) == 409

    messages = asyncio.run(heard(service))
    steps = [each for each in messages if isinstance(each, StudyMessage)]
    assert [each.progress.step for each in steps] == [0, 1, 2, 3, 4, 4]
    assert steps[1].progress.total == 0.3
    assert steps[1].progress.recording == steps[-1].progress.recording
    [rated] = [each for each in messages if isinstance(each, RatingMessage)]
    assert (rated.valence, rated.arousal) == (70, 30)
    labels = [
        "study timed begin",
        "first",
        "step 2",
        "rating valence 70 arousal 30",
        "step 3",
        "step 4",
        "no rating in step 4",
        "study timed end",
    ]
    markers = {
        each.label: each
        for each in messages
        if isinstance(each, MarkerMessage) and each.source in ("study", "rating")
    }
    assert sorted(markers) == sorted(labels)
    assert markers["step 2"].timestamp - markers["first"].timestamp >= 0.3

    name = steps[-1].progress.recording
    assert name is not None
    assert service.http.get(f"/v1/recordings/{name}").json()["state"] == "finished"
    content = service.http.get(f"/v1/recordings/{name}/file").content
    assert all(label.encode() in content for label in labels)
    tags = {"first": "Agent-action, (Experiment-participant, Rest)"}
    assert service.http.get(f"/v1/recordings/{name}").json()["hed"] == tags


def test_a_study_is_stopped(service: Live) -> None:
    begin(service, "long")
    service.until(lambda: progress(service)["step"] == 1)
    assert 500 < progress(service)["left"] <= 600
    stopped = service.http.delete(STUDY).json()["progress"]
    assert (stopped["phase"], stopped["reason"]) == ("stopped", "stopped on request")
    assert service.http.delete(STUDY).json()["progress"] == stopped
    ended = []
    for _ in range(2):  # begun again at once, it has a name and a recording of its own
        begin(service, "timed")
        service.until(lambda: progress(service)["step"] == 1)
        ended.append(service.http.delete(STUDY).json())
        assert ended[-1]["progress"]["reason"] == "stopped on request"
    assert len({each["id"] for each in ended}) == 2
    recordings = {each["progress"]["recording"] for each in ended}
    assert len(recordings) == 2
    for name in (*recordings, *(each["id"] for each in ended)):
        assert re.fullmatch(r"timed-(simulate-1-)?\d{8}-\d{6}-[0-9a-f]{4}", name)


def test_a_study_waits_for_good_electrodes(service: Live) -> None:
    begin(service, "contact")
    assert progress(service)["phase"] == "contact"
    service.until(lambda: progress(service)["left"] < 9)
    assert service.http.delete(STUDY).json()["progress"]["step"] == 0


def test_a_study_ends_with_its_session(service: Live) -> None:
    opened = service.http.post("/v1/sessions", json={"source": "simulate://", "model": "none"})
    path = f"/v1/sessions/{opened.json()['id']}"
    assert service.http.get(f"{path}/study").status_code == 404
    service.http.post(f"{path}/study", json={"study": "long"}).raise_for_status()
    service.http.delete(path).raise_for_status()
    assert service.http.get(f"{path}/study").status_code == 404


def test_good_electrodes_count_in_a_row() -> None:
    count = ContactCount(["TP9", "AF7"])

    def add(at: float, score: float = 0.9) -> float:
        channels = {name: ChannelQuality(score, None) for name in ("TP9", "AF7")}
        count.add(Quality(0, at, channels))
        return count.seconds

    assert [add(at) for at in (5, 6, 7)] == [0, 1, 2]
    assert add(8, 0.5) == 0
    assert count.reason == "TP9: poor signal"
    assert [add(at) for at in (9, 10)] == [0, 1]
    assert add(20) == 0  # what was not measured does not count
    assert add(21) == 1
    assert add(3) == 0  # a clock that steps
    count.add(Quality(0, 4, {"TP9": ChannelQuality(1, None)}))
    assert count.reason == "AF7 is not measured"


def test_protocols_are_edited_over_rest(service: Live) -> None:
    path, fresh = "/v1/studies/mine", {"If-None-Match": "*"}
    table = {"title": "Mine", "step": [{"text": "Rest", "seconds": 1}]}
    put = service.http.put
    assert put(path, json=table).status_code == 428
    made = put(path, json=table, headers=fresh)
    assert made.status_code == 200, made.text
    tag = made.headers["ETag"]
    assert put(path, json=table, headers=fresh).status_code == 412
    read = service.http.get(path)
    assert (read.json()["protocol"], read.headers["ETag"]) == (table, tag)
    longer = {**table, "record": True}
    changed = put(path, json=longer, headers={"If-Match": tag})
    late = put(path, json=table, headers={"If-Match": f"W/{tag}"})
    assert (late.status_code, late.headers["content-type"]) == (412, "application/problem+json")
    assert "somebody else" in late.json()["detail"]
    draft = {"protocol": {"step": [{"text": "Rest", "hed": "(Red"}, {"seconds": 0}]}}
    mistakes = service.http.post("/v1/study-checks", json=draft).json()
    assert [(each["step"], each["field"]) for each in mistakes] == [
        (1, "hed"),
        (2, "seconds"),
        (2, "text"),
    ]
    wrong = put(path, json=draft["protocol"], headers={"If-Match": "*"})
    assert (wrong.status_code, mistakes[0]["field"] in wrong.json()["detail"]) == (422, True)
    content = b"# mine\n[[step]]\ntext = 'Rest'\n"
    sent = put(f"{path}/file", content=content, headers={"If-Match": changed.headers["ETag"]})
    assert sent.status_code == 200, sent.text
    assert service.http.get(f"{path}/file").content == content
    assert put(f"{path}/file", content=b"\xff", headers={"If-Match": "*"}).status_code == 422
    assert put(f"{path}/file", content=b"#" * (1 << 21), headers=fresh).status_code == 413
    shipped = service.http.get("/v1/studies/eyes-open-closed")
    assert shipped.json()["shipped"]
    refused = put("/v1/studies/eyes-open-closed", json=table, headers={"If-Match": "*"})
    assert refused.status_code == 409
    for name in ("..%2Fmine", "%2e%2e", "a%00b", ".hidden", "x" * 90):
        answer = put(f"/v1/studies/{name}", json=table, headers=fresh)
        assert answer.status_code in (404, 405, 422), (name, answer.text)
    assert service.http.delete(path).status_code == 428
    assert service.http.delete(path, headers={"If-Match": tag}).status_code == 412
    assert service.http.delete(path, headers={"If-Match": sent.headers["ETag"]}).status_code == 204
    assert service.http.get(path).status_code == 404
