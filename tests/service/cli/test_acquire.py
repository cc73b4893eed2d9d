"""A remote acquirer over a bad line: every sample arrives once, and says the same as offline."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.open import open_recording
from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.service.acquire.acquirer import Acquirer
from mimamba.service.acquire.outbox import Outbox
from mimamba.service.acquire.source_acquirer import PushRefused
from mimamba.service.client.client import ServiceUnreachable
from mimamba.service.protocol.messages import (
    MSGPACK_SUBPROTOCOL,
    Error,
    HeartMessage,
    LinkMessage,
    MotionMessage,
    Ping,
    Pong,
    Position,
    PPGMessage,
    PredictionMessage,
    QualityMessage,
    SessionState,
    SignalMessage,
    Skipped,
    Subscribe,
)
from mimamba.service.protocol.push import Ack, Push, Pushing, Samples
from tests.ports import kept_port
from tests.service.cli.test_main import invoke
from tests.service.forked import LoadedProgram
from tests.service.live import PATIENCE, Live, Talk, live, talk
from tests.service.muse_recordings import write_muse
from tests.service.proxy import Line, bad_line
from tests.service.sessions.test_equality import assert_same, scored

INFO = StreamInfo("Far", "far-1", 256.0, ("TP9", "AF7", "AF8", "TP10"))

pytestmark = pytest.mark.anyio


@dataclass
class Heard:
    """All that a session said."""

    first: list[int] = field(default_factory=list)
    data: list[np.ndarray[Any, np.dtype[np.float32]]] = field(default_factory=list)
    timestamps: list[np.ndarray[Any, np.dtype[np.float64]]] = field(default_factory=list)
    predictions: list[PredictionMessage] = field(default_factory=list)
    links: list[LinkMessage] = field(default_factory=list)

    @property
    def index(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Each sample's index."""
        runs = (f + np.arange(len(d)) for f, d in zip(self.first, self.data, strict=True))
        return np.concatenate(list(runs))


async def follow(client: Talk, name: str, enough: Callable[[Heard], bool]) -> Heard:
    """What a session says from its start until it has ended, or is enough."""
    heard = Heard()
    await client.find(SessionState, lambda each: (each.session, each.state) == (name, "opened"))
    await client.say(Subscribe(name, ["signal", "prediction", "link"], Position("")))
    while not enough(heard):
        message = await client.hear()
        assert not isinstance(message, Skipped)
        if isinstance(message, SessionState) and message.state == "ended":
            assert message.reason is None
            return heard
        if isinstance(message, SignalMessage):
            heard.first.append(message.first)
            heard.data.append(np.frombuffer(message.data, "<f4").reshape(-1, 4))
            heard.timestamps.append(np.frombuffer(message.timestamps, "<f8"))
        elif isinstance(message, PredictionMessage):
            heard.predictions.append(message)
        elif isinstance(message, LinkMessage):
            heard.links.append(message)
    return heard


def never(_: Heard) -> bool:
    return False


def holds(n_times: int) -> Callable[[Heard], bool]:
    """Whether so many samples have come."""
    return lambda heard: sum(map(len, heard.data)) >= n_times


@asynccontextmanager
async def acquiring(source: str, to: str, **options: Any) -> AsyncIterator[Acquirer]:
    """An acquirer at work; it has said goodbye on leaving."""
    acquirer = Acquirer(source, to, **options)
    task = asyncio.create_task(acquirer.run())
    try:
        yield acquirer
    finally:
        task.cancel()
        await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


