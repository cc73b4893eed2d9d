from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk
from mimamba.drivers.errors import BadChannels, BadRecording, BadSource
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.open import open_driver
from mimamba.drivers.timing.clock import local_clock
from tests.drivers.formats.xdf import xdffile

N_TIMES = 1000
LOST = range(400, 464)
STAMPS = [50 + k / 256 for k in range(N_TIMES) if k not in LOST]
LATE = 0.5
MARKS = [(50.0, "begin"), (50 + 430 / 256, "in the gap"), (50 + 999 / 256, "end")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a recording?.xdf"
    path.write_bytes(xdffile.recording(STAMPS, marks=MARKS))
    return path


def url(path: Path, **parameters: object) -> str:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
    return f"replay://{quote(str(path))}?{query}"


def play(path: Path, **parameters: object) -> list[Chunk]:
    with open_driver(url(path, **parameters)) as driver:
        return list(driver)


def joined(chunks: list[Chunk]) -> tuple[NDArray[np.float32], NDArray[np.float64], list[int]]:
    return (
        np.concatenate([chunk.data for chunk in chunks]),
        np.concatenate([chunk.timestamps for chunk in chunks]),
        [index for chunk in chunks for index in range(chunk.first, chunk.end)],
    )


def assert_paced(chunks: list[Chunk], recording: Recording, pace: float) -> NDArray[np.float64]:
    """Each step is the file's, or longer because the reader was later than allowed."""
    excess = np.diff(joined(chunks)[1]) - np.diff(recording.timestamps) / pace
    assert np.all((np.abs(excess) < 1e-6) | (excess > LATE))
    return excess


@pytest.mark.parametrize("speed", ["max", "64", "16"])
def test_all_of_the_file_comes_at_any_speed(file: Path, speed: str) -> None:
    chunks = play(file, speed=speed)
    recording = read_recording(file)
    data, timestamps, index = joined(chunks)
    np.testing.assert_array_equal(data, recording.data)
    assert index == recording.index.tolist()
    assert {chunk.epoch for chunk in chunks} == {0}
    assert np.all(np.diff(timestamps) > 0)
    assert_paced(chunks, recording, 1.0 if speed == "max" else float(speed))


def test_info_is_the_file_s(file: Path) -> None:
    with open_driver(url(file, channels="TP10,1", names="right,left")) as driver:
        assert driver.info.name == "a recording?.xdf"
        assert driver.info.source_id == str(file)
        assert driver.info.ch_names == ("right", "left")
        assert driver.info.live is False
        chunk = next(iter(driver))
    assert chunk.data[3].tolist() == [3.375, 3.0]


def test_a_bare_path(file: Path) -> None:
    with open_driver(str(file)) as driver:
        assert driver.info.n_channels == 4
        assert next(iter(driver)).n_times == 12


def test_a_chunk_comes_when_its_last_sample_has_been_played(file: Path) -> None:
    before = local_clock()
    with open_driver(url(file, speed=8)) as driver:
        for chunk in driver:
            now = local_clock()
            assert chunk.timestamps[-1] <= now
            assert chunk.timestamps[0] >= before


def test_the_gap_is_silence_of_its_length(file: Path) -> None:
    chunks = play(file, speed=8)
    (edge,) = [(a, b) for a, b in pairwise(chunks) if b.first != a.end]
    assert (edge[0].end, edge[1].first) == (LOST.start, LOST.stop)
    silence = edge[1].timestamps[0] - edge[0].timestamps[-1]
    assert silence > (len(LOST) + 1) / 256 / 8 - 1e-6
    assert_paced(chunks, read_recording(file), 8)


def test_wakes_at_most_a_hundred_times_a_second(file: Path) -> None:
    for speed, n_times in (("1", 12), ("4", 12), ("16", 41), ("64", 164), ("max", 164)):
        with open_driver(url(file, speed=speed)) as driver:
            assert next(iter(driver)).n_times == n_times


def test_markers_come_with_their_sample_and_on_its_clock(file: Path) -> None:
    chunks = play(file, speed="max")
    found = {marker.label: (marker, chunk) for chunk in chunks for marker in chunk.markers}
    assert set(found) == {"begin", "in the gap", "end"}
    begin, chunk = found["begin"]
    assert begin.timestamp == pytest.approx(chunk.timestamps[0])
    inside, chunk = found["in the gap"]
    assert (inside.index, chunk.first) == (430, LOST.stop)
    ago = (LOST.stop - 430) / 256
    assert chunk.timestamps[0] - inside.timestamp == pytest.approx(ago, abs=1e-6)


def test_a_loop_is_a_new_epoch_a_sample_later(file: Path) -> None:
    chunks: list[Chunk] = []
    with open_driver(url(file, speed="max", loop=1)) as driver:
        for chunk in driver:
            chunks.append(chunk)
            if chunk.epoch == 2:
                break
    firsts = {epoch: next(c for c in chunks if c.epoch == epoch) for epoch in (0, 1, 2)}
    assert [chunk.first for chunk in firsts.values()] == [0, 0, 0]
    starts = [chunk.timestamps[0] for chunk in firsts.values()]
    np.testing.assert_allclose(np.diff(starts), N_TIMES / 256, atol=1e-6)
    assert np.all(np.diff(joined(chunks)[1]) > 0)


def test_a_slow_reader_loses_nothing_and_the_rest_comes_later(file: Path) -> None:
    chunks = []
    with open_driver(url(file, speed=8)) as driver:
        for chunk in driver:
            chunks.append(chunk)
            if len(chunks) == 10:
                time.sleep(0.8)
            if len(chunks) == 20:
                time.sleep(0.2)  # is caught up
    assert joined(chunks)[2] == [k for k in range(N_TIMES) if k not in LOST]
    excess = assert_paced(chunks, read_recording(file), 8)
    assert excess[sum(chunk.n_times for chunk in chunks[:10]) - 1] > LATE


@pytest.mark.parametrize("speed", ["0.1", "max"])
def test_close_from_another_thread_ends_it(file: Path, speed: str) -> None:
    with open_driver(url(file, speed=speed, loop=1)) as driver:
        iterator: Iterator[Chunk] = iter(driver)
        next(iterator)
        closer = threading.Timer(0.2, driver.close)
        closer.start()
        for _ in iterator:
            pass
        closer.join()
        driver.close()
        assert list(driver) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("speed=0", "speed=0"),
        ("speed=65", "speed=65"),
        ("speed=fast", "speed=fast"),
        ("loop=perhaps", "loop=perhaps"),
        ("seek=3", "seek"),
    ],
)
def test_wrong_parameters(file: Path, query: str, found: str) -> None:
    with pytest.raises(BadSource, match=found):
        open_driver(f"replay://{quote(str(file))}?{query}")


def test_errors_of_the_file_come_on_entering(file: Path) -> None:
    for source, error in (
        (url(file.with_name("absent.csv")), BadRecording),
        (url(file, stream="other"), BadRecording),
        (url(file, channels="Cz"), BadChannels),
    ):
        driver = open_driver(source)
        with pytest.raises(error):
            driver.__enter__()
    with pytest.raises(BadSource, match="recording's path"):
        open_driver("replay://")


def test_it_must_be_entered(file: Path) -> None:
    driver = open_driver(url(file))
    with pytest.raises(RuntimeError, match="enter"):
        next(iter(driver))
    with pytest.raises(RuntimeError, match="enter"):
        _ = driver.info
