"""Logs against a plain list: any chunking, any reader, any time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk
from mimamba.service.logs.log import Log, SignalLog

SFREQ = 10.0


def chunk_of(first: int, n_times: int) -> Chunk:
    """Samples with their own index as values."""
    index = np.arange(first, first + n_times)
    return Chunk(np.stack([index, -index], axis=1).astype(np.float32), index / SFREQ, first)


@given(st.integers(1, 8), st.integers(0, 30), st.integers(0, 35), st.integers(0, 35))
def test_log_gives_what_a_list_of_its_last_entries_gives(
    capacity: int, count: int, seq: int, stop: int
) -> None:
    log: Log[str] = Log(capacity)
    assert [log.append(f"entry {n}") for n in range(count)] == list(range(count))
    assert log.next == count
    assert log.oldest == max(0, count - capacity)
    expected = [(n, f"entry {n}") for n in range(count) if log.oldest <= n and seq <= n < stop]
    assert log.read(seq, stop) == expected


steps = st.tuples(st.sampled_from([0, 0, 0, 1, 7]), st.integers(1, 45))


@given(
    st.lists(st.one_of(steps, st.tuples(st.just(0), st.just(1))), max_size=120),
    st.integers(0, 40),
    st.sampled_from([0.0, 0.4, 3.0]),
    st.integers(0, 5),
)
def test_signal_log_gives_every_kept_sample_once_and_in_order(
    chunks: list[tuple[int, int]], seq: int, entry_rate: float, begin: int
) -> None:
    log = SignalLog(2, SFREQ, seconds=5.0, first=begin, entry_rate=entry_rate)
    written: list[int] = []
    first = 0
    for lost, n_times in chunks:
        log.append(chunk_of(first + lost, n_times))
        written += range(first + lost, first + lost + n_times)
        first += lost + n_times
    runs = log.read(seq, log.next)
    indices = [run.first + n for run in runs for n in range(len(run.data))]
    assert indices == written[len(written) - len(indices) :]
    for run in runs:
        expected = np.arange(run.first, run.first + len(run.data))
        np.testing.assert_array_equal(run.data[:, 0], expected)
        np.testing.assert_array_equal(run.data[:, 1], -expected)
        np.testing.assert_array_equal(run.timestamps, expected / SFREQ)
        assert len(run.data) <= 2 * SFREQ
    if seq <= log.oldest and written:
        # A whole chunk leaves the ring together, so a little less than 5 s may be there.
        assert len(indices) >= min(len(written), 50 - 20)


@given(st.lists(st.lists(st.integers(1, 9), max_size=12), max_size=20), st.integers(0, 60))
def test_joined_chunks_are_the_entries_that_they_were_joined_from(
    groups: list[list[int]], seq: int
) -> None:
    one_by_one, joined = (SignalLog(2, SFREQ, seconds=5.0, entry_rate=0.4) for _ in range(2))
    first = 0
    for lengths in groups:
        joined.append(chunk_of(first, sum(lengths)), lengths)
        for length in lengths:
            one_by_one.append(chunk_of(first, length))
            first += length
        first += 1  # a gap
    expected = [run for n in range(seq, one_by_one.next) for run in one_by_one.read(n, n + 1)]
    assert (joined.oldest, joined.newest) == (one_by_one.oldest, one_by_one.newest)
    found = joined.read_entries(seq, joined.next)
    assert [(run.start, run.seq, run.first) for run in found] == [
        (run.start, run.seq, run.first) for run in expected
    ]
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.data, other.data)
        np.testing.assert_array_equal(mine.timestamps, other.timestamps)


def test_signal_log_merges_contiguous_entries_and_breaks_at_gaps() -> None:
    log = SignalLog(n_channels=2, sfreq=SFREQ, seconds=60.0)
    for first in (0, 3, 6, 10, 13):
        log.append(chunk_of(first, 3))
    assert [(run.first, len(run.data), run.seq) for run in log.read(0, 5)] == [
        (0, 9, 2),
        (10, 6, 4),
    ]


def test_a_reader_of_the_signal_log_owns_what_it_read() -> None:
    log = SignalLog(n_channels=2, sfreq=SFREQ, seconds=1.0)
    log.append(chunk_of(0, 8))
    [run] = log.read(0, 1)
    log.append(chunk_of(8, 8))
    np.testing.assert_array_equal(run.data[:, 0], np.arange(8))
    assert log.oldest == 1
    assert log.read(0, 1) == []


def test_an_hour_of_chunks_takes_no_more_memory_than_five_minutes_of_them() -> None:
    """The system gives an array of zeros its pages only when they are written to."""
    log = SignalLog(n_channels=1, sfreq=256.0, seconds=300.0)

    def arrays(start: float, stop: float) -> list[np.ndarray]:
        for first in range(int(256 * start) // 12 * 12, int(256 * stop) // 12 * 12, 12):
            stamps = np.arange(12) / 256 + first / 256
            log.append(Chunk(np.zeros((12, 1), np.float32), stamps, first))
        return [each for each in vars(log).values() if isinstance(each, np.ndarray)]

    full = arrays(0.0, 301.0)
    assert sum(each.nbytes for each in full if each.dtype == np.int64) < 200_000
    assert [id(each) for each in arrays(301.0, 601.0)] == [id(each) for each in full]


def test_signal_log_holds_entries_of_one_sample() -> None:
    log = SignalLog(n_channels=2, sfreq=SFREQ, seconds=1.0)
    for first in range(25):
        log.append(chunk_of(first, 1))
    [run] = log.read(0, log.next)
    assert log.oldest == 15
    np.testing.assert_array_equal(run.data[:, 0], np.arange(15, 25))