def acknowledged(outbox: Outbox) -> int:
    """Samples of which the service has told that they arrived; no fewer have."""
    return outbox.taken - outbox.lost - round(outbox.seconds * outbox.info.sfreq)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With gaps of its own, a flat and a railed electrode."""
    return write_muse(tmp_path_factory.mktemp("muse") / "muse.csv", seconds=30, broken=True)


@pytest.fixture(scope="module")
def offline(recording: Path) -> list[dict[str, Any]]:
    return scored(recording)


def break_at_random(line: Line, rng: np.random.Generator) -> None:
    """Break the line after some bytes, anew each time."""
    line.budget = int(rng.integers(2_000, 50_000))


@pytest.mark.parametrize("seed", [0, 1])
async def test_a_recording_over_a_line_that_breaks_says_the_same_as_offline(
    recording: Path, offline: list[dict[str, Any]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    with live() as service:
        async with bad_line(service.url) as line, talk(service.url) as client:
            following = asyncio.create_task(follow(client, "push-1", never))
            sending = asyncio.create_task(
                Acquirer(f"replay://{recording}?speed=max", line.url, buffer=5.0).run()
            )
            while not sending.done():
                if line.budget is None:
                    break_at_random(line, rng)
                await asyncio.sleep(0.02)
            await sending
            heard = await following
        assert line.connections > 4
        state = service.sessions()["push-1"]
    assert (state["state"], state["reason"]) == ("ended", None)
    assert not state["info"]["live"]
    assert_same(heard.predictions, offline)
    truth = open_recording(str(recording))
    np.testing.assert_array_equal(heard.index, truth.index)
    np.testing.assert_array_equal(np.concatenate(heard.data), truth.data)
    assert np.all(np.diff(np.concatenate(heard.timestamps)) > 0)
    jumps = np.flatnonzero(np.diff(truth.index) != 1)
    gaps = [each.first for each in heard.links if each.event == "gap"]
    assert gaps == [int(truth.index[jump]) + 1 for jump in jumps] != []


async def test_a_live_source_over_a_line_that_falls_silent_loses_nothing() -> None:
    with live(model="none") as service:
        async with bad_line(service.url) as line, talk(service.url) as client:
            async with acquiring("simulate://?seed=4", line.url) as acquirer:
                await until(lambda: "push-1" in service.sessions())
                # The link is there with the first samples, which may come after the session.
                await until(lambda: service.sessions()["push-1"]["link"] is not None)
                line.flowing.clear()
                await until(lambda: acquirer.state == "reconnecting")
                # The service finds out for itself, before it hears of the acquirer again.
                await until(lambda: service.sessions()["push-1"]["link"]["event"] == "lost")
                line.flowing.set()
                await until(lambda: acquirer.state == "connected")
                before = line.connections
                line.cut()
                await until(lambda: line.connections > before)
                assert acquirer.outbox is not None
                enough = acquirer.outbox.taken + 256
                heard = await follow(client, "push-1", holds(enough))
            await until(lambda: service.sessions()["push-1"]["state"] == "ended")
            clock = await ask_clock(client)
    assert acquirer.outbox.delivered
    index = heard.index
    np.testing.assert_array_equal(index, np.arange(len(index)))
    truth = Synthesizer("tour", 4).next(len(index))
    np.testing.assert_array_equal(np.concatenate(heard.data), truth)
    events = [each.event for each in heard.links]
    assert events[:3] == ["connected", "lost", "connected"]
    assert "gap" not in events
    assert "acquirer" in heard.links[1].detail
    # Both clocks are this machine's, so the offset must be found to be about nothing.
    last = float(np.concatenate(heard.timestamps)[-1])
    assert abs(clock - last) < PATIENCE


async def test_pulse_motion_and_battery_come_along() -> None:
    with live(model="none") as service:
        async with (
            talk(service.url) as client,
            acquiring("simulate://?sensors=1", service.url, session="far", model="none"),
        ):
            await client.find(SessionState, lambda each: each.session == "far")
            topics = ["ppg", "motion", "heart"]
            await client.say(Subscribe("far", topics, Position("")))  # type: ignore[arg-type]
            heart = await client.find(HeartMessage, lambda each: each.rate is not None)
            assert heart.rate == pytest.approx(68, abs=6)
            light = [each for each in client.heard if isinstance(each, PPGMessage)]
            ends = [each.first + len(each.timestamps) // 8 for each in light]
            assert [each.first for each in light] == [0, *ends[:-1]]
            motion = {each.sensor for each in client.heard if isinstance(each, MotionMessage)}
            assert motion == {"acceleration", "rotation"}
            assert 80 < service.sessions()["far"]["battery"] <= 85


async def ask_clock(client: Talk) -> float:
    await client.say(Ping(0.0))
    return (await client.find(Pong)).clock.lsl


async def test_a_loss_beyond_the_buffer_is_a_gap_of_the_exact_length() -> None:
    with live(model="none") as service:
        async with (
            bad_line(service.url) as line,
            talk(service.url) as client,
            acquiring("simulate://?seed=4", line.url, buffer=1.0) as acquirer,
        ):
            await until(lambda: acquirer.state == "connected")
            outbox = acquirer.outbox
            assert outbox is not None
            await until(lambda: acknowledged(outbox) > 0)  # or there is nothing to be a gap in
            line.up = False
            line.cut()
            await until(lambda: outbox.lost > 300)
            line.up = True
            await until(lambda: acquirer.state == "connected")
            heard = await follow(client, "push-1", holds(outbox.taken - outbox.lost + 256))
    index = heard.index
    # A second is soon over: there may be further losses, the last of them not in the signal yet.
    jumps = np.flatnonzero(np.diff(index) != 1)
    gaps = [(each.first, each.lost) for each in heard.links if each.event == "gap"]
    lost = np.diff(index)[jumps] - 1
    assert gaps[: len(jumps)] == list(zip(index[jumps] + 1, lost, strict=True)) != []
    assert lost.sum() <= outbox.lost  # some may have arrived whose acknowledgement did not
    truth = Synthesizer("tour", 4).next(int(index[-1]) + 1)
    np.testing.assert_array_equal(np.concatenate(heard.data), truth[index])


async def test_the_headsets_own_losses_are_reported_far_away() -> None:
    with live(model="none") as service:
        async with talk(service.url) as client, acquiring("simulate://?dead=1", service.url):
            heard = await follow(
                client, "push-1", lambda heard: "retrying" in [each.event for each in heard.links]
            )
    # The acquirer's own link may be lost in between, where this machine is slow.
    [*_, lost, retrying] = [each for each in heard.links if "acquirer" not in each.detail]
    assert [each.event for each in (heard.links[0], lost, retrying)] == [
        *("connected", "lost", "retrying")
    ]
    assert "no sample within 2 s" in lost.detail


async def test_a_service_that_starts_anew_gets_what_the_old_one_had_not() -> None:
    with kept_port() as port:
        with live(model="none", port=port) as service:
            async with talk(service.url) as client:
                sending = acquiring("simulate://?seed=4", service.url, session="far")
                acquirer = await sending.__aenter__()
                before = await follow(client, "far", holds(256))
                outbox = acquirer.outbox
                assert outbox is not None
                await until(lambda: acknowledged(outbox) > before.index[-1])  # or it comes again
        with live(model="none", port=port) as service:
            await asyncio.to_thread(service.opened, "far")
            async with talk(service.url) as client:
                after = await follow(client, "far", holds(256))
            await sending.__aexit__(None, None, None)
            service.until(lambda: service.sessions()["far"]["state"] == "ended")
    assert outbox.lost == 0
    assert after.links[0].event == "connected"
    assert after.index[0] >= before.index[-1] + 1
    index = after.index
    truth = Synthesizer("tour", 4).next(int(index[-1]) + 1)
    np.testing.assert_array_equal(np.concatenate(after.data), truth[index])


class Relay:
    """A line between an acquirer and a service that spoils some messages on their way."""

    def __init__(self, to: str) -> None:
        self.connections = 0
        self.spoil_up: set[int] = set()  # numbers of messages, counted over all connections
        self.spoil_down: set[int] = set()
        self._to = f"{to.replace('http', 'ws', 1)}/v1/stream"
        self._sent = {"up": 0, "down": 0}

    async def serve(self, near: ServerConnection) -> None:
        self.connections += 1
        protocols = [Subprotocol(MSGPACK_SUBPROTOCOL)]
        async with connect(self._to, subprotocols=protocols, compression=None) as far:
            ways = (self._carry(near, far, "up"), self._carry(far, near, "down"))
            carrying = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(carrying, return_when=asyncio.FIRST_COMPLETED)
            for task in carrying:
                task.cancel()

    async def _carry(
        self,
        source: ServerConnection | ClientConnection,
        to: ServerConnection | ClientConnection,
        way: str,
    ) -> None:
        with suppress(ConnectionClosed):
            async for message in source:
                number = self._sent[way]
                self._sent[way] += 1
                bad = number in (self.spoil_up if way == "up" else self.spoil_down)
                await to.send(b"\xc1" if bad else message)


@asynccontextmanager
async def relay(to: str) -> AsyncIterator[tuple[str, Relay]]:
    """A relay's address, and the relay."""
    line = Relay(to)
    protocols = [Subprotocol(MSGPACK_SUBPROTOCOL)]
    async with serve(
        line.serve, "127.0.0.1", 0, subprotocols=protocols, compression=None
    ) as server:
        (socket, *_) = server.sockets
        yield f"http://127.0.0.1:{socket.getsockname()[1]}", line


