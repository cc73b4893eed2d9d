"""Times and positions of rows with a packet number, a time stamp, or both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds
from mimamba.drivers.timing.file_timeline import (
    index_from_numbers,
    timeline_from_counter,
    timeline_from_stamps,
)
from mimamba.drivers.timing.packet_counter import PacketNumbering
from mimamba.drivers.timing.stamp_check import check_stamps

MAX_LOSS = 2.0
"""Largest ratio of positions to rows for which numbers are believed without a time."""


@dataclass(frozen=True, eq=False)
class NumberedTimeline:
    """Times, s, and positions of the rows that are samples, a mask of these rows, and the rate."""

    timestamps: Seconds
    index: NDArray[np.int64]
    samples: NDArray[np.bool_]
    sfreq: float


def numbered_timeline(
    numbers: NDArray[np.float64],
    stamps: Seconds | None,
    declared: float,
    given: float | None,
    numbering: PacketNumbering | None,
    what: str,
    notices: list[str],
) -> NumberedTimeline:
    """Compute even times and positions of rows; what had to be assumed is added to the notices.

    Parameters
    ----------
    numbers
        (n_times,), packet numbers.
    stamps
        (n_times,), s; None if the rows have no time.
    declared, given
        Sampling frequency of the file, and one that a person has given or None, Hz.
    numbering
        Numbering of the device; None if its numbers may not count samples.
    what
        Phrase for the file, in messages.
    """
    every = np.ones(len(numbers), bool)
    positions = _positions(numbers, numbering)
    if stamps is None:
        notices.append(
            "The rows have no time: samples that were lost show only by the packet number."
            if positions is not None
            else "The rows have no time: samples that were lost do not show."
        )
        index = np.arange(len(numbers)) if positions is None else positions
        return NumberedTimeline(index / declared, index, every, declared)
    checked = check_stamps(stamps, declared, given, positions, what)
    notices.extend(checked.notices)
    counted = None
    if numbering is not None:
        counted = timeline_from_counter(numbers, checked.stamps, checked.sfreq, numbering)
    if counted is None:
        timestamps, index = timeline_from_stamps(checked.stamps, checked.sfreq)
        return NumberedTimeline(timestamps, index, every, checked.sfreq)
    return NumberedTimeline(*counted, checked.sfreq)


def _positions(
    numbers: NDArray[np.float64], numbering: PacketNumbering | None
) -> NDArray[np.int64] | None:
    """Return the positions that the numbers give; None if they do not follow the numbering."""
    if numbering is None or len(numbers) < 2 or not np.isfinite(numbers).all():
        return None
    if not ((numbers >= 0) & (numbers <= numbering.highest)).all():
        return None
    index = index_from_numbers(numbers.astype(np.int64), numbering)
    if index is None or index[-1] > MAX_LOSS * len(numbers):
        return None
    return index
