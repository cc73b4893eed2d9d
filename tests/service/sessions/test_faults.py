"""Faults of a source: they are seen, reported, and confined to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest

from mimamba.service.protocol.messages import (
    LinkMessage,
    Position,
    PredictionMessage,
    SignalMessage,
    Subscribe,
)
from tests.service.live import PATIENCE, Live, live, talk
from tests.service.muse_recordings import write_muse

pytestmark = pytest.mark.anyio


async def test_a_dead_headset_is_noticed_and_goes_on_after_reconnection() -> None:
    with live("simulate://?dead=4", model="none") as service:
        service.opened("simulate-1")
        async with talk(service.url) as client:
            await client.say(Subscribe("simulate-1", ["signal", "link"], Position("")))
            lost = await client.find(LinkMessage, lambda each: each.event == "lost")
            # News of the link may come before the signal that was there before it.
            last = await client.told(
                SignalMessage, lambda each: each.first + len(_times(each)) >= 4 * 256
            )
            silence = lost.timestamp - _times(last)[-1]
            assert 1.9 < silence < PATIENCE  # by the clock of the samples, not by ours
            shown = service.sessions()["simulate-1"]
            assert shown["state"] == "open"
            back = await client.told(LinkMessage, lambda each: each.event == "gap")
            first = await client.told(SignalMessage, lambda each: each.first > last.first)
            assert any(each.event == "connected" for each in _links(client.heard)[2:])
            assert back.first == last.first + len(_times(last)) == 4 * 256
            assert back.lost is not None
            assert first.first == back.first + back.lost
            elapsed = _times(first)[0] - _times(last)[-1]
            assert back.lost + 1 == pytest.approx(elapsed * 256, abs=1)


async def test_every_gap_is_told_to_the_sample() -> None:
    with live("simulate://?loss=2,0.5", model="none") as service:
        service.opened("simulate-1")
        async with talk(service.url) as client:
            await client.say(Subscribe("simulate-1", ["signal", "link"], Position("")))
            gaps: list[LinkMessage] = []
            while len(gaps) < 3:
                gaps.append(await client.find(LinkMessage, lambda each: each.event == "gap"))
            # What came before it may be told after it.
            await client.told(SignalMessage, lambda each: each.first > (gaps[-1].first or 0))
        signals = [each for each in client.heard if isinstance(each, SignalMessage)]
        jumps = [
            (one.first + len(_times(one)), other.first)
            for one, other in pairwise(signals)
            if other.first != one.first + len(_times(one))
        ]
        assert len(jumps) >= 3
        for gap, jump in zip(gaps, jumps, strict=False):
            assert (gap.first, gap.first + gap.lost) == jump  # type: ignore[operator]
            assert gap.lost == 128


async def test_what_cannot_be_opened_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "letter.csv").write_text("Dear Sir,\n")
    write_muse(tmp_path / "muse.csv", seconds=60)
    with live("simulate://", files=tmp_path) as service:
        service.opened("simulate-1")
        for source, status in (
            ("letter.csv", 422),
            ("nothing.csv", 422),
            ("../muse.csv", 403),
            ("ftp://x", 422),
            ("brainflow://no_such_board", 422),
            ("brainflow://muse_2", 424),
            ("replay://muse.csv?speed=fast", 422),
        ):
            answer = service.http.post("/v1/sessions", json={"source": source})
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert "Expected" in answer.json()["detail"]
        assert service.http.post("/v1/sessions", json={"colour": 1}).status_code == 422
        assert service.http.get("/v1/sessions/nobody").status_code == 404
        assert service.http.delete("/v1/sessions/nobody").status_code == 404
        new = {"source": "muse.csv", "id": "mine"}
        assert service.http.post("/v1/sessions", json=new).status_code == 201
        assert service.http.post("/v1/sessions", json=new).status_code == 409
        assert set(service.sessions()) == {"simulate-1", "mine"}
        async with talk(service.url) as client:
            await client.say(Subscribe("simulate-1", ["prediction"]))
            await client.find(PredictionMessage)
        assert service.http.delete("/v1/sessions/mine").status_code == 204
        assert set(service.sessions()) == {"simulate-1"}


async def test_channels_that_no_model_can_use_are_watched_without_one(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=30)
    with live(f"replay://{path}?names=a,b,c,d") as service:
        service.opened("replay-1")
        shown = service.sessions()["replay-1"]
        assert shown["model"] is None
        assert any("only the signal" in notice for notice in shown["info"]["notices"])
        required = {"source": "simulate://?channels=1,2,3", "model": "demo"}
        assert service.http.post("/v1/sessions", json=required).status_code == 422


async def test_a_session_ended_twice_leaves_the_next_of_its_name_alone() -> None:
    with live(model="none") as service:
        new = {"source": "simulate://", "id": "mine"}
        for _ in range(5):
            assert (await _post(service, new)).status_code == 201
            ends = [asyncio.to_thread(service.http.delete, "/v1/sessions/mine") for _ in range(3)]
            again = _post(service, new)
            statuses = [each.status_code for each in await asyncio.gather(*ends, again)]
            assert set(statuses) <= {201, 204, 404, 409, 424}  # closed while it opened
            service.http.delete("/v1/sessions/mine")
            assert service.sessions() == {}


async def _post(service: Live, new: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=service.url, timeout=60, verify=False) as http:
        return await http.post("/v1/sessions", json=new)


def test_health_is_reported() -> None:
    with live() as service:
        assert service.http.get("/healthz").json() == {
            "status": "ok",
            "sessions": 0,
            "subscribers": 0,
        }
        assert service.http.get("/readyz").status_code == 200
        assert "openapi" in service.http.get("/v1/openapi.json").json()


def _times(message: SignalMessage) -> list[float]:
    return [float(each) for each in np.frombuffer(message.timestamps, "<f8")]


def _links(heard: Sequence[object]) -> list[LinkMessage]:
    return [each for each in heard if isinstance(each, LinkMessage)]
