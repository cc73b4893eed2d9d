"""What a replay does when it is paused, moved and paced while it plays."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk, Driver, Playback, Seekable
from mimamba.drivers.errors import BadPlayback, BadSource
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.open import open_driver
from mimamba.drivers.replay.driver import ReplayDriver
from mimamba.drivers.replay.position import find_marker
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import parse_source
from tests.drivers.formats.xdf import xdffile

N_TIMES = 1000
LOST = range(400, 464)
MARKS = [(50 + at / 256, label) for at, label in ((0, "go"), (430, "stop"), (700, "go"))]
SPEEDS = (0.1, 0.5, 1.0, 16.0, 64.0)

Step = tuple[str, float]
STEPS = st.one_of(
    st.tuples(st.just("seek"), st.floats(-1, 5, allow_nan=False)),
    st.tuples(st.just("seek"), st.sampled_from([0.0, 1.6, 1000 / 256, 999 / 256, math.inf])),
    st.tuples(st.just("pause"), st.just(0.0)),
    st.tuples(st.just("resume"), st.just(0.0)),
    st.tuples(st.just("speed"), st.sampled_from(SPEEDS)),
    st.tuples(st.just("take"), st.integers(1, 4).map(float)),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seekable") / "some.xdf"
    stamps = [50 + k / 256 for k in range(N_TIMES) if k not in LOST]
    path.write_bytes(xdffile.recording(stamps, marks=MARKS))
    return path


@pytest.fixture(scope="module")
def recording(file: Path) -> Recording:
    return read_recording(file)


def seekable(driver: Driver) -> Seekable:
    assert isinstance(driver, Seekable)
    return driver


def apply(control: Seekable, step: Step) -> None:
    name, value = step
    if name == "seek":
        control.seek(value)
    elif name == "pause":
        control.pause()
    elif name == "resume":
        control.resume()
    else:
        # To another pace and back: a file played at less than full speed takes its time.
        control.set_speed(value)
        control.set_speed(math.inf)


def indices(chunks: list[Chunk]) -> list[int]:
    return [index for chunk in chunks for index in range(chunk.first, chunk.end)]


def by_epoch(chunks: list[Chunk]) -> list[list[Chunk]]:
    return [list(group) for _, group in groupby(chunks, key=lambda chunk: chunk.epoch)]


def assert_of_the_file(chunks: list[Chunk], recording: Recording) -> None:
    """Each epoch is an unbroken run of the file's samples and markers, stamped in order."""
    assert [chunk.epoch for chunk in chunks] == sorted(chunk.epoch for chunk in chunks)
    epochs = by_epoch(chunks)
    assert [epoch[0].epoch for epoch in epochs] == list(range(len(epochs)))
    for epoch in epochs:
        seen = indices(epoch)
        row = int(np.searchsorted(recording.index, seen[0]))
        rows = slice(row, row + len(seen))
        assert seen == recording.index[rows].tolist()
        np.testing.assert_array_equal(
            np.concatenate([chunk.data for chunk in epoch]), recording.data[rows]
        )
    if chunks:
        stamps = np.concatenate([chunk.timestamps for chunk in chunks])
        assert np.all(np.diff(stamps) > 0)


class Expected:
    """What should come: a list of indices for each epoch in which something is played."""

    def __init__(self, index: list[int]) -> None:
        self.epochs: list[list[int]] = []
        self.index = index
        self.rest = index
        self.fresh = True
        self.paused = False

    def apply(self, step: Step) -> None:
        name, value = step
        if name == "seek":
            self.go(round(min(max(value, 0.0), 100.0) * 256))
        elif name == "pause":
            self.paused = True
        elif name == "resume":
            if self.paused and not self.rest:
                self.go(0)
            self.paused = False

    def go(self, position: int) -> None:
        self.fresh, self.rest = True, [at for at in self.index if at >= position]

    def take(self, n_times: int) -> None:
        if self.fresh:
            self.epochs.append([])
        self.epochs[-1] += self.rest[:n_times]
        self.rest, self.fresh = self.rest[n_times:], False


@given(steps=st.lists(STEPS, max_size=12))
def test_from_each_seek_on_every_sample_comes_once_and_in_order(
    file: Path, recording: Recording, steps: list[Step]
) -> None:
    chunks: list[Chunk] = []
    expected = Expected(recording.index.tolist())
    with open_driver(f"replay://{file}?speed=max") as driver:
        control, chunk_of = seekable(driver), iter(driver)
        for name, value in [*steps, ("take", math.inf)]:
            if name != "take":
                apply(control, (name, value))
                expected.apply((name, value))
                continue
            wanted = value
            while wanted > 0 and expected.rest:
                if expected.paused:
                    apply(control, ("resume", 0.0))
                    expected.apply(("resume", 0.0))
                chunks.append(next(chunk_of))
                expected.take(chunks[-1].n_times)
                wanted -= 1
    assert [indices(epoch) for epoch in by_epoch(chunks)] == expected.epochs
    assert_of_the_file(chunks, recording)


