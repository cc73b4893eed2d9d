"""``--osc-out`` as a receiver sees it: a real socket, and python-osc's own parser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo, Chunk
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.prediction import LabelSet, Prediction
from mimamba.models.signal.measures import BANDS, BandPower, ChannelQuality, Quality
from mimamba.service.bridges.osc_out import (
    BUNDLE,
    CannotSend,
    OSCOut,
    bundle,
    find_address,
    messages,
)
from mimamba.service.cli.main import app
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.protocol.messages import (
    Position,
    PredictionMessage,
    QualityMessage,
    ServerMessage,
    Subscribe,
)
from mimamba.service.topics import Timing
from tests.models.body.planted import ROTATION
from tests.service.live import live, talk
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import last_index, write_muse
from tests.service.scripted import staged

osc_packet = pytest.importorskip("pythonosc.osc_packet")

pytestmark = pytest.mark.anyio

TIMING = Timing(0.0, 0.0, 0.0)


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        receiver.bind(("127.0.0.1", 0))
        yield receiver


@contextmanager
def taken(receiver: socket.socket) -> Iterator[list[bytes]]:
    """All that comes, taken at once by a thread: what does not fit the buffer would be dropped."""
    datagrams: list[bytes] = []

    def take() -> None:
        while datagram := receiver.recv(65536):
            datagrams.append(datagram)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield datagrams
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", receiver.getsockname())
        thread.join()


def address_of(receiver: socket.socket) -> str:
    return f"127.0.0.1:{receiver.getsockname()[1]}"


def parse(datagram: bytes) -> list[tuple[str, float | str]]:
    """The messages of a datagram."""
    found = [timed.message for timed in osc_packet.OscPacket(datagram).messages]
    assert all(len(each.params) == 1 for each in found)
    return [(each.address, each.params[0]) for each in found]


def test_an_abstention_has_its_reason_and_no_probabilities() -> None:
    made = Prediction(5, 1.0, "poor_signal", "AF7 is flat", None)
    assert list(messages(PublishedPrediction(made, TIMING))) == [
        ("prediction/status", "poor_signal"),
        ("prediction/reason", "AF7 is flat"),
    ]
    sure = replace(made, status="ok", reason=None, outputs={"mood / a": {"low#": 0.25, "é": 0.75}})
    assert list(messages(PublishedPrediction(sure, TIMING))) == [
        ("prediction/status", "ok"),
        ("prediction/reason", ""),
        ("prediction/mood___a/low_", 0.25),
        ("prediction/mood___a/_", 0.75),
    ]


def test_a_set_has_a_message_for_each_label() -> None:
    outputs = {"valence": {"low": 0.25, "high": 0.75}, "arousal": {"low": 0.5, "high": 0.5}}
    sets = {"valence": LabelSet(("high",), 0.9, 40), "arousal": LabelSet((), None, 0)}
    made = Prediction(5, 1.0, "ok", None, outputs, sets)
    assert list(messages(PublishedPrediction(made, TIMING)))[6:] == [
        ("set/valence/low", 0.0),
        ("set/valence/high", 1.0),
        ("coverage/valence", 0.9),
        ("set/arousal/low", 0.0),
        ("set/arousal/high", 0.0),
    ]


def test_a_band_without_a_value_has_no_message() -> None:
    power = np.array([[1.0, 2.0, np.nan, 4.0, 5.0], [np.nan] * 5])
    told = list(messages(BandPower(7, 1.0, ("TP9", "AF7"), power)))
    assert told == [
        ("bands/TP9/delta", 1.0),
        ("bands/TP9/theta", 2.0),
        ("bands/TP9/beta", 4.0),
        ("bands/TP9/gamma", 5.0),
    ]


def test_sensors_have_a_message_for_each_value() -> None:
    info = AuxiliaryInfo("ppg", "counts", 64.0, ("left outer 730 nm", "red"))
    data = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32)
    light = AuxiliaryChunk(info, data, np.array([5.0, 5.1]), 0)
    assert list(messages(light)) == [
        ("ppg/left_outer_730_nm", 1.0),
        ("ppg/red", 2.0),
        ("ppg/left_outer_730_nm", 3.0),
    ]
    for speed, moved in ((1.0, 0.0), (90.0, 1.0)):
        row = np.array([[0.0, speed, 0.5]], np.float32)
        assert list(messages(AuxiliaryChunk(ROTATION, row, np.array([5.0]), 0))) == [
            ("motion/rotation/X", 0.0),
            ("motion/rotation/Y", speed),
            ("motion/rotation/Z", 0.5),
            ("motion/rotation/moved", moved),
        ]
    assert list(messages(HeartRate(63, 5.0, 66.5, 0.75, None))) == [
        ("heart/rate", 66.5),
        ("heart/confidence", 0.75),
        ("heart/reason", ""),
    ]
    assert list(messages(HeartRate(63, 5.0, None, 0.25, "no clear pulse"))) == [
        ("heart/confidence", 0.25),
        ("heart/reason", "no clear pulse"),
    ]


async def test_a_headset_s_sensors_go_out(receiver: socket.socket) -> None:
    with (
        taken(receiver) as datagrams,
        live("simulate://?sensors=1", model="none", osc_out=address_of(receiver)) as service,
    ):
        service.opened("simulate-1")
        wanted = {
            f"/mimamba/simulate-1/{each}"
            for each in ("ppg/infrared", "motion/acceleration/Z", "motion/rotation/moved")
        } | {"/mimamba/simulate-1/heart/confidence"}
        service.until(lambda: wanted <= {a for each in datagrams for a, _ in parse(each)})


def test_bundles_hold_floats_and_texts() -> None:
    quality = Quality(7, 1.0, {"TP9": ChannelQuality(0.5, "mains hum")})
    assert parse(bundle("/mimamba/a", list(messages(quality)))) == [
        ("/mimamba/a/quality/TP9/score", 0.5),
        ("/mimamba/a/quality/TP9/reason", "mains hum"),
    ]
    long = [(f"quality/a-long-electrode-{n}/reason", "no contact") for n in range(BUNDLE)]
    assert len(bundle("/mimamba/some-session", long)) < 1472  # what fits an Ethernet frame


async def test_all_that_is_told_goes_out_through_epochs(
    tmp_path: Path, receiver: socket.socket
) -> None:
    checkpoint = random_checkpoint(tmp_path)
    path = write_muse(tmp_path / "muse.csv", seconds=12, broken=True)
    labels = [f"{k}/{n}" for k, names in checkpoint.outputs.items() for n in names]
    last = last_index(path, checkpoint)
    source, model = f"replay://{path}?speed=16&hold=1", str(tmp_path / "random.safetensors")
    with (
        taken(receiver) as datagrams,
        live(source, model=model, osc_out=address_of(receiver)) as service,
    ):
        service.opened("replay-1")
        async with talk(service.url) as client:
            topics = ["prediction", "quality", "bands"]
            await client.say(Subscribe("replay-1", topics, Position("")))  # type: ignore[arg-type]
            await client.find(PredictionMessage, lambda each: each.index == last)
            for _ in range(10):  # what was there before it looked at the session is not sent
                followed = bool(datagrams)
                told, sent = len(client.heard), len(datagrams)
                service.play("replay-1", position=0, paused=False)
                await client.find(PredictionMessage, lambda each: each.index == last)
                if followed:
                    break
            news = client.heard[told:]
            expected = [row_of(each) for each in news if isinstance(each, PredictionMessage)]
            # Before them there may be more of the epoch before.
            service.until(lambda: rows_of(datagrams[sent:], labels)[-len(expected) :] == expected)
            out = [dict(parse(each)) for each in datagrams]
            score = "/mimamba/replay-1/quality/TP9/score"
            scores = {each[score] for each in out if score in each}
            await client.told(QualityMessage, lambda _: scores <= scores_of(client.heard))
    assert len(expected) > 40
    assert {each[0] for each in expected} == {"ok", "warming_up", "poor_signal"}
    addresses = {address for each in out for address in each}
    assert {address.split("/")[2] for address in addresses} == {"replay-1"}
    assert {f"/mimamba/replay-1/bands/AF8/{band}" for band in BANDS} <= addresses
    assert scores


def rows_of(datagrams: list[bytes], labels: list[str]) -> list[tuple[object, ...]]:
    """The predictions among datagrams: status, and the share of each label."""
    at = "/mimamba/replay-1/prediction"
    found = [dict(parse(each)) for each in datagrams]
    return [
        (each[f"{at}/status"], *(each.get(f"{at}/{label}") for label in labels))
        for each in found
        if f"{at}/status" in each
    ]


def scores_of(heard: list[ServerMessage]) -> set[object]:
    """All scores of an electrode that were told, as OSC's float32."""
    told = [each.channels["TP9"].score for each in heard if isinstance(each, QualityMessage)]
    return set(map(np.float32, told))


