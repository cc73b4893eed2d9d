"""Packet counters against simulated devices that lose, delay and restart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds
from mimamba.drivers.timing.packet_counter import (
    BYTE_NUMBERING,
    GANGLION_2_NUMBERING,
    GANGLION_NUMBERING,
    MUSE_NUMBERING,
    CounterClock,
    PacketNumbering,
)

RATES = {
    BYTE_NUMBERING: 250.0,
    MUSE_NUMBERING: 256.0,
    GANGLION_NUMBERING: 200.0,
    GANGLION_2_NUMBERING: 200.0,
}


@dataclass
class Rows:
    """What a device handed over, and the truth: each row's index and the time it was taken."""

    numbers: NDArray[np.float64]
    stamps: Seconds
    data: Samples
    index: NDArray[np.int64]
    taken: Seconds
    sfreq: float

    def without(self, lost: NDArray[np.bool_]) -> Rows:
        kept = ~lost
        return Rows(
            self.numbers[kept],
            self.stamps[kept],
            self.data[kept],
            self.index[kept],
            self.taken[kept],
            self.sfreq,
        )


def device(
    numbering: PacketNumbering, n_packets: int, start: int = 0, rate: float | None = None
) -> Rows:
    """Rows of a device that loses nothing, each packet received as its last sample is taken."""
    sfreq = RATES[numbering]
    packets = [(start + n) % numbering.n_packets for n in range(n_packets)]
    numbers = np.repeat(packets, [numbering.length(p) for p in packets]).astype(np.float64)
    of_packet = np.repeat(range(n_packets), [numbering.length(p) for p in packets])
    index = np.arange(len(numbers))
    taken = 1000.0 + index / (rate or sfreq)
    last = np.searchsorted(of_packet, of_packet, side="right") - 1
    return Rows(numbers, taken[last], index[:, None].astype(np.float32), index, taken, sfreq)


def run(numbering: PacketNumbering, rows: Rows, cuts: Iterable[int] = ()) -> list[Chunk]:
    clock = CounterClock(numbering, rows.sfreq)
    edges = [0, *sorted(cuts), len(rows.numbers)]
    chunks: list[Chunk] = []
    for start, stop in pairwise(edges):
        part = slice(start, stop)
        chunks += clock.push(rows.numbers[part], rows.stamps[part], rows.data[part])
    return chunks + clock.flush()


def indices(chunks: Sequence[Chunk]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(chunk.first, chunk.end) for chunk in chunks])


def times(chunks: Sequence[Chunk]) -> Seconds:
    return np.concatenate([chunk.timestamps for chunk in chunks])


def values(chunks: Sequence[Chunk]) -> Samples:
    return np.concatenate([chunk.data for chunk in chunks])


@pytest.mark.parametrize(
    "numbering", [BYTE_NUMBERING, MUSE_NUMBERING, GANGLION_NUMBERING, GANGLION_2_NUMBERING]
)
def test_numbers_that_wrap_lose_nothing(numbering: PacketNumbering) -> None:
    rows = device(numbering, 3 * min(numbering.n_packets, 700), start=numbering.n_packets - 5)
    chunks = run(numbering, rows)
    assert len(chunks) == 1
    np.testing.assert_array_equal(indices(chunks), rows.index)
    np.testing.assert_array_equal(values(chunks), rows.data)


@st.composite
def losses(draw: st.DrawFn) -> tuple[PacketNumbering, Rows, list[int]]:
    """A device that loses packets (fewer than half a cycle at once), and where it is cut."""
    numbering = draw(
        st.sampled_from([BYTE_NUMBERING, MUSE_NUMBERING, GANGLION_NUMBERING, GANGLION_2_NUMBERING])
    )
    rows = device(numbering, 400, start=draw(st.integers(0, numbering.n_packets - 1)))
    lost = np.zeros(len(rows.numbers), dtype=bool)
    edges = np.flatnonzero(np.diff(rows.numbers)) + 1
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(1, len(edges) - 42))
        length = draw(st.integers(1, 40))
        lost[edges[first] : edges[first + length]] = True
    rows = rows.without(lost)
    jitter = draw(st.sampled_from([0.0, 0.004, 0.02]))
    noise = np.random.default_rng(draw(st.integers(0, 99)))
    rows.stamps = rows.stamps + noise.uniform(0, jitter, len(rows.stamps))
    cuts = draw(st.lists(st.integers(0, len(rows.numbers)), max_size=12))
    return numbering, rows, cuts


