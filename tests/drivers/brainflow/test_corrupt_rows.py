"""Packet numbers with losses and garbage, in any chunks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.brainflow.corrupt_rows import NumberedRows, PacketFilter


def rows_of(numbers: list[int]) -> NumberedRows:
    """Rows whose data tell where in the list they were."""
    at = np.arange(len(numbers), dtype=np.float64)
    return np.array(numbers, np.float64), at / 250, at[:, None]


def kept(numbers: list[int], cuts: list[int]) -> list[int]:
    """Which of them come out."""
    sieve = PacketFilter()
    rows = rows_of(numbers)
    edges = [0, *sorted(cut % (len(numbers) + 1) for cut in cuts), len(numbers)]
    parts = [sieve.feed((rows[0][a:b], rows[1][a:b], rows[2][a:b])) for a, b in pairwise(edges)]
    held = sieve.flush()
    if held is not None:
        parts.append(held)
    for number, stamp, data in parts:
        np.testing.assert_array_equal(number, rows[0][data[:, 0].astype(int)])
        np.testing.assert_array_equal(stamp, data[:, 0] / 250)
    return [int(each) for part in parts for each in part[2][:, 0]]


cuts = st.lists(st.integers(0, 1000), max_size=8)


@given(st.integers(0, 255), st.lists(st.tuples(st.integers(1, 600), st.integers(2, 5))), cuts)
def test_losses_are_no_garbage(start: int, script: list[tuple[int, int]], cuts: list[int]) -> None:
    numbers, at, repeats = [start], start, set()
    for step, follow in script:  # a loss, and then some in a row
        if step % 256 == 0:
            repeats.add(len(numbers))
        at += step
        numbers += [(at + n) % 256 for n in range(follow)]
        at += follow - 1
    assert kept(numbers, cuts) == [n for n in range(len(numbers)) if n not in repeats]


@given(st.integers(0, 255), st.integers(1, 50), st.integers(1, 255), cuts)
def test_one_wrong_number_is_left_out(start: int, wrong: int, by: int, cuts: list[int]) -> None:
    numbers = [(start + n) % 256 for n in range(60)]
    numbers[wrong] = (numbers[wrong] + by) % 256
    left_out = wrong + 1 if by == 1 else wrong  # it passes for the next one, which then repeats it
    assert kept(numbers, cuts) == [n for n in range(60) if n != left_out]


@given(st.lists(st.integers(0, 255), max_size=30), cuts)
def test_any_chunks_give_the_same(numbers: list[int], cuts: list[int]) -> None:
    assert kept(numbers, cuts) == kept(numbers, [])