@pytest.mark.parametrize("way", ["spoil_up", "spoil_down"])
async def test_a_damaged_frame_costs_a_connection_and_no_sample(way: str) -> None:
    with live(model="none") as service:
        async with relay(service.url) as (url, line), talk(service.url) as client:
            async with acquiring("simulate://?seed=4", url) as acquirer:
                await until(lambda: acquirer.state == "connected")
                before = line.connections
                number = line._sent["up" if way == "spoil_up" else "down"] + 3
                setattr(line, way, {number, number + 40})
                await until(lambda: line.connections >= before + 2)
                await until(lambda: acquirer.state == "connected")
                assert acquirer.outbox is not None
                heard = await follow(client, "push-1", holds(acquirer.outbox.taken + 256))
            assert acquirer.outbox.delivered
    np.testing.assert_array_equal(heard.index, np.arange(len(heard.index)))
    truth = Synthesizer("tour", 4).next(len(heard.index))
    np.testing.assert_array_equal(np.concatenate(heard.data), truth)
    assert "gap" not in [each.event for each in heard.links]


async def test_a_service_of_another_protocol_ends_the_acquirer() -> None:
    with live(model="none") as service:
        async with relay(service.url) as (url, line):
            acquirer = Acquirer("simulate://", url)
            sending = asyncio.create_task(acquirer.run())
            await until(lambda: acquirer.state == "connected")
            line.spoil_down = set(range(10**6))
            with pytest.raises(PushRefused, match="does not speak protocol v1"):
                await sending