def row_of(message: PredictionMessage) -> tuple[object, ...]:
    """What OSC has of a prediction: float32, and nothing where the model abstains."""
    outputs = message.outputs or {"valence": {}, "arousal": {}}
    shares = [outputs[k].get(n) for k in outputs for n in ("low", "high")]
    return (message.status, *(None if each is None else np.float32(each) for each in shares))


def test_it_follows_into_another_epoch(receiver: socket.socket) -> None:
    with staged(None) as stage:
        out = OSCOut(lambda: {"scripted": stage.session}, address_of(receiver))
        out.start()
        try:
            receiver.settimeout(0.1)
            for epoch in range(3):
                heard: set[str] = set()
                at = 0
                while not any("/bands/" in address for address in heard):
                    stage.play(chunk_of(at, epoch))  # what was there at the start is not told
                    at += 512
                    with suppress(TimeoutError):
                        while True:
                            heard |= {address for address, _ in parse(receiver.recv(65536))}
        finally:
            out.close()


def chunk_of(first: int, epoch: int) -> Chunk:
    data = np.random.default_rng(0).normal(0, 20, (512, 4)).astype(np.float32)
    return Chunk(data, 100 + np.arange(first, first + 512) / 256, first, epoch)


@pytest.mark.parametrize("target", ["", "host", ":9000", "127.0.0.1:", "h:99999", "h:x", "a/b:1"])
def test_what_is_no_place_is_told_in_one_line(target: str) -> None:
    with pytest.raises(CannotSend, match=r"Expected HOST:PORT .+, but found .+. Use"):
        find_address(target)
    done = CliRunner().invoke(app, ["serve", "--port", "0", "--osc-out", target])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)


def test_a_place_may_be_of_either_family() -> None:
    assert find_address("127.0.0.1:9000")[1] == ("127.0.0.1", 9000)
    assert find_address("[::1]:9000")[1][:2] == ("::1", 9000)
