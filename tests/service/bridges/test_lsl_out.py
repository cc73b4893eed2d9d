"""``--lsl-out`` as other programs see it: a real service, real inlets."""

from __future__ import annotations

import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.lsl.outlet import SignalOutlet
from mimamba.drivers.open import open_driver
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bridges.lsl_out import LSLOut
from mimamba.service.engine.engine import Engine
from mimamba.service.protocol.messages import Position, PredictionMessage, Subscribe
from mimamba.service.recordings.stream_headers import STATUS
from tests.models.body.planted import ROTATION, pulse
from tests.models.body.planted import chunks_of as measured
from tests.service.live import live, talk
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import last_index, write_muse
from tests.service.scripted import staged

pylsl = pytest.importorskip("pylsl", exc_type=ImportError)

pytestmark = pytest.mark.anyio

EVENTUALLY = 60.0


def connect(name: str) -> Any:
    (info,) = pylsl.resolve_byprop("name", name, 1, EVENTUALLY)
    inlet = pylsl.StreamInlet(info, recover=False)
    inlet.open_stream(EVENTUALLY)
    return inlet


def labels(inlet: Any) -> list[str | None]:
    xml = ET.fromstring(inlet.info(EVENTUALLY).as_xml())
    return [each.findtext("label") for each in xml.iterfind("desc/channels/channel")]


def read(inlet: Any, enough: Callable[[list[Any]], bool]) -> tuple[list[Any], list[float]]:
    rows: list[Any] = []
    stamps: list[float] = []
    until = time.monotonic() + EVENTUALLY
    while not enough(rows) and time.monotonic() < until:
        more, times = inlet.pull_chunk(0.05)
        rows += more
        stamps += times
    return rows, stamps


def read_to(inlet: Any, stamp: float) -> dict[float, list[float]]:
    """The rows that come up to a stamp, by theirs."""
    found: dict[float, list[float]] = {}
    until = time.monotonic() + EVENTUALLY
    while stamp not in found and time.monotonic() < until:
        rows, stamps = inlet.pull_chunk(0.05)
        found |= zip(stamps, rows, strict=True)
    return found


async def test_predictions_and_quality_go_out_through_epochs(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path)
    path = write_muse(tmp_path / "muse.csv", seconds=20, broken=True)
    last = last_index(path, checkpoint)
    source, model = f"replay://{path}?speed=16&hold=1", str(tmp_path / "random.safetensors")
    with live(source, model=model, lsl_out=True) as service:
        service.opened("replay-1")
        async with talk(service.url) as client:
            await client.say(Subscribe("replay-1", ["prediction"], Position("")))
            predictions, quality = connect("replay-1 predictions"), connect("replay-1 quality")
            names = [f"{k}/{each}" for k, each_of in checkpoint.outputs.items() for each in each_of]
            assert predictions.info().nominal_srate() == 0
            assert labels(predictions) == [*names, "index", "status"]
            assert labels(quality) == ["TP9", "AF7", "AF8", "TP10"]
            await client.find(PredictionMessage, lambda each: each.index == last)
            for _ in range(2):  # an inlet may come to be served within the first
                told = len(client.heard)
                service.play("replay-1", position=0, paused=False)
                newest = await client.find(PredictionMessage, lambda each: each.index == last)
                rows = read_to(predictions, newest.timestamp)
            scores, _ = read(quality, lambda rows: len(rows) >= 8)
            heard = [each for each in client.heard[told:] if isinstance(each, PredictionMessage)]
    assert 0 <= np.min(scores) <= np.max(scores) <= 1
    assert list(rows) == [each.timestamp for each in heard]
    for row, message in zip(rows.values(), heard, strict=True):
        assert row[-2:] == [message.index, STATUS[message.status]]
        expected = [
            message.outputs[output][label] if message.outputs else np.nan
            for output, each_of in checkpoint.outputs.items()
            for label in each_of
        ]
        np.testing.assert_array_equal(row[:-2], expected)
    assert {each.status for each in heard} == set(STATUS)


@contextmanager
def headset(name: str) -> Iterator[None]:
    """A simulated headset on LSL, without markers of its own."""
    stop = threading.Event()

    def send() -> None:
        with (
            open_driver("simulate://?scenario=calm") as driver,
            SignalOutlet(driver.info, name) as outlet,
        ):
            for chunk in driver:
                if stop.is_set():
                    return
                outlet.push(chunk)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join()


def holds(label: str) -> Callable[[list[Any]], bool]:
    """Whether a marker is among the rows."""
    return lambda rows: [label] in rows


