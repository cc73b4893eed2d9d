"""Markers on samples: by any chunking, and from real outlets on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.errors import BadSource
from mimamba.drivers.lsl.discovery import EXTRA_SECONDS
from mimamba.drivers.lsl.driver import LSLDriver
from mimamba.drivers.lsl.markers import (
    MAX_AHEAD,
    MAX_WAITING,
    OWN_PREFIX,
    MarkerBuffer,
    ReceivedMarker,
    plausible_time,
)
from mimamba.drivers.open import open_driver
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import parse_source

pylsl = pytest.importorskip("pylsl", exc_type=ImportError)

SFREQ = 250.0
RATE = 10.0
"""Of the real streams, Hz: clocks' offsets may be 10 ms wrong, far less than half a sample."""
EVENTUALLY = 60.0


def patient(url: str, others: float = EXTRA_SECONDS) -> LSLDriver:
    """A driver that gives a busy machine the time that it needs, and loses nothing meanwhile."""
    return LSLDriver(parse_source(url), others=others, marker_timeout=EVENTUALLY)


def chunks_of(lengths: list[int], lost: dict[int, int]) -> list[Chunk]:
    """Chunks of these lengths; before the n-th, so many samples never came."""
    chunks, first = [], 0
    for n, length in enumerate(lengths):
        first += lost.get(n, 0)
        index = first + np.arange(length)
        chunks.append(Chunk(np.zeros((length, 1), np.float32), 50 + index / SFREQ, first))
        first += length
    return chunks


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=10),
    st.dictionaries(st.integers(1, 9), st.integers(1, 30)),
    st.lists(st.integers(-1000, 200_000), max_size=10),
)
def test_each_marker_is_at_its_nearest_sample(
    lengths: list[int], lost: dict[int, int], micros: list[int]
) -> None:
    chunks = chunks_of(lengths, lost)
    waiting = MarkerBuffer(SFREQ)
    waiting.add([ReceivedMarker(50 + each / 1e6, str(each), "a program") for each in micros])
    told: list[Marker] = []
    end = 0
    for chunk in chunks:
        marked = waiting.attach(chunk)
        assert [marker.index for marker in marked.markers] == sorted(
            marker.index for marker in marked.markers
        )
        assert all(end <= marker.index < chunk.end for marker in marked.markers)
        told += marked.markers
        end = chunk.end
    expected = [each for each in micros if 50 + each / 1e6 < 50 + (end - 0.5) / SFREQ]
    assert sorted(int(marker.label) for marker in told) == sorted(expected)
    for marker in told:
        away = abs(marker.timestamp - (50 + marker.index / SFREQ))
        assert away <= 0.5 / SFREQ + 1e-9 or marker.timestamp < 50


def test_a_late_marker_keeps_its_index() -> None:
    waiting = MarkerBuffer(SFREQ)
    first, second = chunks_of([100, 100], {})
    waiting.attach(first)
    waiting.add([ReceivedMarker(50 + 42.3 / SFREQ, "late", "a program")])
    (marker,) = waiting.attach(second).markers
    assert marker == Marker(50 + 42.3 / SFREQ, 42, "late", "a program")


def test_stamps_far_ahead_or_of_no_clock_count_as_arrival() -> None:
    assert plausible_time(1000.0 + MAX_AHEAD / 2, -1e9, 1000.0) == 1000.0 + MAX_AHEAD / 2
    assert plausible_time(1000.0 - 3600, -1e9, 1000.0) == 1000.0 - 3600
    assert plausible_time(5000.0, 999.0, 1000.0) == 999.0
    for stamp in (1000.0 + 2 * MAX_AHEAD, 1000.0 + 80_000, 1e9, -1e9, float("nan")):
        assert plausible_time(stamp, stamp, 1000.0) == 1000.0


def test_no_more_markers_wait_than_a_cap_and_the_oldest_go_with_the_next_chunk() -> None:
    waiting = MarkerBuffer(SFREQ)
    first, second = chunks_of([100, 100], {})
    ahead = 50 + 150 / SFREQ
    waiting.add([ReceivedMarker(ahead, str(n), "a program") for n in range(MAX_WAITING + 3)])
    told = waiting.attach(first).markers
    assert [marker.label for marker in told] == ["0", "1", "2"]
    assert {(marker.index, marker.timestamp) for marker in told} == {
        (99, float(first.timestamps[-1]))
    }
    assert len(waiting.attach(second).markers) == MAX_WAITING


@contextmanager
def streaming() -> Iterator[tuple[str, float]]:
    """An EEG outlet that sends in real time; its URL, and its first sample's stamp."""
    source_id, stop = str(uuid4()), threading.Event()
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("eeg", "EEG", 2, RATE, "float32", source_id))
    start = local_clock()

    def send() -> None:
        n = 0
        while not stop.wait(0.004):
            while start + n / RATE < local_clock():
                outlet.push_sample([float(n), 0.0], start + n / RATE)
                n += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield f"lsl://?source_id={source_id}&timeout={EVENTUALLY:g}", start
    finally:
        stop.set()
        sender.join()


def marker_outlet(
    name: str,
    form: str = "string",
    source_id: str = "",
    kind: str = "Markers",
    n_channels: int = 1,
    rate: float = 0.0,
) -> Any:
    info = pylsl.StreamInfo(name, kind, n_channels, rate, form, source_id or str(uuid4()))
    return pylsl.StreamOutlet(info)


