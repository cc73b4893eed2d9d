"""Even timestamps for a file, and each sample's index with lost samples counted.

The clocks for live sources decide sample by sample; an hour takes them seconds. A file is available
as a whole, so it is first compared with straight lines through 10 s each. If its stamps stay close
to the lines, no sample is lost, and the lines are its timestamps. Only other files need
``SampleClock`` or ``CounterClock``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.timing.packet_counter import MAX_DISAGREEMENT, CounterClock, PacketNumbering
from mimamba.drivers.timing.sample_clock import SampleClock
from mimamba.drivers.timing.stamp_check import MAX_STAMP

LINE_SECONDS = 10.0
"""Signal per line, s."""
LINE_TOLERANCE = 0.04
"""Largest distance of stamps from the lines, s. The smallest gap that stamps show is 0.1 s; it
moves stamps away from a line by half of that on one side."""
RATE_TOLERANCE = 0.2
"""Largest relative difference between a line's rate and the nominal one, as in ``SampleClock``."""
REPEAT_TOLERANCE = 0.1
"""Share of packet numbers that may repeat more or less often than in a recording without gaps."""

Index = NDArray[np.int64]


def timeline_from_stamps(stamps: Seconds, sfreq: float) -> tuple[Seconds, Index]:
    """Compute even timestamps, and each row's index with lost samples counted.

    Parameters
    ----------
    stamps
        (n_times,), s. A row whose stamp is not finite or implausible keeps its place.
    sfreq
        Nominal sampling frequency, Hz.

    Returns
    -------
    Timestamps (n_times,), s, and index (n_times,).

    Raises
    ------
    BadRecording
        If no stamp is a plausible number.
    """
    stamps = np.where(np.abs(stamps) < MAX_STAMP, stamps, np.nan)
    finite = np.flatnonzero(np.isfinite(stamps))
    if finite.size == 0:
        raise BadRecording(
            "timestamps in seconds",
            f"a value that is not a number up to {MAX_STAMP:g}",
            "export the file again",
        )
    index = np.arange(len(stamps))
    if (
        finite.size == len(stamps)
        and (lines := _fit_lines(stamps, index, sfreq, LINE_TOLERANCE)) is not None
    ):
        return lines, index
    start = int(finite[0])
    stamps[:start] = stamps[start] - np.arange(start, 0, -1) / sfreq
    clock = SampleClock(sfreq)
    nothing = np.empty((len(stamps), 0), np.float32)
    chunks = clock.push(stamps, nothing) + clock.flush()
    index = np.concatenate([chunk.first + np.arange(chunk.n_times) for chunk in chunks])
    return np.concatenate([chunk.timestamps for chunk in chunks]), index


def timeline_from_counter(
    numbers: NDArray[np.float64], stamps: Seconds, sfreq: float, numbering: PacketNumbering
) -> tuple[Seconds, Index, NDArray[np.bool_]] | None:
    """Compute even timestamps and indices from the device's packet numbers.

    Parameters
    ----------
    numbers
        (n_times,), packet numbers.
    stamps
        (n_times,), times of reception, s.
    sfreq
        Nominal sampling frequency, Hz.
    numbering
        Numbering of the device.

    Returns
    -------
    Timestamps and indices of the rows that are samples, and a mask (n_times,) of these rows. None
    if the numbers do not follow the numbering (another program wrote them), or if a stamp is not a
    number.
    """
    samples = numbers <= numbering.highest
    numbers, stamps = numbers[samples], stamps[samples]
    if len(numbers) < 2 or not (np.abs(stamps) < MAX_STAMP).all() or not (numbers >= 0).all():
        return None
    repeats = float((np.diff(numbers) == 0).mean())
    if abs(repeats - (1 - 1 / numbering.n_times)) > REPEAT_TOLERANCE:
        return None
    index = index_from_numbers(numbers.astype(np.int64), numbering)
    if index is not None:
        close = (
            min(numbering.cycle / sfreq, MAX_DISAGREEMENT) / 4
        )  # less than the loss of a whole cycle
        lines = _fit_lines(stamps, index, sfreq, close)
        if lines is not None:
            return lines, index, samples
    clock = CounterClock(numbering, sfreq)
    nothing = np.empty((len(stamps), 0), np.float32)
    chunks = clock.push(numbers, stamps, nothing) + clock.flush()
    index = np.concatenate([chunk.first + np.arange(chunk.n_times) for chunk in chunks])
    return np.concatenate([chunk.timestamps for chunk in chunks]), index, samples


def median_rate(stamps: Seconds, n_times: int) -> float | None:
    """Compute the median rate over stretches of ``n_times`` samples, Hz.

    A few losses do not change it. None if the stamps do not grow, or fewer than two are numbers.
    """
    stamps = stamps[np.isfinite(stamps)]
    n_times = min(len(stamps) - 1, n_times)
    if n_times < 1:
        return None
    span = float(np.median(stamps[n_times:] - stamps[:-n_times]))
    return n_times / span if span > 0 else None


def _fit_lines(stamps: Seconds, index: Index, sfreq: float, close: float) -> Seconds | None:
    """Fit lines through the stamps' means; None if a stamp is too far from them."""
    length = round(LINE_SECONDS * sfreq)
    n_lines = len(stamps) // length
    if n_lines < 2:
        return None
    cuts = np.arange(n_lines) * length  # the last line includes the remainder
    counts = np.diff(cuts, append=len(stamps))
    middles = np.add.reduceat(index.astype(np.float64), cuts) / counts
    means = stamps[0] + np.add.reduceat(stamps - stamps[0], cuts) / counts
    periods = np.diff(means) / np.diff(middles)
    if (np.abs(periods * sfreq - 1) > RATE_TOLERANCE).any():
        return None
    lines = np.interp(index, middles, means)
    first, last = index < middles[0], index > middles[-1]
    lines[first] = means[0] + (index[first] - middles[0]) * periods[0]
    lines[last] = means[-1] + (index[last] - middles[-1]) * periods[-1]
    return lines if np.abs(stamps - lines).max() <= close else None


def index_from_numbers(numbers: Index, numbering: PacketNumbering) -> Index | None:
    """Compute the index from the numbers alone: without the clock, lost cycles do not show.

    None if packets are incomplete, or if the firmware is still unknown.
    """
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
    index[lengths[0] :] -= n_times - lengths[0]  # the first packet may be incomplete
    return index
