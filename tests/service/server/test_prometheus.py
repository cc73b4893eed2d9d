"""What Prometheus and a probe are told by a running service."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

import mimamba.service.sessions.registry
from mimamba.models.checkpoints.checkpoint import Checkpoint, load_checkpoint
from mimamba.models.inference.cpu.network import CPUNetwork
from mimamba.service.auth.login_throttle import MAX_FAILURES
from mimamba.service.bench.latency import receive, summarize
from mimamba.service.client.client import stream_url
from mimamba.service.protocol.messages import Error, PredictionMessage, SignalMessage, Subscribe
from mimamba.service.server.app import Limits
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import PATIENCE, Live, bearer, live, talk
from tests.service.models import random_checkpoint

pytestmark = pytest.mark.anyio


def numbers(service: Live) -> dict[tuple[str, str], float]:
    """Each sample's value by its name and its labels' values."""
    answer = service.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_a_running_service_in_numbers(tmp_path: Path) -> None:
    url = "simulate://?loss=2,0.5"
    with live(url, model=str(random_file(tmp_path)), data_dir=tmp_path / "data") as service:
        service.opened("simulate-1")
        before = numbers(service)
        assert before["mimamba_subscribers", ""] == 0
        new = {"session": "simulate-1", "name": "one"}
        assert service.http.post("/v1/recordings", json=new).status_code == 201
        assert service.http.get("/v1/sessions/nobody").status_code == 404
        async with talk(service.url) as client:
            await client.say(Subscribe("nobody", ["signal"]))
            await client.find(Error)
            await client.say(Subscribe("simulate-1", ["signal", "prediction"]))
            await client.find(PredictionMessage, lambda each: each.status == "ok")
            await client.find(SignalMessage, lambda each: each.first >= 2.5 * 256)
            after = numbers(service)
            ended_by = numbers(service)["mimamba_samples_received_total", "simulate-1"]
            heard = len(client.heard)
        service.until(lambda: numbers(service)["mimamba_subscribers", ""] == 0)
        assert service.http.post("/v1/recordings/one/stop").status_code == 200
        ended = numbers(service)
    assert after["mimamba_sessions", "open"] == 1
    assert after["mimamba_sessions", "ended"] == after["mimamba_sessions", "opening"] == 0
    assert after["mimamba_samples_received_total", "simulate-1"] >= 2 * 256
    # 128 before the samples 640, 1152, ...; the first of them had come, perhaps more since.
    lost, rest = divmod(after["mimamba_samples_lost_total", "simulate-1"], 128)
    assert (1 <= lost <= (ended_by + 128) // 512, rest) == (True, 0)
    assert after["mimamba_hops_total", "stepped simulate-1"] >= 1
    assert after["mimamba_hops_total", "abstained simulate-1"] >= 1
    assert ("mimamba_hops_total", "skipped simulate-1") in after
    assert ("mimamba_hops_late_total", "simulate-1") in after
    assert after["mimamba_subscribers", ""] == 1
    assert after["mimamba_messages_sent_total", ""] >= heard
    assert after["mimamba_sent_bytes_total", ""] > after["mimamba_messages_sent_total", ""]
    assert after["mimamba_prediction_age_seconds_count", ""] >= 1
    assert after["mimamba_entries_skipped_total", ""] == 0
    assert after["mimamba_recordings", ""] == 1
    assert after["mimamba_errors_total", "NoSession"] == 1
    assert after["mimamba_errors_total", "no_session"] == 1
    steps = {k[1]: v for k, v in after.items() if k[0] == "mimamba_step_seconds_count"}
    assert next(iter(steps.values())) >= after["mimamba_hops_total", "stepped simulate-1"]
    assert [v for k, v in after.items() if k[0] == "mimamba_engine_failures_total"] == [0]
    assert ended["mimamba_recordings", ""] == 0
    assert ended["mimamba_recordings_ended_total", "finished"] == 1


async def test_two_services_in_one_process_count_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    with live(model="none") as other, live("simulate://", model="none") as one:
        one.opened("simulate-1")
        monkeypatch.setattr("mimamba.service.api.sessions.view_session", fail)
        # The server ends a connection on which it failed: this one is not to be used again.
        answer = one.http.get("/v1/sessions", headers={"Connection": "close"})
        assert answer.status_code == answer.json()["status"] == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert numbers(one)["mimamba_errors_total", "InternalError"] == 1
        assert ("mimamba_errors_total", "InternalError") not in numbers(other)
        assert ("mimamba_samples_received_total", "simulate-1") in numbers(one)
        assert numbers(other)["mimamba_sessions", "open"] == 0


async def test_whoever_is_not_let_in_is_counted_by_why() -> None:
    def refused(service: Live) -> dict[str, float]:
        return {k[1]: v for k, v in numbers(service).items() if k[0] == "mimamba_refusals_total"}

    with live(
        source=[], token=CONTROL, view_token=VIEW, limits=Limits(auth_seconds=0.1)
    ) as service:
        assert service.http.post("/v1/login", json={"token": VIEW}).status_code == 200
        del service.http.headers["Authorization"]  # its cookie is good for the rest
        assert set(refused(service).values()) == {0}
        with httpx.Client(base_url=service.url, timeout=PATIENCE, verify=False) as stranger:
            stranger.get("/v1/sessions", headers={"Host": "evil.example"})
            stranger.get("/healthz", headers={"Origin": "http://evil.example"})
            with pytest.raises(InvalidStatus):
                await connect(stream_url(service.url), origin=Origin("http://evil.example"))
            stranger.get("/v1/sessions")
            async with talk(service.url) as client:  # and says nothing
                assert (await client.farewell()).code == 4401
            service.http.post("/v1/recordings", json={"session": "x"})
            with pytest.raises(InvalidStatus):
                await connect(service.url.replace("http", "ws") + "/elsewhere")
            for number in range(MAX_FAILURES + 3):
                if number % 3 == 0:
                    async with talk(service.url, headers=bearer("wrong")) as client:
                        await client.farewell()
                elif number % 3 == 1:
                    stranger.get("/v1/sessions", headers=bearer("wrong"))
                else:
                    stranger.post("/v1/login", json={"token": "wrong"})
        assert refused(service) == {
            "host": 1,
            "origin": 2,
            "no_token": 3,
            "scope": 1,
            "wrong_token": MAX_FAILURES,
            "too_many": 3,
        }


async def test_the_latency_is_measured_stage_by_stage(tmp_path: Path) -> None:
    with live("simulate://", model=str(random_file(tmp_path))) as service:
        told: list[None] = []
        heard = await receive(service.url, 2, lambda: told.append(None))
    stages = summarize(heard)
    assert msgspec.json.decode(msgspec.json.encode(stages)) == stages
    whole = stages.pop("reception to client")
    assert len(told) == 2
    assert all(0 <= part[0] <= whole[3] for part in stages.values())
    assert sum(part[3] for part in stages.values()) >= whole[3]


async def test_a_service_is_ready_when_its_model_is_loaded_and_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    loading = threading.Event()
    checkpoint = random_checkpoint(tmp_path)

    def slow(*_: object) -> Checkpoint:
        loading.wait()
        return checkpoint

    def fail(*_: object) -> None:
        raise RuntimeError("the weights have gone")

    monkeypatch.setattr(mimamba.service.sessions.registry, "load_checkpoint", slow)
    with live("simulate://") as running:
        try:
            running.until(lambda: running.http.get("/readyz").status_code == 503)
            answer = running.http.get("/readyz")
            assert answer.headers["content-type"] == "application/problem+json"
            assert "demo is loading" in answer.json()["detail"]
            assert running.http.get("/healthz").status_code == 200
        finally:
            loading.set()
        running.until(lambda: running.http.get("/readyz").status_code == 200)
        monkeypatch.setattr(CPUNetwork, "step", fail)
        running.until(lambda: _unready(running.http.get("/readyz")))
        running.until(lambda: running.sessions()["simulate-1"]["state"] == "ended")
        assert "weights have gone" in running.sessions()["simulate-1"]["reason"]
        assert numbers(running)["mimamba_engine_failures_total", "demo"] == 1
        ended = ("mimamba_errors_total", "EngineStopped")  # counted when the hub is told of it
        running.until(lambda: numbers(running).get(ended) == 1)
        assert running.http.get("/healthz").status_code == 200


def _unready(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and "the weights have gone" in answer.json()["detail"]


def random_file(folder: Path) -> Path:
    """The path of a small checkpoint."""
    random_checkpoint(folder)
    path = folder / "random.safetensors"
    assert load_checkpoint(path)
    return path
