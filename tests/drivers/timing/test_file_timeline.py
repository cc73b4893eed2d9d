from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.timing.file_timeline import timeline_from_counter, timeline_from_stamps
from mimamba.drivers.timing.packet_counter import (
    BYTE_NUMBERING,
    GANGLION_NUMBERING,
    MUSE_NUMBERING,
    PacketNumbering,
)

N = 8000
"""More than two stretches of lines at 256 Hz."""


def stamps_of(index: NDArray[np.int64], sfreq: float, jitter: float = 0.0) -> NDArray[np.float64]:
    noise = np.random.default_rng(3).uniform(-jitter, jitter, len(index))
    return 5e5 + index / sfreq + noise


@given(
    n_times=st.integers(100, N),
    rate=st.floats(0.9, 1.1),
    jitter=st.sampled_from([0.0, 0.004, 0.03]),
)
def test_nothing_is_lost_where_stamps_keep_to_a_line(
    n_times: int, rate: float, jitter: float
) -> None:
    stamps = stamps_of(np.arange(n_times), 256.0 * rate, jitter)
    timestamps, index = timeline_from_stamps(stamps, 256.0)
    np.testing.assert_array_equal(index, np.arange(n_times))
    assert (np.diff(timestamps) > 0).all()
    assert np.abs(timestamps - stamps).max() < 0.2


@given(at=st.integers(300, N - 300), lost=st.integers(27, 3000))
def test_a_loss_is_found_wherever_it_is(at: int, lost: int) -> None:
    wanted = np.arange(N)
    wanted[at:] += lost
    timestamps, index = timeline_from_stamps(stamps_of(wanted, 256.0, 0.001), 256.0)
    np.testing.assert_allclose(index, wanted, atol=1)
    assert (np.diff(timestamps) > 0).all()


def test_a_file_s_drift_and_wander_are_followed() -> None:
    k = np.arange(256 * 120)
    wander = 0.03 * np.sin(k / 256 / 20)  # seconds, over two minutes
    stamps = 1e9 + k / 256.1 + wander
    timestamps, index = timeline_from_stamps(stamps, 256.0)
    np.testing.assert_array_equal(index, k)
    assert np.abs(timestamps - stamps).max() < 5e-3


def test_stamps_that_are_no_seconds() -> None:
    with pytest.raises(BadRecording, match="not a number up to"):
        timeline_from_stamps(np.array([np.nan, 1e300]), 256.0)


def numbers_of(index: NDArray[np.int64], numbering: PacketNumbering) -> NDArray[np.float64]:
    return (index // numbering.n_times % numbering.n_packets).astype(np.float64)


@given(
    numbering=st.sampled_from([BYTE_NUMBERING, MUSE_NUMBERING, GANGLION_NUMBERING]),
    at=st.integers(30, 600),
    packets=st.integers(0, 9),
    begin=st.integers(0, 100_000),
)
def test_packet_numbers_tell_a_loss_exactly(
    numbering: PacketNumbering, at: int, packets: int, begin: int
) -> None:
    wanted = np.arange(N)
    wanted[at * numbering.n_times :] += packets * numbering.n_times
    wanted = wanted[wanted < N]
    found = timeline_from_counter(
        numbers_of(wanted + begin * numbering.n_times, numbering),
        stamps_of(wanted, 250.0, 0.03),
        250.0,
        numbering,
    )
    assert found is not None
    timestamps, index, samples = found
    np.testing.assert_array_equal(index, wanted)
    np.testing.assert_allclose(timestamps, stamps_of(wanted, 250.0), atol=0.1)
    assert samples.all()


@pytest.mark.parametrize("lost", [256, 300, 512, 700])
@pytest.mark.parametrize("at", [100, 3750, 4000])
def test_a_loss_of_a_whole_round_of_numbers_is_told_by_the_clock(lost: int, at: int) -> None:
    wanted = np.arange(N)
    wanted[at:] += lost
    found = timeline_from_counter(
        numbers_of(wanted, BYTE_NUMBERING), stamps_of(wanted, 250.0, 0.01), 250.0, BYTE_NUMBERING
    )
    assert found is not None
    np.testing.assert_array_equal(found[1], wanted)


def test_a_packet_that_began_before_the_file() -> None:
    wanted = np.arange(5, N)
    found = timeline_from_counter(
        numbers_of(wanted, MUSE_NUMBERING), stamps_of(wanted, 256.0), 256.0, MUSE_NUMBERING
    )
    assert found is not None
    np.testing.assert_array_equal(found[1], wanted - 5)


def test_rows_that_are_no_samples_are_reported() -> None:
    index = np.arange(N)
    numbers = numbers_of(index, GANGLION_NUMBERING)
    numbers[100] = 203  # impedance
    stamps = stamps_of(np.where(index > 100, index - 1, index), 200.0)
    found = timeline_from_counter(numbers, stamps, 200.0, GANGLION_NUMBERING)
    assert found is not None
    assert np.flatnonzero(~found[2]).tolist() == [100]
    assert len(found[1]) == N - 1


def test_numbers_of_another_program_are_not_followed() -> None:
    index = np.arange(N)
    stamps = stamps_of(index, 256.0)
    assert timeline_from_counter(index.astype(np.float64), stamps, 256.0, MUSE_NUMBERING) is None
    assert timeline_from_counter(np.zeros(N), stamps, 256.0, BYTE_NUMBERING) is None
    assert timeline_from_counter(-index.astype(np.float64), stamps, 256.0, BYTE_NUMBERING) is None
    stamps[7] = np.nan
    assert (
        timeline_from_counter(numbers_of(index, BYTE_NUMBERING), stamps, 256.0, BYTE_NUMBERING)
        is None
    )