async def test_a_closed_session_ends_its_acquirer() -> None:
    with live(model="none") as service:
        acquirer = Acquirer("simulate://", service.url)
        sending = asyncio.create_task(acquirer.run())
        await until(lambda: acquirer.session is not None)
        response = await asyncio.to_thread(service.http.delete, "/v1/sessions/push-1")
        assert response.status_code == 204
        with pytest.raises(PushRefused, match="ended"):
            await sending
        assert service.sessions() == {}


async def test_no_service_and_no_such_model_are_reported_before_anything_is_sent() -> None:
    with live(model="none") as service, pytest.raises(PushRefused, match="no-such-model"):
        await Acquirer("simulate://", service.url, model="no-such-model").run()
    with pytest.raises(ServiceUnreachable, match="mimamba serve"):
        await Acquirer("simulate://", service.url).run()


# What is said by hand -----------------------------------------------------------------------------


def samples(session: str, seq: int, first: int, **other: Any) -> Samples:
    index = first + np.arange(12)
    data = np.repeat(index[:, None], 4, axis=1).astype("<f4")
    stamps = (100 + index / 256).astype("<f8")
    fields = {"timestamps": stamps.tobytes(), "data": data.tobytes(), "offset": 0.0, **other}
    return Samples(session, seq, first, **fields)


STREAM = "0123456789abcdef"


@pytest.mark.parametrize("binary", [False, True])
async def test_a_conversation_by_hand(binary: bool) -> None:
    with live(model="none") as service:
        async with talk(service.url, binary) as far:
            await far.say(Push(STREAM, INFO, "far", id=3))
            assert await far.find(Pushing) == Pushing("far", STREAM, 0, 3)
            await far.say(samples("far", 0, 0))
            assert (await far.find(Ack)).seq == 0
            await far.say(samples("far", 4, 48))
            assert (await far.find(Ack)).seq == 4
            await far.say(samples("far", 2, 24))
            assert (await far.find(Ack)).seq == 4
        async with talk(service.url, binary) as far:
            await far.say(Push(STREAM, INFO))
            assert (await far.find(Pushing)).next == 5
            await far.say(samples("far", 5, 60, ends=True))
            assert (await far.find(Ack)).seq == 5
            await far.find(SessionState, lambda each: each.state == "ended")
            await far.say(Push(STREAM, INFO))
            assert (await far.find(Pushing)).next == 6
            # Another acquirer may have the id of one that has ended.
            await far.say(Push("another stream...", INFO, "far"))
            assert (await far.find(Pushing)).next == 0
        assert service.sessions()["far"]["state"] == "open"


