"""Recordings of scripted sessions: what was sent is what pyxdf, MNE and our reader find."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import pyxdf
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.models.decoding.decoder_state import unpack_state
from mimamba.service.engine.engine import Engine
from mimamba.service.logs.epoch_logs import MAX_EVENTS
from mimamba.service.recordings.recorder import Recorder, RecordingEnd
from mimamba.service.recordings.recovery import recover
from mimamba.service.recordings.stream_headers import REASON_CODES
from mimamba.service.sessions.pending_markers import MAX_DELAY
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.storage.folders import LEAST_BYTES, CannotRecord
from tests.models.body.planted import ACCELERATION, ROTATION, pulse
from tests.models.body.planted import chunks_of as measured
from tests.service.forked import LoadedProgram
from tests.service.models import random_checkpoint
from tests.service.scripted import INFO, Stage, staged


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(random_checkpoint(tmp_path_factory.mktemp("model")))


def chunk_of(first: int, n_times: int, epoch: int = 0, markers: tuple[Marker, ...] = ()) -> Chunk:
    """Noise that depends on the index alone, with stamps that no nominal rate gives."""
    index = np.arange(first, first + n_times)
    rng = np.random.default_rng(0)
    data = rng.normal(0, 20, (4096, 4)).astype(np.float32)[index % 4096]
    return Chunk(data, 500 + index / 256.003, first, epoch, markers)


def chunks_of(first: int, stop: int, n_times: int = 32) -> list[Chunk]:
    return [chunk_of(at, min(n_times, stop - at)) for at in range(first, stop, n_times)]


class Taped:
    """A recorder, and how it ended."""

    def __init__(self, path: Path, session: Session) -> None:
        self.path = path
        self.endings: list[RecordingEnd] = []
        self.recorder = Recorder(path, session, self.endings.append)
        self.recorder.start()

    def stop(self) -> dict[str, dict[str, Any]]:
        """The streams by their type, or by their name where they are markers."""
        self.recorder.stop()
        return load(self.path)


def load(path: Path) -> dict[str, dict[str, Any]]:
    streams = pyxdf.load_xdf(path, dejitter_timestamps=False)[0]
    kinds = [stream["info"]["type"][0] for stream in streams]
    return {
        stream["info"]["name"][0] if kind == "Markers" else kind: stream
        for kind, stream in zip(kinds, streams, strict=True)
    }


def events(streams: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [json.loads(entry) for [entry] in streams["Link"]["time_series"]]


def test_a_recording_from_mid_session(tmp_path: Path, engine: Engine) -> None:
    marker = Marker(500 + 900 / 256.003, 900, "stimulus", "presenter")
    with staged(engine) as stage:
        stage.play(*chunks_of(0, 800))
        before = len(stage.predictions())
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(
            *chunks_of(800, 880),
            chunk_of(880, 40, markers=(marker, replace(marker, label="ä", source="keys"))),
            *chunks_of(932, 1500),
        )
        streams = tape.stop()
        predictions = [each.prediction for each in stage.predictions()[before:]]
    assert tape.endings == [RecordingEnd(None, whole=True, seconds=700 / 256)]
    eeg = streams["EEG"]
    index = np.concatenate([np.arange(800, 920), np.arange(932, 1500)])
    expected = chunk_of(0, 1500)
    np.testing.assert_array_equal(eeg["time_series"], expected.data[index])
    np.testing.assert_array_equal(eeg["time_stamps"], expected.timestamps[index])
    info = eeg["info"]
    assert (info["name"], info["source_id"]) == (["Scripted headset"], ["00:11:22"])
    channels = info["desc"][0]["channels"][0]["channel"]
    assert [each["label"][0] for each in channels] == list(INFO.ch_names)
    assert {each["unit"][0] for each in channels} == {"microvolts"}
    assert float(info["nominal_srate"][0]) == 256
    assert [each for each in events(streams) if each["event"] == "gap"] == [
        {"event": "gap", "detail": "12 samples were lost (0.05 s)", "first": 920, "lost": 12}
    ]
    assert streams["presenter"]["time_series"] == [["stimulus"]]
    assert streams["keys"]["time_series"] == [["ä"]]
    assert streams["keys"]["time_stamps"][0] == marker.timestamp
    rows = streams["Predictions"]["time_series"]
    assert len(rows) == len(predictions) > 8
    for row, stamp, made in zip(
        rows, streams["Predictions"]["time_stamps"], predictions, strict=True
    ):
        assert (row[-2], stamp) == (made.index, made.timestamp)
        assert made.outputs is not None
        assert row[:4].tolist() == [p for output in made.outputs.values() for p in output.values()]
    labels = streams["Predictions"]["info"]["desc"][0]["channels"][0]["channel"]
    assert [each["label"][0] for each in labels][:2] == ["valence/low", "valence/high"]


def test_a_recording_from_before_the_first_sample_begins_with_it(
    tmp_path: Path, engine: Engine
) -> None:
    with staged(engine) as stage:
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(*chunks_of(5120, 5600), *chunks_of(5610, 5800))
        streams = tape.stop()
    gaps = [each for each in events(streams) if each["event"] == "gap"]
    assert [(each["first"], each["lost"]) for each in gaps] == [(5600, 10)]
    assert streams["EEG"]["info"]["desc"][0]["mimamba"][0]["first"] == ["5120"]
    index = read_recording(tape.path).index
    np.testing.assert_array_equal(index, [*range(480), *range(490, 680)])


def test_a_recording_without_a_sample_has_its_streams(tmp_path: Path) -> None:
    with staged(None) as stage:
        streams = Taped(tmp_path / "a.xdf", stage.session).stop()
    assert set(streams) == {"EEG", "Link", "Quality", "Bands"}
    assert len(streams["EEG"]["time_stamps"]) == 0


def test_abstentions_are_nan_and_quality_is_reported(tmp_path: Path, engine: Engine) -> None:
    with staged(engine) as stage:
        tape = Taped(tmp_path / "a.xdf", stage.session)
        flat = [replace(each, data=np.zeros_like(each.data)) for each in chunks_of(768, 1280)]
        stage.play(*chunks_of(0, 768), *flat)
        streams = tape.stop()
    rows = streams["Predictions"]["time_series"]
    status = rows[:, -1]
    assert {0.0, 1.0, 2.0} == set(status)
    assert (np.isnan(rows[:, :-2]).all(axis=1) == (status != 0)).all()
    assert np.isfinite(rows[status == 0]).all()
    quality = streams["Quality"]["time_series"]
    assert quality.shape[1] == 9
    assert quality[-1, :4].max() < 0.5
    assert set(quality[-1, 4:8]) == {REASON_CODES["flat"]}
    assert quality[-1, 8] == 1279


def test_mne_and_our_reader_find_the_same(tmp_path: Path) -> None:
    marker = Marker(500 + 300 / 256.003, 300, "go", "presenter")
    with staged(None) as stage:
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(*chunks_of(0, 256), chunk_of(256, 100, markers=(marker,)), *chunks_of(500, 1000))
        streams = tape.stop()
    assert "Predictions" not in streams
    eeg = streams["EEG"]
    raw = mne.io.RawArray(
        eeg["time_series"].T.astype(np.float64) * 1e-6,
        mne.create_info(list(INFO.ch_names), float(eeg["info"]["nominal_srate"][0]), "eeg"),
        verbose="error",
    )
    onset = streams["presenter"]["time_stamps"][0] - eeg["time_stamps"][0]
    raw.set_annotations(mne.Annotations(onset, 0, "go"))
    [[sample, _, _]] = mne.events_from_annotations(raw, verbose="error")[0]
    assert abs(sample - 300) <= 1
    recording = read_recording(tape.path)
    np.testing.assert_array_equal(
        recording.index, np.concatenate([np.arange(356), np.arange(500, 1000)])
    )
    np.testing.assert_array_equal(recording.data, chunk_of(0, 1000).data[recording.index])
    np.testing.assert_array_equal(recording.data, raw.get_data(units="uV").T.astype(np.float32))
    assert (recording.info.uv_per_bit, recording.info.range_uv) == (INFO.uv_per_bit, INFO.range_uv)
    [found] = recording.markers
    assert (found.label, found.source) == ("go", "presenter")
    assert abs(found.index - 300) <= 1


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 90)), min_size=1, max_size=12),
    st.integers(0, 11),
    st.floats(0, 1),
)
def test_any_gaps_in_any_chunks_come_back_exactly_also_from_a_cut_file(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[tuple[int, int]],
    start: int,
    kept: float,
) -> None:
    path = tmp_path_factory.mktemp("recorded") / "a.xdf"
    chunks, at = [], 0
    for lost, n_times in parts:
        chunks.append(chunk_of(at + lost, n_times))
        at = chunks[-1].end
    start = min(start, len(chunks) - 1)
    with staged(None) as stage:
        stage.play(*chunks[:start])
        tape = Taped(path, stage.session)
        headers = path.stat().st_size
        stage.play(*chunks[start:])
        tape.stop()
    index = np.concatenate([np.arange(each.first, each.end) for each in chunks[start:]])
    whole = read_recording(path)
    np.testing.assert_array_equal(whole.index, index - index[0])
    np.testing.assert_array_equal(whole.data, chunk_of(0, at).data[index])
    content = path.read_bytes()
    path.write_bytes(content[: headers + int(kept * (len(content) - headers))])
    recover(path)
    eeg = load(path).get("EEG")  # whose header waits for the first sample
    if eeg and len(eeg["time_stamps"]):
        cut = read_recording(path)
        np.testing.assert_array_equal(cut.index, whole.index[: cut.n_times])
        np.testing.assert_array_equal(cut.data, whole.data[: cut.n_times])


NUMBERS = st.sampled_from([0.0, 1.0, -37.5, 3e38, -3e38, 1e-40, np.nan, np.inf, -np.inf])


@st.composite
def odd_chunks(draw: st.DrawFn) -> list[Chunk]:
    """What any driver may yield: channels of noise, constants, huge values and no numbers."""
    n_channels = draw(st.integers(1, 40))
    n_times = draw(st.integers(2, 300))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    data = random.normal(0, 50, (n_times, n_channels)).astype(np.float32)
    for channel in draw(st.lists(st.integers(0, n_channels - 1), max_size=5)):
        start, stop = sorted(draw(st.tuples(st.integers(0, n_times), st.integers(0, n_times))))
        data[start:stop, channel] = draw(NUMBERS)
    if draw(st.booleans()):
        data[:, draw(st.integers(0, n_channels - 1))] = draw(NUMBERS)
    index = np.arange(n_times)
    cut = draw(st.integers(1, n_times - 1))
    lost = draw(st.integers(0, 500))
    return [
        Chunk(data[:cut], 500 + index[:cut] / 256, 0),
        Chunk(data[cut:], 500 + (index[cut:] + lost) / 256, cut + lost),
    ]


@settings(max_examples=12)
@given(odd_chunks())
def test_what_is_recorded_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[Chunk]
) -> None:
    path = tmp_path_factory.mktemp("odd") / "a.xdf"
    data = np.concatenate([chunk.data for chunk in chunks])
    names = tuple(f"Ch {n}" for n in range(data.shape[1]))
    stage = Stage(None, replace(INFO, ch_names=names), None, MAX_EVENTS, MAX_DELAY)
    try:
        tape = Taped(path, stage.session)
        stage.play(*chunks)
        tape.stop()
    finally:
        stage.close()
    np.testing.assert_array_equal(load(path)["EEG"]["time_series"], data)  # all is in the file
    if not np.isfinite(data).any():
        with pytest.raises(BadRecording, match="no row of numbers"):
            read_recording(path)
        return
    made = read_recording(path)
    kept = [names.index(name) for name in made.info.ch_names]
    whole = np.isfinite(data[:, kept]).all(axis=1)
    np.testing.assert_array_equal(made.data, data[whole][:, kept])
    index = np.concatenate([np.arange(chunk.first, chunk.end) for chunk in chunks])[whole]
    np.testing.assert_array_equal(made.index, index - index[0])
    mostly = np.isfinite(data).mean(axis=0) >= 0.5
    if np.isfinite(data[:, mostly]).all(axis=1).any() and mostly.any():
        assert kept == np.flatnonzero(mostly).tolist()
    left = any("no numbers" in notice for notice in made.info.notices)
    assert left == (len(kept) < len(names))


def test_headers_are_on_the_disk_before_the_recording_starts(tmp_path: Path) -> None:
    with staged(None) as stage:
        stage.play(chunk_of(0, 10))
        tape = Taped(tmp_path / "a.xdf", stage.session)
        assert set(load(tape.path)) == {"EEG", "Link", "Quality", "Bands"}
        tape.stop()


def test_it_writes_by_itself(tmp_path: Path) -> None:
    with staged(None) as stage:
        stage.play(chunk_of(0, 10))
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(*chunks_of(10, 110))
        stage.until(lambda: len(load(tape.path)["EEG"]["time_stamps"]) == 100)
        stage.play(*chunks_of(110, 160))
        stage.until(lambda: len(load(tape.path)["EEG"]["time_stamps"]) == 150)
        tape.stop()


def test_a_new_numbering_ends_it(tmp_path: Path) -> None:
    with staged(None) as stage:
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(*chunks_of(0, 100), chunk_of(40, 10, epoch=1))
        stage.until(lambda: bool(tape.endings))
        assert tape.endings[0].whole
        assert "restarted its numbering" in (tape.endings[0].reason or "")
        assert len(tape.stop()["EEG"]["time_stamps"]) == 100


def test_the_session_s_end_ends_it(tmp_path: Path) -> None:
    with staged(None) as stage:
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(*chunks_of(0, 100))
        stage.session.close()
        stage.until(lambda: bool(tape.endings))
        assert tape.endings == [RecordingEnd("the session ended", whole=True, seconds=100 / 256)]
        assert len(tape.stop()["EEG"]["time_stamps"]) == 100
        with pytest.raises(SessionOver):
            Recorder(tmp_path / "b.xdf", stage.session, tape.endings.append)
        assert not (tmp_path / "b.xdf").exists()


def test_a_marker_set_just_before_the_end_is_in_it(tmp_path: Path) -> None:
    with staged(None, max_delay=math.inf) as stage, ThreadPoolExecutor(1) as pool:
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(*chunks_of(0, 100))
        stage.session.add_marker(ReceivedMarker(500 + 110 / 256.003, "its sample is late", "keys"))
        stopped = pool.submit(tape.stop)
        with pytest.raises(TimeoutError):
            stopped.result(0.2)
        stage.play(chunk_of(100, 20))
        assert stopped.result()["keys"]["time_series"] == [["its sample is late"]]


def test_a_marker_whose_sample_never_comes_is_recorded_when_the_session_ends(
    tmp_path: Path,
) -> None:
    with staged(None, max_delay=math.inf) as stage:
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(*chunks_of(0, 100))
        stage.session.add_marker(ReceivedMarker(500 + 110 / 256.003, "too late", "keys"))
        stage.session.close()
        stage.until(lambda: bool(tape.endings))
        assert tape.stop()["keys"]["time_series"] == [["too late"]]


def test_a_crowd_of_marker_programs_shares_streams(tmp_path: Path) -> None:
    markers = tuple(Marker(500.1, 0, f"label {n}", f"program {n}") for n in range(40))
    with staged(None) as stage:
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(chunk_of(0, 100, markers=markers))
        streams = tape.stop()
    assert len(streams) == 4 + 17
    assert len(streams["other markers"]["time_series"]) == 24
    assert streams["program 3"]["time_series"] == [["label 3"]]


def test_pulse_motion_and_heart_rate_are_streams_of_their_own(tmp_path: Path) -> None:
    light = pulse(12, 70, 0.2)
    turned = np.random.default_rng(0).normal(0, 1, (52 * 12, 3)).astype(np.float32)
    with staged(None, live=True) as stage:
        stage.play(*chunks_of(0, 256))
        tape = Taped(tmp_path / "a.xdf", stage.session)
        stage.play(*chunks_of(256, 512))
        stage.script.measure(*measured(turned, info=ROTATION))
        stage.script.measure(*measured(turned[:52], info=ACCELERATION))
        stage.script.measure(*measured(light, lost=[(100, 130)]))
        stage.until(lambda: stage.session.check_open().heart.next == 12)
        streams = tape.stop()
    assert set(streams) == {"EEG", "Link", "Quality", "Bands", "PPG", "ACC", "GYRO", "HeartRate"}
    index = np.delete(np.arange(64 * 12), slice(100, 130))
    np.testing.assert_array_equal(streams["PPG"]["time_series"], light[index])
    np.testing.assert_array_equal(streams["PPG"]["time_stamps"], 100 + index / 64)
    np.testing.assert_array_equal(streams["GYRO"]["time_series"], turned)
    facts = {
        kind: (
            streams[kind]["info"]["name"][0],
            float(streams[kind]["info"]["nominal_srate"][0]),
            [
                (each["label"][0], each["unit"][0], each["type"][0])
                for each in streams[kind]["info"]["desc"][0]["channels"][0]["channel"]
            ],
        )
        for kind in ("PPG", "ACC", "GYRO")
    }
    assert facts["PPG"] == (
        "Scripted headset ppg",
        64.0,
        [(label, "counts", "PPG") for label in ("ambient", "infrared", "red")],
    )
    assert facts["ACC"][:2] == ("Scripted headset acceleration", 52.0)
    assert facts["ACC"][2][0] == ("X", "g", "ACC")
    assert facts["GYRO"][2][2] == ("Z", "degrees/second", "GYRO")
    rates = streams["HeartRate"]["time_series"]
    assert rates.shape == (12, 3)
    assert np.isnan(rates[:9, 0]).all()
    assert rates[-1, 0] == pytest.approx(70, rel=0.04)
    recording = read_recording(tape.path)  # whose signal is the EEG
    np.testing.assert_array_equal(recording.data, chunk_of(256, 256).data)
    assert any("Scripted headset ppg" in notice for notice in recording.info.notices)
    assert not any("heart rate" in notice for notice in recording.info.notices)


LIGHT = pulse(3, 70, 0.2)


@pytest.fixture(scope="module")
def with_pulse(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A recording with the pulse's light, and the length of its headers."""
    path = tmp_path_factory.mktemp("pulse") / "a.xdf"
    with staged(None, live=True) as stage:
        tape = Taped(path, stage.session)
        headers = path.stat().st_size
        stage.play(*chunks_of(0, 100))
        for part in (measured(LIGHT)[:16], measured(LIGHT)[16:]):
            before = stage.session.check_open().ppg.next
            stage.script.measure(*part)
            stage.until(lambda n=before: stage.session.check_open().ppg.next > n)  # type: ignore[misc]
            stage.play(*chunks_of(100 + before, 101 + before))
        tape.stop()
    return path, headers


