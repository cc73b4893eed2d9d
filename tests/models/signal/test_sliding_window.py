"""The newest 2 s are a function of the samples and their indices, never of chunks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, StreamInfo
from mimamba.models.signal.sliding_window import SlidingWindow, Window

INFO = StreamInfo("test", "test", 256.0, ("TP9", "AF7", "AF8"))
NOISE = np.random.default_rng(5).normal(0, 20, (1600, 3)).astype(np.float32)
LONGEST = 25


def cut(values: Samples, keep: NDArray[np.bool_], cuts: list[int]) -> list[Chunk]:
    """The samples that are kept, as chunks that end at these places and at gaps."""
    gaps = np.flatnonzero(np.diff(keep.astype(int))) + 1
    edges = sorted({0, len(values), *gaps.tolist(), *cuts})
    return [Chunk(values[a:b], np.arange(a, b) / 256, a) for a, b in pairwise(edges) if keep[a]]


def follow(chunks: list[Chunk], info: StreamInfo = INFO) -> list[Window]:
    quarters = SlidingWindow(info)
    return [each for chunk in chunks for each in quarters.feed(chunk)]


def facts(newest: Window) -> tuple[object, ...]:
    """All of it, comparable bit for bit."""
    samples = None if newest.samples is None else newest.samples.tobytes()
    return (newest.index, newest.timestamp, samples, newest.usable.tolist())


def without(*lost: slice) -> NDArray[np.bool_]:
    keep = np.ones(len(NOISE), np.bool_)
    for each in lost:
        keep[each] = False
    return keep


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 1600), max_size=30),
    lost=st.lists(
        st.tuples(st.integers(0, 1600), st.sampled_from([1, 24, 25, 26, 70, 130, 600])), max_size=3
    ),
    missing=st.lists(
        st.tuples(st.integers(0, 1600), st.integers(1, 80), st.integers(0, 2)), max_size=3
    ),
)
def test_chunks_never_matter(
    cuts: list[int], lost: list[tuple[int, int]], missing: list[tuple[int, int, int]]
) -> None:
    values = NOISE.copy()
    for start, length, channel in missing:
        values[start : start + length, channel] = np.nan
    keep = without(*(slice(start, start + length) for start, length in lost))
    whole = follow(cut(values, keep, []))
    assert [facts(each) for each in follow(cut(values, keep, cuts))] == [facts(e) for e in whole]
    # A quarter is told of once a sample of it came, and one at or after its end.
    quarters = {n // 64 for n in np.flatnonzero(keep) if keep[(n // 64 + 1) * 64 - 1 :].any()}
    assert [each.index for each in whole] == [64 * q + 63 for q in sorted(quarters) if q < 25]
    values[~keep] = np.nan
    for each in whole:
        rows = values[max(each.index - 511, 0) : each.index + 1]
        assert each.usable.tolist() == [len(rows) == 512 and holds(column) for column in rows.T]
        if each.samples is not None:
            known = ~np.isnan(rows)
            np.testing.assert_array_equal(each.samples.T[known], rows[known])
            assert np.isfinite(each.samples).all()


def holds(column: Samples) -> bool:
    """True if at most 0.1 s in a row are missing."""
    known = np.flatnonzero(~np.isnan(column))
    return int((np.diff([-1, *known, len(column)]) - 1).max()) <= LONGEST


def test_one_sample_at_a_time() -> None:
    keep = without(slice(630, 650), slice(1000, 1040))
    whole, parts = follow(cut(NOISE, keep, [])), follow(cut(NOISE, keep, list(range(1600))))
    assert [facts(each) for each in whole] == [facts(each) for each in parts]


def test_a_window_never_changes_and_its_state_goes_on_elsewhere() -> None:
    values = NOISE.copy()
    values[500:700, 1] = np.nan
    chunks = cut(values, without(slice(630, 650), slice(900, 930)), list(range(0, 1600, 37)))
    quarters, told = SlidingWindow(INFO), list[tuple[Window, tuple[object, ...]]]()
    for chunk in chunks:
        state, quarters = quarters.state, SlidingWindow(INFO)
        quarters.state = state
        told += [(each, facts(each)) for each in quarters.feed(chunk)]
    assert [then for _, then in told] == [facts(each) for each in follow(chunks)]
    going_on = SlidingWindow(INFO)
    told = [(each, facts(each)) for chunk in chunks for each in going_on.feed(chunk)]
    assert all(facts(each) == then for each, then in told)


@pytest.mark.parametrize("gap", [slice(600, 620), slice(630, 650), slice(640, 664)])
def test_a_short_gap_lies_on_a_straight_line(gap: slice) -> None:
    newest = follow(cut(NOISE, without(gap), []))[12]
    assert newest.samples is not None
    assert newest.usable.all()
    start = newest.index - 511
    ends = NOISE[[gap.start - 1, gap.stop]].astype(np.float64)
    line = np.linspace(ends[0], ends[1], gap.stop - gap.start + 2)[1:-1]
    np.testing.assert_allclose(newest.samples[:, gap.start - start : gap.stop - start], line.T)


def test_a_channel_that_is_dead_holds_a_value() -> None:
    values = NOISE.copy()
    values[700:, 1] = np.nan
    values[:, 2] = np.inf
    newest = follow(cut(values, without(), []))[-1]
    assert newest.samples is not None
    assert newest.usable.tolist() == [True, False, False]
    assert (newest.samples[1] == np.float64(values[699, 1])).all()
    assert (newest.samples[2] == 0).all()


def test_what_a_quarter_lost_is_counted_in_its_time() -> None:
    newest = follow(cut(NOISE, without(slice(630, 650)), []))[9]
    assert newest.index == 639
    assert newest.timestamp == pytest.approx(639 / 256)


def test_a_new_epoch_drops_an_unfinished_quarter() -> None:
    chunks = cut(NOISE[:700], np.ones(700, np.bool_), [100])
    told = follow([replace(chunk, epoch=epoch) for epoch in range(2) for chunk in chunks])
    assert [facts(each) for each in told[:10]] == [facts(each) for each in told[10:]]
    assert [each.samples is None for each in told[:10]] == 7 * [True] + 3 * [False]


def test_going_back_within_an_epoch_is_refused() -> None:
    quarters = SlidingWindow(INFO)
    first, second = cut(NOISE[:100], np.ones(100, np.bool_), [50])
    quarters.feed(second)
    with pytest.raises(
        ValueError, match=r"Expected a chunk from sample 100 on, but found one from 0."
    ):
        quarters.feed(first)
