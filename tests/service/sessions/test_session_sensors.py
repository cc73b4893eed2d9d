"""Pulse and motion in a session's logs, whatever the chunks and connections they came in."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import AuxiliaryChunk
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.body.motion import MOVED
from mimamba.models.decoding.decoder_state import SnapshotError
from mimamba.models.signal.measures import ChannelQuality, Quality
from mimamba.service.logs.epoch_logs import EpochLogs
from mimamba.service.protocol.messages import (
    HeartMessage,
    MotionMessage,
    Position,
    PPGMessage,
    QualityMessage,
    Subscribe,
)
from mimamba.service.sessions.session_sensors import SessionSensors, unpack_auxiliary
from tests.models.body.planted import ACCELERATION, PPG, ROTATION, chunks_of, pulse
from tests.service.live import live, talk
from tests.service.recordings.test_recorder import chunk_of
from tests.service.scripted import staged


def collect(
    sensors: SessionSensors, chunks: list[AuxiliaryChunk], together: int = 1
) -> tuple[list[AuxiliaryChunk], list[HeartRate]]:
    """The samples and the heart rates of chunks that are taken some at a time."""
    entries = [
        entry
        for at in range(0, len(chunks), together)
        for _, entry in sensors.feed(chunks[at : at + together])
    ]
    samples = [each for each in entries if isinstance(each, AuxiliaryChunk)]
    return samples, [each for each in entries if isinstance(each, HeartRate)]


def spread(chunks: list[AuxiliaryChunk]) -> tuple[list[int], list[float], list[list[float]]]:
    """Index, time and values of each sample."""
    return (
        [each.first + n for each in chunks for n in range(len(each.data))],
        [stamp for each in chunks for stamp in each.timestamps.tolist()],
        [row for each in chunks for row in each.data.tolist()],
    )


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=8),
    together=st.integers(1, 9),
    lost=st.lists(st.tuples(st.integers(0, 64 * 14), st.integers(1, 300)), max_size=3),
)
def test_any_chunks_and_rounds_give_the_same(
    sizes: list[int], together: int, lost: list[tuple[int, int]]
) -> None:
    data = pulse(14, 70, 0.3)
    gone = [(start, start + length) for start, length in lost]
    one, rates = collect(SessionSensors(), chunks_of(data, (6,), gone))
    other, same = collect(SessionSensors(), chunks_of(data, sizes, gone), together)
    assert spread(one) == spread(other)
    assert rates == same


def test_the_numbering_goes_on_over_a_new_connection() -> None:
    sensors = SessionSensors()
    data = np.zeros((52, 3), np.float32)
    first, _ = collect(sensors, chunks_of(data, (3,), info=ROTATION, start=100.0))
    again, _ = collect(sensors, chunks_of(data, (3,), info=ROTATION, start=103.0))
    third, _ = collect(sensors, chunks_of(data, (3,), info=ROTATION, start=110.0))
    assert [first[0].first, again[0].first, third[0].first] == [0, 156, 520]
    assert again[-1].first == 156 + 51


def test_constant_movement_hides_the_rate_of_its_own_rhythm() -> None:
    """Nodding once a second looks like a pulse of 60 beats per minute."""
    sensors = SessionSensors()
    time = np.arange(52 * 20) / 52
    nods = (60 * np.sin(2 * np.pi * time))[:, None] * np.array([1, 0, 0])
    motion = chunks_of(nods.astype(np.float32), (3,), info=ROTATION)
    light = chunks_of(pulse(20, 60, 0.1))
    both = sorted([*motion, *light], key=lambda each: each.timestamps[-1])
    _, rates = collect(sensors, both, 4)
    assert {each.reason for each in rates[9:]} == {MOVED}
    assert {each.rate for each in rates} == {None}


def test_a_damaged_state() -> None:
    sensors = SessionSensors()
    collect(sensors, chunks_of(pulse(2, 70, 0.1)))
    content = sensors.pack()
    for damaged in (content[:-9], b"", content[:40] + b"x" + content[40:]):
        with pytest.raises(SnapshotError, match="Expected the state of a session's sensors"):
            SessionSensors.unpack(damaged)
    for damaged in (b"", b"x"):
        with pytest.raises(SnapshotError):
            unpack_auxiliary(damaged)


def test_a_quality_names_the_movement_in_its_two_seconds_only() -> None:
    sensors = SessionSensors()
    quality = Quality(511, 104.0, {"TP9": ChannelQuality(0.9, None)})
    data = np.zeros((52 * 3, 3), np.float32)
    data[52:60] = 90.0  # up to 101.1 s
    collect(sensors, chunks_of(data, info=ROTATION))
    assert sensors.add_motion([quality]) == [quality]
    [moved] = sensors.add_motion([msgspec.structs.replace(quality, timestamp=102.5)])
    assert isinstance(moved, Quality)
    assert (moved.motion, moved.channels) == (MOVED, quality.channels)


def lengths(logs: EpochLogs) -> dict[str, int]:
    return {"ppg": logs.ppg.next, "motion": logs.motion.next, "heart": logs.heart.next}


def test_a_session_logs_what_its_driver_measures_to_the_last() -> None:
    with staged(None, live=True) as stage:
        stage.play(chunk_of(0, 256))
        logs = stage.session.check_open()
        assert lengths(logs) == {"ppg": 0, "motion": 0, "heart": 0}
        stage.script.measure(*chunks_of(np.ones((52, 3), np.float32), info=ACCELERATION))
        stage.script.measure(*chunks_of(pulse(12, 70, 0.1)))
        stage.until(lambda: lengths(logs)["heart"] == 12)
        before = lengths(logs)
        assert min(before.values()) > 0
        stage.script.measure(*chunks_of(np.ones((6, 3), np.float32), start=200.0))
        stage.session.close()
        assert logs.ppg.next > before["ppg"]


@pytest.mark.anyio
async def test_subscribers_are_sent_pulse_motion_and_heart_rate() -> None:
    with live("simulate://?sensors=1", "simulate://", model="none") as service:
        service.opened("simulate-1", "simulate-2")
        sessions = service.sessions()
        assert 80 < sessions["simulate-1"]["battery"] <= 85
        assert sessions["simulate-2"]["battery"] is None
        async with talk(service.url) as client:
            topics = ["ppg", "motion", "heart", "quality"]
            await client.say(Subscribe("simulate-1", topics, Position("")))  # type: ignore[arg-type]
            heart = await client.find(HeartMessage, lambda each: each.rate is not None)
            assert heart.rate == pytest.approx(68, abs=5)
            assert heart.confidence >= 0.6
            await client.told(QualityMessage, lambda each: each.motion is None)
        light = [each for each in client.heard if isinstance(each, PPGMessage)]
        assert (light[0].first, light[0].channels) == (0, list(PPG.ch_names))
        samples = [len(each.timestamps) // 8 for each in light]
        assert [each.first for each in light] == np.cumsum([0, *samples[:-1]]).tolist()
        assert all(len(e.data) == 12 * n for e, n in zip(light, samples, strict=True))
        assert [each.seq for each in light] == list(range(len(light)))
        motion = [each for each in client.heard if isinstance(each, MotionMessage)]
        assert {(e.sensor, e.unit, e.sfreq) for e in motion} == {
            ("acceleration", "g", 52.0),
            ("rotation", "°/s", 52.0),
        }
        async with talk(service.url, binary=False) as client:  # goes on where the other ended
            at = Position(sessions["simulate-1"]["epoch"], {"ppg": light[-1].seq})
            await client.say(Subscribe("simulate-1", ["ppg"], at))
            more = await client.find(PPGMessage)
        assert (more.seq, more.first) == (light[-1].seq + 1, light[-1].first + samples[-1])