@settings(max_examples=10)
@given(st.floats(0, 1))
def test_a_cut_file_keeps_the_sensors_up_to_there(
    with_pulse: tuple[Path, int], kept: float
) -> None:
    whole, headers = with_pulse
    content, path = whole.read_bytes(), whole.with_name("cut.xdf")
    path.write_bytes(content[: headers + int(kept * (len(content) - headers))])
    recover(path)
    found = load(path).get("PPG")
    if found and len(found["time_stamps"]):
        np.testing.assert_array_equal(found["time_series"], LIGHT[: len(found["time_series"])])


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """A real filesystem of that size."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a small filesystem can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
def test_a_disk_that_fills_up_is_reported_and_ends_the_recording_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1024) as disk, staged(None) as stage:
        tape = Taped(disk / "a.xdf", stage.session)
        stage.play(*chunks_of(0, 256))
        assert stage.session.logs is not None
        link = stage.session.logs.link
        stage.until(
            lambda: any("nearly full" in getattr(e, "detail", "") for _, e in link.read(0, 100))
        )
        with (disk / "others").open("wb") as others:  # another program takes the room
            others.write(bytes(1024 * 1024 - LEAST_BYTES))
        stage.play(*chunks_of(256, 512))
        stage.until(lambda: bool(tape.endings))
        [ending] = tape.endings
        streams = tape.stop()
        seconds = len(streams["EEG"]["time_stamps"]) / 256
        assert ending == RecordingEnd("the disk is full", whole=True, seconds=seconds)
        assert len(streams["EEG"]["time_stamps"]) >= 256
        assert "footer" in streams["EEG"]
        with pytest.raises(CannotRecord, match="Free some space"):
            Recorder(disk / "b.xdf", stage.session, tape.endings.append)
        stage.play(*chunks_of(512, 600))  # the session goes on


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from mimamba.drivers.driver import Chunk
from mimamba.service.recordings.recorder import Recorder
from tests.service.scripted import staged

def chunks_of(first, stop):
    for at in range(first, stop, 32):
        index = np.arange(at, min(stop, at + 32))
        yield Chunk(np.zeros((len(index), 4), np.float32), 500 + index / 256.003, at)

path, endings = Path(sys.argv[1]), []
with staged(None) as stage:
    Recorder(path, stage.session, endings.append).start()
    stage.play(*chunks_of(0, 256))
    stage.until(lambda: path.stat().st_size > 256 * 25)
    room = path.stat().st_size + 3000
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    stage.play(*chunks_of(256, 1024))
    stage.until(lambda: bool(endings))
    stage.play(*chunks_of(1024, 1100))
print(endings)
"""


