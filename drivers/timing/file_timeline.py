"""A file's stamps evened out, and each sample's position with the lost ones counted.

The clocks that live sources go through decide sample by sample: an hour takes them seconds. A file
is at hand as a whole, so it is first tried against lines through 10 s each. If its stamps keep
close to them, nothing can be lost by the stamps' word, and the lines are its timestamps. Only a
file whose stamps leave them goes through ``SampleClock`` or ``CounterClock``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.timing.packet_counter import CONTRADICTION, CounterClock, PacketNumbering
from mimamba.drivers.timing.sample_clock import SampleClock

LATEST = 1e11
"""Stamps beyond it are no seconds of any clock: UNIX time gets there in 3,000 years."""
STRETCH = 10.0
"""Signal under one line, s."""
CLOSE = 0.04
"""A loss of 0.1 s, the least that stamps can tell, takes stamps further than this from lines
through them: they step by 0.1 s where the line does not, so by half of it on one side."""
RATE_OFF = 0.2
"""The lines' rates may differ from the nominal one by this share, as ``SampleClock``'s."""
STRAY = 0.1
"""Share of packet numbers that may repeat more or less often than a device's do, by losses."""

Index = NDArray[np.int64]


def timeline(stamps: Seconds, sfreq: float) -> tuple[Seconds, Index]:
    """A file's stamps evened out, and each row's position with lost samples counted.

    A stamp that is not finite, or absurd, keeps its row's place.

    Raises
    ------
    BadRecording
        If no stamp is a number.
    """
    stamps = np.where(np.abs(stamps) < LATEST, stamps, np.nan)
    finite = np.flatnonzero(np.isfinite(stamps))
    if finite.size == 0:
        raise BadRecording(
            "timestamps in seconds", f"none that is a number up to {LATEST:g}", "export it again"
        )
    index = np.arange(len(stamps))
    if finite.size == len(stamps) and (lines := _lines(stamps, index, sfreq, CLOSE)) is not None:
        return lines, index
    start = int(finite[0])
    stamps[:start] = stamps[start] - np.arange(start, 0, -1) / sfreq
    clock = SampleClock(sfreq)
    nothing = np.empty((len(stamps), 0), np.float32)
    chunks = clock.push(stamps, nothing) + clock.flush()
    index = np.concatenate([chunk.first + np.arange(chunk.n_times) for chunk in chunks])
    return np.concatenate([chunk.timestamps for chunk in chunks]), index


def counted(
    numbers: NDArray[np.float64], stamps: Seconds, sfreq: float, numbering: PacketNumbering
) -> tuple[Seconds, Index, NDArray[np.bool_]] | None:
    """As ``timeline``, from the device's packet numbers; and which rows are samples.

    None where the numbers do not follow the numbering, so that another program has written them,
    or where a stamp is no number.
    """
    samples = numbers <= numbering.highest
    numbers, stamps = numbers[samples], stamps[samples]
    if len(numbers) < 2 or not (np.abs(stamps) < LATEST).all() or not (numbers >= 0).all():
        return None
    repeats = float((np.diff(numbers) == 0).mean())
    if abs(repeats - (1 - 1 / numbering.n_times)) > STRAY:
        return None
    index = _positions(numbers.astype(np.int64), numbering)
    if index is not None:
        close = min(numbering.cycle / sfreq, CONTRADICTION) / 4  # a whole cycle lost is further
        lines = _lines(stamps, index, sfreq, close)
        if lines is not None:
            return lines, index, samples
    clock = CounterClock(numbering, sfreq)
    nothing = np.empty((len(stamps), 0), np.float32)
    chunks = clock.push(numbers, stamps, nothing) + clock.flush()
    index = np.concatenate([chunk.first + np.arange(chunk.n_times) for chunk in chunks])
    return np.concatenate([chunk.timestamps for chunk in chunks]), index, samples


def rate_of(stamps: Seconds, n_times: int) -> float | None:
    """The median rate over so many samples, Hz, which few losses do not move.

    None where the stamps do not grow, or there are no two that are numbers.
    """
    stamps = stamps[np.isfinite(stamps)]
    n_times = min(len(stamps) - 1, n_times)
    if n_times < 1:
        return None
    span = float(np.median(stamps[n_times:] - stamps[:-n_times]))
    return n_times / span if span > 0 else None


def _lines(stamps: Seconds, index: Index, sfreq: float, close: float) -> Seconds | None:
    """Timestamps on lines through the stamps' means; None where stamps are further off."""
    length = round(STRETCH * sfreq)
    n_lines = len(stamps) // length
    if n_lines < 2:
        return None
    cuts = np.arange(n_lines) * length  # the last stretch takes what is left over
    counts = np.diff(cuts, append=len(stamps))
    middles = np.add.reduceat(index.astype(np.float64), cuts) / counts
    means = stamps[0] + np.add.reduceat(stamps - stamps[0], cuts) / counts
    periods = np.diff(means) / np.diff(middles)
    if (np.abs(periods * sfreq - 1) > RATE_OFF).any():
        return None
    lines = np.interp(index, middles, means)
    first, last = index < middles[0], index > middles[-1]
    lines[first] = means[0] + (index[first] - middles[0]) * periods[0]
    lines[last] = means[-1] + (index[last] - middles[-1]) * periods[-1]
    return lines if np.abs(stamps - lines).max() <= close else None


def _positions(numbers: Index, numbering: PacketNumbering) -> Index | None:
    """By the numbers alone; None where packets are cut, or the firmware is to be found out."""
    n_times = numbering.n_times
    if n_times != numbering.first_n_times or numbering.highest >= numbering.n_packets:
        return None
    starts = (
        np.flatnonzero(np.diff(numbers, prepend=-1)) if n_times > 1 else np.arange(len(numbers))
    )
    lengths = np.diff(starts, append=len(numbers))
    if (lengths[1:-1] != n_times).any() or (lengths > n_times).any():
        return None
    steps = (np.diff(numbers[starts]) - 1) % numbering.n_packets + 1
    packets = np.concatenate([[0], np.cumsum(steps)]) * n_times
    index = np.repeat(packets - starts, lengths) + np.arange(len(numbers))
    index[lengths[0] :] -= n_times - lengths[0]  # the first packet may have begun before
    return index