async def test_samples_after_a_damaged_message_wait_for_another_push(service: Live) -> None:
    """Else those that it held would be a gap."""
    async with talk(service.url) as far:
        await far.say(Push(STREAM + "damaged", INFO, "damaged"))
        await far.find(Pushing)
        await far.say(samples("damaged", 0, 0))
        assert (await far.find(Ack)).seq == 0
        await far.socket.send(b"\xc1")  # was the next one
        await far.say(samples("damaged", 2, 24))
        assert [(await far.find(Error)).code for _ in range(2)] == ["bad_message", "no_push"]
        await far.say(Push(STREAM + "damaged", INFO, "damaged"))
        assert (await far.find(Pushing)).next == 1
        for seq in (1, 2):
            await far.say(samples("damaged", seq, 12 * seq))
        await far.find(Ack, lambda each: each.seq == 2)


async def test_a_push_whose_answer_is_lost_is_found_again() -> None:
    with live() as service:  # its model takes a while to load
        async with talk(service.url) as far:
            await far.say(Push(STREAM, INFO))
            far.socket.transport.abort()
        async with talk(service.url) as far:
            await far.say(Push(STREAM, INFO))
            assert (await far.find(Pushing)).session == "push-1"
        assert list(service.sessions()) == ["push-1"]


@pytest.mark.parametrize(
    "info",
    [
        replace(INFO, sfreq=0.0),
        replace(INFO, sfreq=1e9),
        replace(INFO, ch_names=()),
        replace(INFO, ch_names=("A", "A")),
        replace(INFO, ch_names=tuple(map(str, range(65)))),
        replace(INFO, ch_names=("A", "")),
        replace(INFO, uv_per_bit=-1.0),
        replace(INFO, name="x" * 10_000),
        replace(INFO, notices=("x",) * 100),
    ],
    ids=str,
)
async def test_a_stream_that_is_none_is_refused(service: Live, info: StreamInfo) -> None:
    async with talk(service.url) as far:
        await far.say(Push(STREAM + "none", info, "none", id=1))
        error = await far.find(Error)
        assert (error.code, error.id) == ("push_refused", 1)
        assert error.message.startswith("Expected")
    assert "none" not in service.sessions()


@pytest.fixture(scope="module")
def service() -> Any:
    with live(model="none") as service:
        yield service


async def test_a_stream_belongs_to_the_person_it_names(tmp_path: Path) -> None:
    with live(model="none", data_dir=tmp_path) as service:
        async with talk(service.url) as far:
            await far.say(Push(STREAM, INFO, "far", id=1, person="no one!"))
            refused = await far.find(Error)
            assert (refused.code, refused.id) == ("push_refused", 1)
            assert service.sessions() == {}
            await far.say(Push(STREAM, INFO, "far", person="P01"))
            assert (await far.find(Pushing)).session == "far"
        assert service.sessions()["far"]["person"] == "P01"


async def test_an_id_that_is_taken_stays_its_acquirers(service: Live) -> None:
    async with talk(service.url) as far, talk(service.url) as other:
        await far.say(Push(STREAM + "mine", INFO, "mine"))
        await far.find(Pushing)
        await other.say(Push(STREAM + "other", INFO, "mine"))
        assert "taken" in (await other.find(Error)).message
        await other.say(Push(STREAM + "mine", replace(INFO, sfreq=250.0), "mine"))
        assert "the same description" in (await other.find(Error)).message
        await other.say(samples("mine", 0, 0))
        assert (await other.find(Error)).code == "no_push"
        await far.say(samples("mine", 0, 0))
        assert (await far.find(Ack)).seq == 0


SPOILT: list[dict[str, Any]] = [
    {"data": b""},
    {"data": b"x" * 191},
    {"timestamps": b""},
    {"timestamps": b"1234567"},
    {"offset": float("inf")},
    {"timestamps": np.full(12, np.nan, "<f8").tobytes()},
    {"timestamps": np.zeros(12, "<f8").tobytes()},
    {"epoch": 3, "first": 2**53 - 1},
    {"markers": [Marker(1.0, 12, "x" * 2000, "")]},
]


