"""Clocks that step, stop or count otherwise: no sample is refused, and time goes on."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk
from mimamba.drivers.timing.live_stamps import LiveStamps
from mimamba.drivers.timing.sample_clock import SampleClock

SFREQ = 256.0
START = 1000.0
N = 2000
"""Samples of a run."""
Times = NDArray[np.float64]


class Heard:
    """What a clock made of stamps that came in packets."""

    def __init__(
        self, stamps: Times, arrivals: Times, cuts: list[int], clock: LiveStamps | None = None
    ) -> None:
        """``arrivals`` (n_times,) is the earliest that each sample can be read; packets end
        before the samples of ``cuts``."""
        live = clock or LiveStamps(SFREQ, "it")
        even = SampleClock(SFREQ)
        chunks: list[Chunk] = []
        self.remarks: list[str] = []
        edges = sorted({0, len(stamps), *(cut for cut in cuts if 0 < cut < len(stamps))})
        for start, stop in pairwise(edges):
            now = float(arrivals[start:stop].max())
            times = live.push(stamps[start:stop], now)
            assert np.isfinite(times).all()
            chunks += even.push(times, np.arange(start, stop, dtype=np.float32)[:, None])
            self.remarks += live.take_remarks()
        chunks += even.flush()
        self.notices = live.notices
        self.data = np.concatenate([chunk.data for chunk in chunks])[:, 0]
        self.times = np.concatenate([chunk.timestamps for chunk in chunks])
        index = [np.arange(chunk.first, chunk.end) for chunk in chunks]
        self.index = np.concatenate(index)
        # Whatever the stamps are, each sample comes once, in order, and time never goes back.
        np.testing.assert_array_equal(self.data, np.arange(len(stamps)))
        assert (np.diff(self.times) > 0).all()
        assert (np.diff(self.index) > 0).all()

    @property
    def lost(self) -> int:
        return int(self.index[-1]) - len(self.index) + 1


def even(n_times: int) -> Times:
    return START + np.arange(n_times) / SFREQ


def every(length: int, n_times: int) -> list[int]:
    return list(range(length, n_times, length))


cuts = st.lists(st.integers(1, 60), min_size=1, max_size=40).map(
    lambda lengths: np.cumsum(lengths * (N // sum(lengths) + 1)).tolist()
)
"""Packets of up to a quarter of a second."""


@settings(max_examples=30)
@given(cuts, st.floats(0, 0.2))
def test_a_clock_that_is_right_is_left_alone(cut: list[int], delay: float) -> None:
    stamps = even(N)
    heard = Heard(stamps, stamps + delay, cut)
    np.testing.assert_allclose(heard.times, stamps, atol=1e-6)
    assert (heard.remarks, heard.notices, heard.lost) == ([], (), 0)


@settings(max_examples=30)
@given(
    st.one_of(st.floats(-1e9, -0.15), st.floats(0.6, 1e9)),
    st.integers(400, 1000),
    cuts,
    st.floats(0, 0.1),
    st.floats(0, 0.004),
    st.integers(0, 2**32 - 1),
)
def test_a_step_of_any_size_is_reported_once_and_costs_nothing(
    step: float, at: int, cut: list[int], delay: float, jitter: float, seed: int
) -> None:
    true = even(N)
    stamps = true + np.random.default_rng(seed).uniform(-jitter, jitter, len(true))
    stamps[at:] += step
    heard = Heard(stamps, true + delay, cut)
    assert heard.lost == 0
    assert len(heard.remarks) == 1
    assert ("forward" if step > 0 else "back") in heard.remarks[0]
    # Right at once, and long before 2 s at the right pace.
    np.testing.assert_allclose(heard.times, true, atol=0.05)


@settings(max_examples=30)
@given(
    st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(300, 500), st.integers(900, 1200), cuts
)
def test_two_steps_leave_the_pace(
    one: float, two: float, at: int, then: int, cut: list[int]
) -> None:
    stamps = even(N)
    stamps[at:] += one
    stamps[then:] += two
    heard = Heard(stamps, even(N) + 0.01, cut)
    assert len(heard.remarks) <= 2
    pace = np.diff(heard.times[then + 384 :]).mean() * SFREQ
    # A step of less than 0.1 s is jitter, which is evened out over seconds.
    assert pace == pytest.approx(1, abs=0.03)


@settings(max_examples=30)
@given(st.integers(400, 1000), st.integers(30, 1500), cuts)
def test_a_loss_is_still_a_loss(at: int, lost: int, cut: list[int]) -> None:
    stamps = np.delete(even(N + lost), slice(at, at + lost))
    heard = Heard(stamps, stamps + 0.02, cut)
    assert heard.lost == lost
    assert heard.remarks == []
    np.testing.assert_allclose(heard.times, stamps, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(300, 1000), st.floats(0.5, 6.0), st.integers(1, 2000))
def test_a_stall_that_catches_up_is_late_but_whole(at: int, stall: float, packet: int) -> None:
    stamps = even(N)
    arrivals = stamps + 0.02
    arrivals[at:] = np.maximum(arrivals[at:], arrivals[at] + stall)
    heard = Heard(stamps, arrivals, every(packet, N))
    assert (heard.lost, heard.remarks) == (0, [])
    np.testing.assert_allclose(heard.times, stamps, atol=1e-6)


@settings(max_examples=30)
@given(st.sampled_from([1e3, 1e6, 1e9, 256.0, 0.0, 0.1, 60.0]), cuts, st.integers(300, 700))
def test_stamps_in_another_unit_are_given_up(factor: float, cut: list[int], since: int) -> None:
    true = even(N)
    stamps = np.where(np.arange(N) < since, true, true[since] + (true - true[since]) * factor)
    heard = Heard(stamps, true + 0.01, cut)
    assert len(heard.remarks) <= 1
    settled = slice(since + 600, None)
    np.testing.assert_allclose(np.diff(heard.times[settled]).mean() * SFREQ, 1, atol=0.02)
    assert heard.lost <= 0.3 * SFREQ + 60  # packets are that long at most


def test_stamps_in_a_known_unit_are_converted() -> None:
    true = even(N)
    unix = 1000 * (true - START + time.time())
    heard = Heard(unix, true, every(12, N), LiveStamps(SFREQ, "it", 0.001))
    np.testing.assert_allclose(np.diff(heard.times), 1 / SFREQ, atol=1e-5)
    assert (heard.remarks, heard.lost) == ([], 0)
    assert "UNIX time" in heard.notices[0]


@settings(max_examples=30)
@given(cuts, st.lists(st.integers(1, N - 1), max_size=20), st.sampled_from([np.nan, np.inf, 1e300]))
@example([2], [1], 1e300)
@example([3], [1, 2], np.inf)
def test_lone_outliers_are_counted(cut: list[int], at: list[int], value: float) -> None:
    stamps = even(N)
    stamps[at] = value
    heard = Heard(stamps, even(N) + 0.01, cut)
    assert (heard.lost, heard.remarks) == (0, [])
    np.testing.assert_allclose(heard.times, even(N), atol=0.01)


@settings(max_examples=30)
@given(cuts, st.sampled_from([np.nan, -np.inf]))
def test_stamps_that_are_no_numbers_are_given_up(cut: list[int], value: float) -> None:
    heard = Heard(np.full(N, value), even(N), cut)
    assert len(heard.remarks) == 1
    np.testing.assert_allclose(heard.times[-1] - heard.times[0], N / SFREQ, atol=0.3)


def test_a_step_during_a_loss_counts_the_loss_by_arrival() -> None:
    true = np.delete(even(N), slice(800, 1200))
    stamps = true.copy()
    stamps[800:] -= 3600
    heard = Heard(stamps, true + 0.01, every(12, len(stamps)))
    assert heard.lost == pytest.approx(400, abs=10)
    assert len(heard.remarks) == 1
    np.testing.assert_allclose(heard.times[1000:], true[1000:], atol=0.05)


def test_events_of_the_same_clock_are_moved_like_the_samples() -> None:
    live = LiveStamps(SFREQ, "it", 0.001)
    live.push(1000 * (even(500) + 5e6), START + 499 / SFREQ)
    assert live.translate(1000 * (START + 5e6 + 1)) == pytest.approx(START + 1)