@settings(max_examples=60, deadline=None)
@given(losses())
def test_lost_packets_are_counted_exactly(case: tuple[PacketNumbering, Rows, list[int]]) -> None:
    numbering, rows, cuts = case
    chunks = run(numbering, rows, cuts)
    np.testing.assert_array_equal(indices(chunks), rows.index - rows.index[0])
    np.testing.assert_array_equal(values(chunks), rows.data)
    assert np.all(np.diff(times(chunks)) > 0)


@settings(max_examples=40, deadline=None)
@given(losses(), st.sampled_from([0.0, 0.4, 0.9, 1.6]))
def test_packet_borders_change_nothing(
    case: tuple[PacketNumbering, Rows, list[int]], stall: float
) -> None:
    numbering, rows, cuts = case
    middle = rows.stamps[len(rows.stamps) // 2]
    late = (rows.stamps > middle) & (rows.stamps < middle + stall)
    rows.stamps[late] = middle + stall
    whole, parts = run(numbering, rows), run(numbering, rows, cuts)
    np.testing.assert_array_equal(indices(whole), indices(parts))
    np.testing.assert_array_equal(times(whole), times(parts))
    np.testing.assert_array_equal(values(whole), values(parts))


@pytest.mark.parametrize(
    ("numbering", "n_lost"),
    [(BYTE_NUMBERING, 256), (BYTE_NUMBERING, 300), (GANGLION_NUMBERING, 150)],
)
@pytest.mark.parametrize("n_wraps", [1, 3])
def test_a_loss_longer_than_the_wrap_is_resolved_by_the_clock(
    numbering: PacketNumbering, n_lost: int, n_wraps: int
) -> None:
    rows = device(numbering, 2500)
    gone = n_lost * numbering.n_times + (n_wraps - 1) * numbering.cycle
    rows = rows.without((rows.index >= 1000) & (rows.index < 1000 + gone))
    np.testing.assert_array_equal(indices(run(numbering, rows, [1001, 1030])), rows.index)


@pytest.mark.parametrize("numbering", [BYTE_NUMBERING, MUSE_NUMBERING, GANGLION_NUMBERING])
@pytest.mark.parametrize("stall", [0.3, 0.8, 1.9])
def test_a_stall_that_catches_up_lost_nothing(numbering: PacketNumbering, stall: float) -> None:
    rows = device(numbering, 3000 // numbering.n_times)
    late = (rows.taken > 1004.0) & (rows.taken < 1004.0 + stall)
    rows.stamps[late] = 1004.0 + stall
    chunks = run(numbering, rows)
    np.testing.assert_array_equal(indices(chunks), rows.index)
    np.testing.assert_allclose(times(chunks), rows.taken, atol=0.15)


@pytest.mark.parametrize("numbering", [BYTE_NUMBERING, MUSE_NUMBERING])
@pytest.mark.parametrize("pause", [0.05, 0.13, 0.24, 0.5, 1.0])
@pytest.mark.parametrize("speed", [4.0, 50.0])
def test_a_burst_that_stops_for_a_moment_lost_nothing(
    numbering: PacketNumbering, pause: float, speed: float
) -> None:
    """A computer that was stopped for 4 s reads what has come, and is stopped once more in that."""
    for after in (12, 60, 150):
        rows = device(numbering, 3000 // numbering.n_times)
        begin = int(np.searchsorted(rows.taken, 1004.0))
        now = 1008.0
        for at in range(begin, len(rows.stamps)):
            now += pause if at == begin + after else 1 / (speed * rows.sfreq)
            rows.stamps[at] = now = max(now, rows.stamps[at])
        np.testing.assert_array_equal(indices(run(numbering, rows)), rows.index)


def test_samples_held_back_are_given_at_the_end() -> None:
    rows = device(BYTE_NUMBERING, 1300)
    rows = rows.without((rows.index >= 1000) & (rows.index < 1256))
    rows = rows.without(rows.index > 1260)  # too few to be sure, but all say one wrap
    np.testing.assert_array_equal(indices(run(BYTE_NUMBERING, rows)), rows.index)


def test_a_restarted_counter_is_overruled_by_the_clock() -> None:
    rows = device(MUSE_NUMBERING, 400, start=500)
    rows.numbers[1200:] -= 550
    rows.stamps[1200:] += 0.5  # the device was away for half a second
    found = indices(run(MUSE_NUMBERING, rows))
    np.testing.assert_array_equal(found[:1200], rows.index[:1200])
    assert found[1200] - found[1199] == pytest.approx(1 + 0.5 * 256, abs=12)
    np.testing.assert_array_equal(np.diff(found[1200:]), 1)


def test_time_that_the_counter_did_not_see_is_counted_by_the_clock() -> None:
    rows = device(MUSE_NUMBERING, 400)
    rows.stamps[2400:] += 1.5
    found = indices(run(MUSE_NUMBERING, rows))
    assert found[2400] - found[2399] == pytest.approx(1 + 1.5 * 256, abs=12)
    np.testing.assert_array_equal(np.diff(found[2400:]), 1)


def test_impedance_rows_are_no_samples() -> None:
    rows = device(GANGLION_NUMBERING, 200)
    at = [7, 7, 90, 201]
    numbers = np.insert(rows.numbers, at, [201, 202, 205, 203])
    stamps = np.insert(rows.stamps, at, rows.stamps[at])
    data = np.insert(rows.data, at, -1.0, axis=0)
    chunks = CounterClock(GANGLION_NUMBERING, 200).push(numbers, stamps, data)
    np.testing.assert_array_equal(indices(chunks), rows.index)
    np.testing.assert_array_equal(values(chunks), rows.data)


@pytest.mark.parametrize(("offset", "start"), [(0, 10), (100, 10), (0, 0), (100, 0)])
def test_the_ganglions_firmware_is_found_out(offset: int, start: int) -> None:
    rows = device(GANGLION_2_NUMBERING, 400, start=start)
    rows.numbers[rows.numbers > 0] += offset
    lost = (rows.index > 300) & np.isin(rows.numbers, [0, offset + 1, offset + 2])
    rows = rows.without(lost)
    np.testing.assert_array_equal(indices(run(GANGLION_NUMBERING, rows)), rows.index)


def test_the_ganglions_19_bit_numbers_are_its_18_bit_ones_plus_100() -> None:
    rows = device(GANGLION_NUMBERING, 250)
    rows.numbers += 100
    rows = rows.without((rows.numbers == 130) & (rows.index > 100))
    np.testing.assert_array_equal(indices(run(GANGLION_NUMBERING, rows)), rows.index)


@pytest.mark.parametrize("ppm", [-300, 0, 300])
def test_timestamps_are_even_and_follow_the_devices_rate(ppm: int) -> None:
    rate = 256 * (1 + ppm * 1e-6)
    rows = device(MUSE_NUMBERING, 1300, rate=rate)
    noise = np.random.default_rng(1)
    packets = np.repeat(noise.uniform(0, 0.015, 1300), 12)
    rows.stamps = rows.stamps + packets
    steps = np.diff(times(run(MUSE_NUMBERING, rows)))[12 * 1000 :]
    assert np.abs(steps - 1 / rate).max() < 0.0003
    assert steps.mean() == pytest.approx(1 / rate, rel=1e-3)


def test_chunks_do_not_share_memory_with_what_came() -> None:
    rows = device(BYTE_NUMBERING, 100)
    data = rows.data.copy()
    chunk = CounterClock(BYTE_NUMBERING, 250).push(rows.numbers, rows.stamps, data)[0]
    data[:] = -1
    np.testing.assert_array_equal(chunk.data, rows.data)