async def test_a_channel_without_numbers_is_bad_and_the_others_go_on(service: Live) -> None:
    data = np.random.default_rng(3).normal(0, 10, (256, 4)).astype("<f4")
    data[:, 1], data[5, 2] = np.nan, np.inf
    async with talk(service.url) as far, talk(service.url) as client:
        await far.say(Push(STREAM + "nan", INFO, "nan"))
        await far.find(Pushing)
        await client.say(Subscribe("nan", ["signal", "quality", "link"], Position("")))
        for seq in range(4):
            stamps = 100 + seq + np.arange(256) / 256
            raw = {"timestamps": stamps.astype("<f8").tobytes(), "data": data.tobytes()}
            await far.say(samples("nan", seq, 256 * seq, **raw))
            assert (await far.find(Ack)).seq == seq
        signal = await client.find(SignalMessage)
        quality = await client.told(QualityMessage, lambda each: each.index > 512)
    rows = np.frombuffer(signal.data, "<f4").reshape(-1, 4)
    np.testing.assert_array_equal(rows, np.resize(data, rows.shape))  # a slow reader gets several
    assert quality.channels["AF7"].reason is not None
    assert quality.channels["AF7"].score < quality.channels["TP9"].score
    assert not any(isinstance(each, LinkMessage) and each.event == "gap" for each in client.heard)


@pytest.mark.parametrize("spoilt", SPOILT, ids="-".join)
async def test_samples_that_are_none_are_refused_and_harm_nobody(
    service: Live, spoilt: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    name = re.sub("[^a-z0-9]", "", request.node.name)[-40:]
    async with talk(service.url) as far:
        await far.say(Push(STREAM + name, INFO, name))
        await far.find(Pushing)
        await far.say(samples(name, 0, 0))
        assert (await far.find(Ack)).seq == 0
        first = spoilt.get("first", 12)
        bad = samples(name, 1, 12, **{k: v for k, v in spoilt.items() if k != "first"})
        await far.say(
            Samples(**{**{f: getattr(bad, f) for f in bad.__struct_fields__}, "first": first})
        )
        error = await far.find(Error)
        assert (error.code, error.id) == ("bad_samples", 1)
        assert error.message.startswith("Expected")
        await far.say(samples(name, 2, 24))
        assert (await far.find(Ack)).seq == 2
    async with talk(service.url) as client:
        heard = await follow(client, name, holds(24))
    np.testing.assert_array_equal(heard.index, [*range(12), *range(24, 36)])
    assert [(each.first, each.lost) for each in heard.links if each.event == "gap"] == [(12, 12)]


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type": "push", "stream": "short", "info": {}}',
        b'{"type": "samples", "session": "x", "seq": -1}',
        b'{"type": "push", "stream": "0123456789abcdef", "session": "../x\\n", "info": '
        b'{"name": "", "source_id": "", "sfreq": 1, "ch_names": ["A"]}}',
    ],
)
async def test_nonsense_is_answered(service: Live, frame: bytes) -> None:
    async with talk(service.url, binary=False) as far:
        await far.socket.send(frame.decode())
        assert (await far.find(Error)).code == "bad_message"


# From the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [SIGINT, SIGTERM])
def test_an_interrupted_acquirer_says_goodbye(
    service: Live, loaded: LoadedProgram, how: Signals
) -> None:
    name = f"from-{how.name}"
    command = ("acquire", "--source", "simulate://", "--to", service.url, "--id", name)
    with loaded.start(*command) as process:
        service.opened(name)
        service.until(lambda: service.sessions()[name]["link"] is not None)
        process.send_signal(how)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert f"session {name} is open" in said
    assert "Traceback" not in said
    service.until(lambda: service.sessions()[name]["state"] == "ended")
    assert service.sessions()[name]["reason"] is None


def test_a_source_that_is_not_there_is_one_line(service: Live) -> None:
    done = invoke("acquire", "--source", "no/such/file.csv", "--to", service.url)
    assert done.exit_code == 2
    assert "no/such/file.csv" in done.stderr
    assert "Traceback" not in done.stderr