def collect(chunks: Iterator[Chunk], n_markers: int) -> list[tuple[Marker, float]]:
    """Markers as they come, each with the number that its sample carries less its index."""
    seen: list[Chunk] = []
    until = time.monotonic() + EVENTUALLY
    while sum(len(chunk.markers) for chunk in seen) < n_markers and time.monotonic() < until:
        seen.append(next(chunks))
    carried = {
        chunk.first + row: float(chunk.data[row, 0])
        for chunk in seen
        for row in range(chunk.n_times)
    }
    markers = [marker for chunk in seen for marker in chunk.markers]
    return [(marker, carried[marker.index]) for marker in markers if marker.index in carried]


def soon(start: float) -> tuple[int, float]:
    """A sample that comes in half a second, and its stamp."""
    number = round((local_clock() - start + 0.5) * RATE)
    return number, start + number / RATE


def test_markers_come_with_the_samples_that_were_sent_with_them() -> None:
    name = f"a & b {uuid4()}"
    wanted, other = marker_outlet(name), marker_outlet(f"other {uuid4()}")
    with (
        streaming() as (url, start),
        # Its name alone is looked for.
        patient(f"{url}&markers={name.replace('&', '%26')}", EVENTUALLY) as driver,
    ):
        assert not any("marker" in notice for notice in driver.info.notices)
        chunks = iter(driver)
        next(chunks)
        assert wanted.wait_for_consumers(EVENTUALLY)
        number, stamp = soon(start)
        other.push_sample(["not this"], stamp)
        wanted.push_sample(["go ö"], stamp + 0.03)
        wanted.push_sample([b"\xff"], stamp + 0.27)
        found = collect(chunks, 2)
    assert [(m.label, m.source) for m, _ in found] == [
        ("go ö", name),
        ("\N{REPLACEMENT CHARACTER}", name),
    ]
    assert [carried for _, carried in found] == [number, number + 3]
    assert found[0][0].timestamp == pytest.approx(stamp + 0.03, abs=0.02)


def test_streams_that_come_later_are_taken_but_never_our_own() -> None:
    with (
        streaming() as (url, start),
        patient(f"{url}&markers=1") as driver,
    ):
        chunks = iter(driver)
        next(chunks)
        own = marker_outlet("own", source_id=OWN_PREFIX + "simulate-1")
        late = marker_outlet("late", "int32")
        assert late.wait_for_consumers(EVENTUALLY)
        number, stamp = soon(start)
        own.push_sample(["echo"], stamp - 0.1)
        late.push_sample([7], stamp)
        late.push_sample([8], stamp + time.time())  # UNIX time, or worse: its arrival counts
        found = collect(chunks, 2)
        assert not own.have_consumers()
    labels = {marker.label: carried for marker, carried in found}
    assert set(labels) == {"7", "8"}
    assert labels["7"] == number


def test_markers_are_taken_by_what_they_are_and_the_rest_is_named() -> None:
    source_id = f"all {uuid4()}"  # so that only these streams are looked at
    kinds: list[tuple[str, str, list[Any], str]] = [
        ("Markers", "int32", [7], "7"),
        ("Marker", "int32", [8], "8"),
        ("trigger", "int16", [9], "9"),
        ("STIM", "float32", [10.0], "10"),
        ("", "double64", [2.5], "2.5"),
        ("Events", "string", ["go"], "go"),
        ("nothing known", "string", ["a", "b"], "a; b"),
        ("markers", "int32", [1, 2], "1; 2"),
    ]
    outlets = [
        marker_outlet(f"{n}", form, source_id, kind, len(values))
        for n, (kind, form, values, _) in enumerate(kinds)
    ]
    others = [
        marker_outlet("gaze", "float32", source_id, "Gaze", 2),
        marker_outlet("pulse", "float32", source_id, "PPG"),
        marker_outlet("acceleration", "float32", source_id, "ACC", 3, 50.0),
    ]
    with (
        streaming() as (url, start),
        patient(f"{url}&markers={source_id}") as driver,
    ):
        chunks = iter(driver)
        next(chunks)
        assert all(outlet.wait_for_consumers(EVENTUALLY) for outlet in outlets)
        number, stamp = soon(start)
        for outlet, (_, _, values, _) in zip(outlets, kinds, strict=True):
            outlet.push_sample(values, stamp)
        found = collect(chunks, len(kinds))
        left_out = " ".join(driver.info.notices)
        assert not any(other.have_consumers() for other in others)
    assert {marker.label for marker, _ in found} == {label for *_, label in kinds}
    assert {carried for _, carried in found} == {number}
    assert all(name in left_out for name in ("gaze (Gaze", "pulse (PPG", "acceleration (ACC"))


def test_a_marker_of_a_clock_that_was_set_is_at_its_sample() -> None:
    now = 1000.0
    assert plausible_time(now - 3600, now - 0.1, now) == now - 0.1
    assert plausible_time(now - 0.2, now - 3600.2, now) == now - 0.2


def test_a_stream_that_goes_leaves_the_signal() -> None:
    name = str(uuid4())
    outlet = marker_outlet(name)
    with (
        streaming() as (url, start),
        patient(f"{url}&markers={name}") as driver,
    ):
        chunks = iter(driver)
        next(chunks)
        del outlet
        again = marker_outlet(name)
        while not again.have_consumers():
            next(chunks)
        number, stamp = soon(start)
        again.push_sample(["back"], stamp)
        assert [(marker.label, carried) for marker, carried in collect(chunks, 1)] == [
            ("back", number)
        ]


def test_a_stream_that_is_not_there_is_reported() -> None:
    with (
        streaming() as (url, _),
        patient(f"{url}&markers=nobody") as driver,
    ):
        assert "There is no marker stream yet; it is used once it appears." in driver.info.notices
    assert "marker streams" not in {thread.name for thread in threading.enumerate()}


def test_a_name_with_both_quotes_is_refused() -> None:
    with pytest.raises(BadSource):
        open_driver("lsl://?markers=a'b\"c")