def test_a_write_that_fails_ends_the_recording_whole(tmp_path: Path, loaded: LoadedProgram) -> None:
    """What the operating system refuses in the midst of a chunk is taken back."""
    path = tmp_path / "a.xdf"
    with loaded.start(str(path), code=LIMITED) as program:
        said, errors = program.communicate(timeout=200)
    assert program.returncode == 0, errors
    assert "the file could not be written: File too large" in said
    assert "whole=True, seconds=1.0," in said
    assert recover(path).whole
    eeg = load(path)["EEG"]
    assert len(eeg["time_stamps"]) == 256
    assert eeg["footer"]["info"]["sample_count"] == ["256"]


def test_a_place_is_between_two_chunks(engine: Engine) -> None:
    """While chunks come, logs, cutter and states of a place always fit each other."""
    with staged(engine) as stage:
        player = threading.Thread(target=stage.play, args=(chunks_of(0, 8000, 13)))
        player.start()
        while player.is_alive():
            place = stage.session.snapshot()
            assert place.state is not None
            assert (place.first is None) == (place.next["signal"] == 0)
            first = place.first or 0
            assert unpack_state(place.state, engine.checkpoint, 256.0).cutter.end == first
            runs = place.logs.signal.read(place.next["signal"] - 1, place.next["signal"])
            assert [run.first + len(run.data) for run in runs] == ([first] if first else [])
            made = [e for _, e in place.logs.prediction.read(0, place.next["prediction"])]
            assert len(made) == (first + 1) // 64  # hop n is due with sample 64 n + 62
        player.join()
