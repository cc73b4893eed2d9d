"""Conversations with a running service over real WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mimamba.service.protocol.decode import decode_frame
from mimamba.service.protocol.messages import (
    Error,
    Heartbeat,
    Hello,
    LinkMessage,
    MarkerMessage,
    Ok,
    Ping,
    Pong,
    Position,
    PredictionMessage,
    SessionState,
    SignalMessage,
    Skipped,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from tests.service.live import Live, live, talk
from tests.service.models import demo_indices
from tests.service.muse_recordings import write_muse

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def service() -> Iterator[Live]:
    with live("simulate://?seed=3") as service:
        service.opened("simulate-1")
        yield service


@pytest.mark.parametrize("binary", [False, True])
async def test_a_subscriber_is_told_all_it_needs_and_then_the_news(
    service: Live, binary: bool
) -> None:
    async with talk(service.url, binary) as client:
        hello = await client.find(Hello)
        assert hello.protocol == "mimamba.v1"
        assert hello.clock is not None
        assert hello.scope == "control"
        assert abs(hello.clock.unix - hello.clock.lsl) > 1e6
        assert (await client.find(SessionState)).state == "opened"
        await client.say(Subscribe("simulate-1", ["prediction", "signal"], id=7))
        subscribed = await client.find(Subscribed)
        assert subscribed.id == 7
        assert subscribed.info.simulated
        assert subscribed.model is not None
        assert "simulated" in (subscribed.model.notice or "")
        assert subscribed.outputs == {"valence": ["low", "high"], "arousal": ["low", "high"]}
        assert [e.channel for e in subscribed.montage or []] == list(subscribed.info.ch_names)
        assert subscribed.delay is not None
        assert 0 < subscribed.delay < 0.2
        first = await client.find(SignalMessage)
        assert first.seq >= subscribed.next["signal"]
        second = await client.find(SignalMessage)
        data = np.frombuffer(first.data, "<f4").reshape(-1, 4)
        times = np.frombuffer(first.timestamps, "<f8")
        assert len(data) == len(times)
        assert second.first == first.first + len(data)
        one = await client.find(PredictionMessage)
        other = await client.find(PredictionMessage)
        assert other.seq == one.seq + 1
        here, there = demo_indices(1024)[:2]
        assert other.index == one.index + there - here
        assert one.timing.received <= one.timing.stepped <= one.timing.published
        await client.find(Heartbeat)


async def test_predictions_are_probabilities_once_the_model_is_warm(service: Live) -> None:
    async with talk(service.url) as client:
        await client.say(Subscribe("simulate-1", ["prediction"], Position("")))
        warm = await client.find(PredictionMessage, lambda each: each.status == "ok")
        assert warm.reason is None
        assert warm.outputs is not None
        for shares in warm.outputs.values():
            assert sum(shares.values()) == pytest.approx(1)
        cold = next(each for each in client.heard if isinstance(each, PredictionMessage))
        assert cold.status == "warming_up"
        assert cold.outputs is None
        assert "warming up" in (cold.reason or "")


async def test_the_past_is_sent_on_request(service: Live) -> None:
    async with talk(service.url) as client:
        await client.say(
            Subscribe("simulate-1", ["signal", "marker", "link"], Position("another epoch"))
        )
        assert (await client.find(Subscribed)).next == {"signal": 0, "marker": 0, "link": 0}
        marker = await client.find(MarkerMessage)
        assert (marker.index, marker.source) == (0, "simulator")
        assert (await client.find(LinkMessage)).event == "connected"
        assert (await client.find(SignalMessage)).first == 0


async def test_questions_are_answered_with_their_ids(service: Live) -> None:
    async with talk(service.url, binary=False) as client:
        await client.say(Ping(1.5, id="a"))
        pong = await client.find(Pong)
        assert (pong.t, pong.id) == (1.5, "a")
        await client.say(Subscribe("simulate-1", ["prediction"]))
        await client.say(Unsubscribe("simulate-1", id="b"))
        assert (await client.find(Ok)).id == "b"
        await client.say(Ping(2))
        await client.find(Pong)
        here = len(client.heard)
        await client.find(Heartbeat)
        await client.find(Heartbeat)
        assert not any(isinstance(each, PredictionMessage) for each in client.heard[here:])


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "bad_message"),
        ("{", "bad_message"),
        ("[" * 10_000, "bad_message"),
        ('{"type": "dance"}', "bad_message"),
        ('{"type": "subscribe", "session": "simulate-1", "topics": ["mind"]}', "bad_message"),
        ('{"type": "subscribe", "session": "simulate-1"}', "bad_message"),
        (b"\x00\xff", "bad_frame"),
        ('{"type": "subscribe", "session": "nobody", "topics": ["link"], "id": 4}', "no_session"),
    ],
)
async def test_nonsense_is_answered_and_the_conversation_goes_on(
    service: Live, frame: str | bytes, code: str
) -> None:
    async with talk(service.url, binary=False) as client:
        await client.socket.send(frame)
        error = await client.find(Error)
        assert error.code == code
        assert "Expected" in error.message
        await client.say(Ping(3))
        assert (await client.find(Pong)).t == 3


@pytest.mark.parametrize(
    ("payload", "binary"),
    [
        ('{"type": "subscribe", "session": "\ud800", "topics": []}', False),
        ("\udfff", False),
        ("[" * 100_000, False),
        (b"\x81\xa4type\xa1\xff", True),
        (b"", True),
    ],
    ids=["half a character", "the other half", "deep", "no text", "nothing"],
)
def test_what_is_no_text_is_answered(payload: bytes | str, binary: bool) -> None:
    found = decode_frame(payload, binary)
    assert isinstance(found, Error)
    assert found.code == "bad_message"
    assert found.message.isprintable()


async def test_a_flood_from_one_that_never_reads_ends_with_it() -> None:
    """A client that left leaves nothing behind, also if its requests still wait."""
    with live() as service:

        def connected() -> int:
            count: int = service.http.get("/healthz").json()["subscribers"]
            return count

        async with talk(service.url, narrow=True) as client:
            await client.find(Hello)
            assert connected() == 1
            with contextlib.suppress(TimeoutError):
                while True:  # until even its own socket takes no more
                    async with asyncio.timeout(0.5):
                        await client.say(Ping(0, id="x" * 10_000))
            client.socket.transport.abort()
        service.until(lambda: connected() == 0)


async def test_unknown_fields_are_ignored(service: Live) -> None:
    async with talk(service.url, binary=False) as client:
        await client.socket.send(json.dumps({"type": "ping", "t": 1, "colour": "blue"}))
        assert (await client.find(Pong)).t == 1


async def test_a_cut_client_goes_on_where_it_was() -> None:
    """Every prediction and every sample comes exactly once over cuts at any place."""
    rng = np.random.default_rng(0)
    with live("simulate://?seed=5") as service:
        service.opened("simulate-1")
        since = Position("", {})
        indices: list[int] = []
        expected = 0
        for _ in range(6):
            async with talk(service.url) as client:
                await client.say(Subscribe("simulate-1", ["prediction", "signal"], since))
                since = Position((await client.find(Subscribed)).epoch, dict(since.seq))
                for _ in range(int(rng.integers(1, 40))):
                    message = await client.hear()
                    assert not isinstance(message, Skipped | Subscribed)
                    if isinstance(message, PredictionMessage):
                        since.seq["prediction"] = message.seq
                        indices.append(message.index)
                    elif isinstance(message, SignalMessage):
                        assert message.first == expected
                        expected += len(message.data) // 16
                        since.seq["signal"] = message.seq
    assert indices == demo_indices(indices[-1] + 1)  # the last may come before its samples
    assert expected > 256


async def test_a_loop_is_a_new_epoch(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "short.csv", seconds=4)
    with live(f"replay://{path}?speed=8&loop=1") as service:
        service.opened("replay-1")
        async with talk(service.url) as client:
            await client.say(Subscribe("replay-1", ["prediction", "signal"], Position("")))
            first = await client.find(Subscribed)
            second = await client.find(Subscribed)
            assert second.epoch != first.epoch
            assert second.next == {"prediction": 0, "signal": 0}
            before = [each for each in client.heard if isinstance(each, SignalMessage)]
            assert sum(len(each.data) // 16 for each in before) == 4 * 256
            assert sum(isinstance(each, PredictionMessage) for each in client.heard) == len(
                demo_indices(1024)
            )
            here = len(client.heard)
            for kind in (SignalMessage, PredictionMessage):  # either may come first
                await client.find(kind)
            heard = client.heard[here:]
            assert next(each.first for each in heard if isinstance(each, SignalMessage)) == 0
            told = next(each for each in heard if isinstance(each, PredictionMessage))
            assert told.index == demo_indices(1024)[0]


async def test_an_ended_recording_is_reported_after_its_last_sample(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "short.csv", seconds=3)
    with live(f"replay://{path}?speed=0.1") as service:
        async with talk(service.url) as client:
            await client.find(SessionState, lambda each: each.state == "opened")
            await client.say(Subscribe("replay-1", ["prediction", "signal"], Position("")))
            await client.find(Subscribed)  # whoever follows later is not told of the end
            service.play("replay-1", speed="max")
            ended = await client.find(SessionState, lambda each: each.state == "ended")
            assert ended.reason is None
            assert (
                sum(len(m.data) // 16 for m in client.heard if isinstance(m, SignalMessage)) == 768
            )
            assert sum(isinstance(m, PredictionMessage) for m in client.heard) == len(
                demo_indices(768)
            )
        assert service.http.delete("/v1/sessions/replay-1").status_code == 204
        assert service.sessions() == {}


async def test_one_that_never_reads_changes_nothing_for_the_others(tmp_path: Path) -> None:
    """A subscriber that stalls gets the range it missed; the others miss nothing."""
    path = write_muse(tmp_path / "long.csv", seconds=420)
    with live(f"replay://{path}?speed=0.1", model="none") as service:
        service.opened("replay-1")
        async with talk(service.url, narrow=True) as stalled, talk(service.url) as client:
            for each in (stalled, client):
                await each.say(Subscribe("replay-1", ["signal"], Position("")))
                await each.find(Subscribed)  # or the first samples might be gone
            service.play("replay-1", speed=64)
            await client.find(SessionState, lambda each: each.state == "ended")
            signals = [each for each in client.heard if isinstance(each, SignalMessage)]
            assert sum(len(each.data) // 16 for each in signals) == 420 * 256
            assert not any(isinstance(each, Skipped) for each in client.heard)
            await stalled.find(SessionState, lambda each: each.state == "ended")
        skipped = [each for each in stalled.heard if isinstance(each, Skipped)]
        assert skipped
        told: list[tuple[int, int]] = []  # what each message covers, by seq
        for message in stalled.heard:
            if isinstance(message, Skipped):
                told.append((message.first, message.last))
            elif isinstance(message, SignalMessage):
                told.append((told[-1][1] + 1 if told else 0, message.seq))
        assert all(one[1] + 1 == other[0] for one, other in pairwise(told))
        assert told[-1][1] == signals[-1].seq