def test_threads_that_all_turn_the_knobs_spoil_nothing(file: Path, recording: Recording) -> None:
    ended = threading.Event()

    def turn(seed: int) -> None:
        choose = random.Random(seed)
        while not ended.wait(choose.uniform(0, 0.004)):
            name = choose.choice(["seek", "pause", "resume", "resume", "speed"])
            values = (0.0, 0.5, 1.7, 3.0) if name == "seek" else SPEEDS
            apply(seekable(driver), (name, choose.choice(values)))

    chunks: list[Chunk] = []
    with open_driver(f"replay://{file}?speed=max&loop=1") as driver:
        threads = [threading.Thread(target=turn, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for chunk in driver:
            chunks.append(chunk)
            if len(chunks) == 400:
                break
        ended.set()
        for thread in threads:
            thread.join()
    assert len(by_epoch(chunks)) > 3
    assert_of_the_file(chunks, recording)


def test_only_a_recording_can_be_played_so(file: Path) -> None:
    assert isinstance(open_driver(str(file)), Seekable)
    assert not isinstance(open_driver("simulate://"), Seekable)


def test_before_it_is_entered_there_is_nothing_to_play(file: Path) -> None:
    control = seekable(open_driver(str(file)))
    for ask in (control.playback, control.markers, control.pause, control.resume):
        with pytest.raises(RuntimeError, match="enter"):
            ask()


def test_it_tells_how_it_is_played(file: Path) -> None:
    with open_driver(f"replay://{file}?speed=max&start=1") as driver:
        control, heard = seekable(driver), list[Playback]()
        control.watch(heard.append)
        begun = Playback(1.0, N_TIMES / 256, math.inf, paused=False, loop=False)
        assert control.playback() == begun
        chunk = next(iter(driver))
        assert control.playback().position == chunk.end / 256
        control.pause()
        control.pause()
        control.seek(2.5)
        control.set_speed(0.5)
        control.set_loop(True)
        assert heard[-1] == control.playback() == Playback(2.5, N_TIMES / 256, 0.5, True, True)
        assert len(heard) == 4


def test_markers_are_places_to_go_to(file: Path) -> None:
    with open_driver(f"replay://{file}?speed=max") as driver:
        control = seekable(driver)
        markers = control.markers()
        assert control.markers() is markers  # placed once, however many there are
        assert [(each.label, each.index) for each in markers] == [
            ("go", 0), ("stop", 430), ("go", 700),
        ]  # fmt: skip
        assert [each.timestamp for each in markers] == [0.0, 430 / 256, 700 / 256]
        chunk_of = iter(driver)
        for label, nth, first in (("go", 2, 700), ("stop", 1, LOST.stop), ("go", 1, 0)):
            control.seek(find_marker(markers, label, nth))
            chunk = next(chunk_of)
            assert chunk.first == first
            assert [each.label for each in chunk.markers] == [label]
        with pytest.raises(BadPlayback, match=r"2 of 'go', 1 of 'stop'"):
            find_marker(markers, "go", 3)


@pytest.mark.parametrize(
    ("query", "first"),
    [("start=0", 0), ("start=2.5", 640), ("start=1.6", LOST.stop), ("marker=go", 0),
     ("marker=go&nth=2", 700), ("marker=stop", LOST.stop)],
)  # fmt: skip
def test_it_begins_where_it_is_told_to(file: Path, query: str, first: int) -> None:
    with open_driver(f"replay://{file}?speed=max&{query}") as driver:
        chunks = list(driver)
    assert (chunks[0].first, chunks[0].epoch) == (first, 0)
    assert indices(chunks)[-1] == N_TIMES - 1


@pytest.mark.parametrize(
    ("query", "error", "found"),
    [
        ("start=-1", BadSource, "start=-1"),
        ("start=nan", BadSource, "start=nan"),
        ("start=2&marker=go", BadSource, "start"),
        ("nth=2", BadSource, "nth"),
        ("marker=go&nth=0", BadSource, "nth=0"),
        ("start=4", BadPlayback, "3.90625 s"),
        ("marker=gone", BadPlayback, "2 of 'go'"),
        ("marker=go&nth=3", BadPlayback, "number 3"),
    ],
)
def test_a_beginning_that_is_not_there(
    file: Path, query: str, error: type[Exception], found: str
) -> None:
    def enter() -> None:
        with open_driver(f"replay://{file}?{query}"):
            pass

    with pytest.raises(error, match=found):
        enter()


@pytest.mark.parametrize("speed", [0.0, 0.09, 65.0, -1.0, math.nan, -math.inf])
def test_no_such_speed(file: Path, speed: float) -> None:
    with open_driver(str(file)) as driver:
        with pytest.raises(BadPlayback, match="64, or max"):
            seekable(driver).set_speed(speed)
        assert seekable(driver).playback().speed == 1.0


def test_a_pause_is_no_gap_and_shifts_the_stamps(file: Path) -> None:
    with open_driver(f"replay://{file}?speed=8") as driver:
        control, chunk_of = seekable(driver), iter(driver)
        before = next(chunk_of)
        control.pause()
        resumer = threading.Timer(0.3, control.resume)
        resumed = local_clock() + 0.3
        resumer.start()
        after = next(chunk_of)
        resumer.join()
    assert (after.first, after.epoch) == (before.end, 0)
    assert after.timestamps[0] > resumed - 0.05
    steps = np.diff(after.timestamps)
    np.testing.assert_allclose(steps, 1 / 256 / 8, atol=1e-6)


def test_a_chunk_that_is_not_due_yet_does_not_come_after_a_seek(file: Path) -> None:
    source = parse_source(f"replay://{file}?speed=0.1")
    with ReplayDriver(source, chunk=1.5) as driver:  # 15 s at this speed
        control, chunk_of = seekable(driver), iter(driver)

        def turn() -> None:
            time.sleep(0.1)  # it is waited for meanwhile
            control.pause()
            control.seek(2.0)
            control.set_speed(64.0)
            control.resume()

        turner = threading.Thread(target=turn)
        turner.start()
        chunk = next(chunk_of)
        turner.join()
    assert (chunk.first, chunk.epoch) == (512, 0)


def test_stamps_follow_the_speed_and_the_epoch_stays(file: Path) -> None:
    with open_driver(f"replay://{file}?speed=2") as driver:
        control, chunk_of = seekable(driver), iter(driver)
        chunks = [next(chunk_of)]
        for speed in (8.0, 64.0, math.inf, 16.0):
            control.set_speed(speed)
            chunks.append(next(chunk_of))
    paces = [1 / 256 / float(np.diff(chunk.timestamps).mean()) for chunk in chunks]
    assert paces == pytest.approx([2, 8, 64, 1, 16], rel=1e-3)
    assert {chunk.epoch for chunk in chunks} == {0}
    assert all(after.first == before.end for before, after in pairwise(chunks))
    assert all(a.timestamps[0] > b.timestamps[-1] for b, a in pairwise(chunks))


def test_what_was_played_stays_so_when_it_is_slowed_down(file: Path) -> None:
    """A long chunk that a slow speed would make last 6 s becomes a short one."""
    with open_driver(f"replay://{file}?speed=64") as driver:
        control, chunk_of = seekable(driver), iter(driver)
        assert next(chunk_of).n_times == 164
        control.set_speed(1.0)
        assert next(chunk_of).n_times == 12


def test_it_waits_at_its_end_where_it_is_held(file: Path) -> None:
    heard: SimpleQueue[Playback] = SimpleQueue()

    def at_end() -> None:
        while (playback := heard.get(timeout=60)).position < playback.length:
            pass
        assert playback.paused
        assert playback == control.playback()

    chunks: list[Chunk] = []
    with open_driver(f"replay://{file}?speed=max&hold=1&start=3") as driver:
        control = seekable(driver)
        control.watch(heard.put)
        reader = threading.Thread(target=lambda: chunks.extend(driver))
        reader.start()
        at_end()
        control.resume()
        at_end()
        control.seek(3.5)
        control.resume()
        at_end()
        driver.close()
        reader.join()
    assert [epoch[0].first for epoch in by_epoch(chunks)] == [768, 0, 896]
    assert all(indices(epoch)[-1] == N_TIMES - 1 for epoch in by_epoch(chunks))


def test_a_seek_to_the_end_ends_it(file: Path) -> None:
    with open_driver(f"replay://{file}?speed=max") as driver:
        chunk_of: Iterator[Chunk] = iter(driver)
        next(chunk_of)
        seekable(driver).seek(math.inf)
        assert list(chunk_of) == []


def test_close_ends_a_pause(file: Path) -> None:
    with open_driver(f"replay://{file}?speed=max") as driver:
        seekable(driver).pause()
        closer = threading.Timer(0.1, driver.close)
        closer.start()
        assert list(driver) == []
        closer.join()