async def test_markers_go_out_once_and_do_not_come_back() -> None:
    name = str(uuid4())
    program = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, "string", name))
    with (
        headset(name),
        live(f"lsl://?name={name}&markers=1", model="none", lsl_out=True) as service,
    ):
        service.opened("lsl-1")
        inlet = connect("lsl-1 markers")
        while inlet.pull_sample(1.0)[0] is None:  # until the driver has taken the stream for good
            program.push_sample(["hello"])
        stamps = []
        seen: list[Any] = []
        for label in ("one", "two", "three"):
            time.sleep(1.2)  # the driver looks for new marker streams meanwhile
            stamps.append(local_clock())
            program.push_sample([label], stamps[-1])
            came = zip(*read(inlet, holds(label)), strict=True)
            seen += [each for each in came if each[0] != ["hello"]]
        assert not pylsl.resolve_byprop("name", "lsl-1 predictions", 1, 0.5)
        service.http.delete("/v1/sessions/lsl-1")
        service.until(lambda: not pylsl.resolve_byprop("name", "lsl-1 markers", 1, 0.3))
    assert [row for row, _ in seen] == [["one"], ["two"], ["three"]]
    # What LSL finds of the clocks' offset is wrong by up to half of a round trip, here of 0.1 s.
    np.testing.assert_allclose([stamp for _, stamp in seen], stamps, atol=0.05)


def test_another_model_s_predictions_are_another_stream(tmp_path: Path) -> None:
    engine = Engine(random_checkpoint(tmp_path))
    data = np.random.default_rng(0).normal(0, 20, (1024, 4)).astype(np.float32)
    rows_end = 64 * 15 + 62
    chunks = [
        Chunk(data[at : at + 256], 500 + np.arange(at, at + 256) / 256, at)
        for at in range(0, 1024, 256)
    ]
    with staged(None) as stage:
        out = LSLOut(lambda: {"scripted": stage.session})
        out.start()
        try:
            quality = connect("scripted quality")
            stage.session.set_model(engine, 1.0)
            inlet, sets = connect("scripted predictions"), connect("scripted sets")
            stage.play(*chunks[:2])
            # A label is known from here on, so that predictions have sets.
            stage.session.log_marker(Marker(502.0, 511, "valence=low", "tests"))
            stage.play(*chunks[2:])
            rows, _ = read(inlet, lambda rows: len(rows) == 16)
            held, _ = read(sets, lambda rows: bool(rows) and rows[-1][-1] == rows_end)
            set_labels = labels(sets)
            stage.session.set_model(None, 1.0)
            stage.until(lambda: not pylsl.resolve_byprop("name", "scripted predictions", 1, 0.2))
            scores, _ = read(quality, bool)
        finally:
            out.close()
    assert [row[-2] for row in rows] == [64 * n + 62 for n in range(16)]
    names = ["valence/low", "valence/high", "valence/coverage", "valence/labelled"]
    assert set_labels == [*names, *(n.replace("valence", "arousal") for n in names), "index"]
    assert all(set(row[:2]) <= {0.0, 1.0} for row in held)
    assert np.isnan([row[4:8] for row in held]).all()  # no label of arousal was ever known
    assert scores


def test_pulse_motion_and_heart_rate_are_streams_at_their_rates() -> None:
    light = pulse(11, 70, 0.2)
    turned = np.random.default_rng(0).normal(0, 9, (52, 3)).astype(np.float32)
    with staged(None, live=True) as stage:
        out = LSLOut(lambda: {"scripted": stage.session})
        out.start()
        try:
            connect("scripted quality")  # it follows the session
            stage.script.measure(*measured(turned[:3], info=ROTATION))
            stage.script.measure(*measured(light))
            ppg, rotation, heart = (
                connect(f"scripted {name}") for name in ("ppg", "rotation", "heart rate")
            )
            assert not pylsl.resolve_byprop("name", "scripted acceleration", 1, 0.2)
            assert labels(ppg) == ["ambient", "infrared", "red"]
            assert [
                (each.info().type(), each.info().nominal_srate()) for each in (ppg, rotation)
            ] == [
                ("PPG", 64.0),
                ("GYRO", 52.0),
            ]
            assert (heart.info().type(), labels(heart)) == (
                "HeartRate",
                ["rate", "confidence", "index"],
            )
            stage.script.measure(*measured(turned, info=ROTATION, start=200.0))
            stage.script.measure(*measured(light[:64], start=200.0))
            rows, stamps = read(rotation, lambda rows: len(rows) >= 52)
            rates, _ = read(heart, bool)
            lights, _ = read(ppg, lambda rows: len(rows) >= 64)
        finally:
            out.close()
    np.testing.assert_array_equal(rows[-52:], turned)
    np.testing.assert_allclose(stamps[-52:], 200 + np.arange(52) / 52, atol=0.05)
    np.testing.assert_array_equal(lights[-64:], light[:64])
    assert np.isnan(rates[-1][0])  # the pulse before it is lost


async def test_nothing_goes_out_unless_asked_for() -> None:
    with live("simulate://", model="none") as service:
        service.opened("simulate-1")
        assert not pylsl.resolve_byprop("name", "simulate-1 quality", 1, 0.7)
