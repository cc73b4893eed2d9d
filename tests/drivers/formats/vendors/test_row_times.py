from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.formats.vendors.row_times import NumberedTimeline, numbered_timeline
from mimamba.drivers.timing.packet_counter import (
    BYTE_NUMBERING,
    MUSE_NUMBERING,
    PacketNumbering,
)

N = 6000


def timeline(
    index: np.ndarray,
    stamps: np.ndarray | None,
    numbering: PacketNumbering | None = BYTE_NUMBERING,
    declared: float = 250.0,
    given: float | None = None,
) -> tuple[NumberedTimeline, list[str]]:
    notices: list[str] = []
    shown = numbering or BYTE_NUMBERING
    numbers = (index // shown.n_times % shown.n_packets).astype(np.float64)
    made = numbered_timeline(numbers, stamps, declared, given, numbering, "x.txt", notices)
    return made, notices


@given(
    at=st.integers(100, N - 100),
    lost=st.integers(0, 60),
    step=st.sampled_from([0.0, -3600.0, 200_000.0, 86_400.0, -5.0]),
    numbering=st.sampled_from([BYTE_NUMBERING, MUSE_NUMBERING]),
)
def test_the_counter_counts_losses_also_where_the_clock_jumps(
    at: int, lost: int, step: float, numbering: PacketNumbering
) -> None:
    at -= at % numbering.n_times
    index = np.arange(N)
    index[at:] += lost * numbering.n_times
    stamps = 1.7e9 + index / 250
    stamps[at:] += step
    made, notices = timeline(index, stamps, numbering)
    np.testing.assert_array_equal(made.index, index)
    assert (np.diff(made.timestamps) > 0).all()
    assert (made.sfreq, bool(notices)) == (250.0, step != 0)


def test_the_rate_is_that_of_the_stamps_with_losses_counted() -> None:
    index = np.arange(N)
    index = index[index % 20 != 0]
    made, notices = timeline(index, 1.7e9 + index / 200)
    assert made.sfreq == 200.0
    np.testing.assert_array_equal(made.index, index - index[0])
    assert "250 Hz, but the stamps give 200 Hz" in notices[0]
    assert timeline(index, 1.7e9 + index / 250)[1] == []


@pytest.mark.parametrize("numbering", [BYTE_NUMBERING, MUSE_NUMBERING, None])
def test_rows_without_a_time(numbering: PacketNumbering | None) -> None:
    index = np.arange(N)
    index[1200:] += 24
    made, notices = timeline(index, None, numbering)
    counted = numbering is not None
    np.testing.assert_array_equal(made.index, index if counted else np.arange(N))
    np.testing.assert_allclose(made.timestamps, made.index / 250)
    said = "show only by the packet number" if counted else "do not show"
    assert notices == [f"The rows have no time: samples that were lost {said}."]


def test_numbers_of_another_program_without_a_time() -> None:
    notices: list[str] = []
    numbers = np.arange(N, dtype=np.float64)  # they do not start again at 256
    made = numbered_timeline(numbers, None, 250.0, None, BYTE_NUMBERING, "x.txt", notices)
    np.testing.assert_array_equal(made.index, np.arange(N))
    assert notices == ["The rows have no time: samples that were lost do not show."]
