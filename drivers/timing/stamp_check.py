"""Plausibility of a file's stamps: their unit, steps of their clock, and the declared rate.

A declared rate may be wrong, and a clock may be set while it is read. So the stamps are checked as
a whole before ``drivers.timing.file_timeline`` counts the lost samples: stamps in milliseconds are
converted, a step of the clock is removed, and the rate of the stamps is compared with the declared
one. Every change is said in a notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds
from mimamba.drivers.errors import BadRecording

MIN_SFREQ, MAX_SFREQ = 10.0, 100_000.0
"""Range of a signal's sampling frequency, Hz."""
MAX_STAMP = 1e11
"""Largest plausible stamp, s: UNIX time gets there in 3,000 years."""
RATE_TOLERANCE = 0.005
"""Relative difference between the stamps' rate and the declared one that is normal: clocks differ
by far less, and the usual rates that are nearest to each other, 250 and 256 Hz, by 2.4 %."""
MAX_GAP_SECONDS = 1800.0
"""Longest pause between two samples that counts as lost samples, s. A longer one is a step of the
clock (a changed time zone is one of an hour), or another session in the same file."""
MAX_GAP_SHARE = 40.0
"""The same as a multiple of the signal's length."""
MAX_COUNTED_SECONDS = 60.0
"""Longest loss at a step that a packet counter tells, s; else it was restarted."""
MIN_PAUSE_SECONDS = 5.0
"""Shortest pause that a notice tells, s."""
SET_BACK_SECONDS = 1.0
"""Step back that is one of the clock, s; smaller ones are jitter."""
MIN_STEADY = 0.95
"""Share of samples that follow at the declared rate, from which the others are losses."""
MAX_DIFFERENCE = 0.2
"""Largest relative difference between a line's rate and the nominal one, as in ``SampleClock``:
with a larger one, lost samples cannot be counted."""
WINDOW_SECONDS = 10.0
"""Length of the windows whose rates are compared, s."""
MIN_SECONDS = 2.0
"""Shortest signal whose rate can be measured, s."""
MIN_WINDOWS = 5
"""Fewest windows; they are shorter for a short signal."""
MIN_LENGTH = 8
"""Fewest samples in a window."""
MIN_AGREEING = 0.6
"""Share of the windows whose rates must agree, as losses change the others."""
MIN_AGREEING_ODD = 0.9
"""The same for a rate that no device has."""
MAX_STEPS = 1000
"""Most places where a clock jumps."""
OUTLIERS = 16
"""Most samples in a row whose stamps may be wrong without a step of the clock."""
LEVEL_SAMPLES = 32
"""Samples on each side of a step from which its size is computed."""
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
"""Other units of stamps, and how many of them are a second."""
UNIT_TOLERANCE = 0.25
"""Largest relative difference between the declared rate and the one in another unit."""
USUAL_RATES = (
    *(100.0, 125.0, 128.0, 160.0, 200.0, 220.0, 250.0, 256.0, 300.0, 400.0, 500.0, 512.0, 600.0),
    *(1000.0, 1024.0, 1200.0, 2000.0, 2048.0, 2400.0, 4096.0, 5000.0),
)
"""Nominal rates of devices, Hz."""

Positions = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class FileStamps:
    """Stamps that were checked.

    Parameters
    ----------
    stamps
        (n_times,) seconds, without steps of the clock; NaN where a stamp is implausible.
    sfreq
        Sampling frequency that the stamps and the declaration agree on, Hz.
    shifts
        (n_times,) seconds that were subtracted from each stamp.
    notices
        Remarks for people, one sentence each.
    clock
        (n_times,) the file's own stamps, s, if ``stamps`` were counted instead.
    """

    stamps: Seconds
    sfreq: float
    shifts: Seconds
    notices: tuple[str, ...] = ()
    clock: Seconds | None = None


@dataclass(frozen=True)
class MeasuredRate:
    """The rate of stamps, Hz, its relative uncertainty, and True if windows of 10 s agree on it."""

    sfreq: float
    uncertainty: float
    even: bool


def check_stamps(
    stamps: Seconds,
    declared: float,
    given: float | None = None,
    positions: Positions | None = None,
    what: str = "the file",
) -> FileStamps:
    """Check the stamps of a file, and its declared rate against them.

    Parameters
    ----------
    stamps
        (n_times,) as in the file.
    declared
        Declared rate, Hz; 0 if there is none.
    given
        Rate that a person has given with ``sfreq=``, Hz; it decides.
    positions
        (n_times,) position of each sample, if a counter tells it; by default they are consecutive.
    what
        Phrase for the signal in messages.

    Raises
    ------
    BadRecording
        If there is no declared rate and the stamps are not even, or if their rate is impossible.
    """
    positions = np.arange(len(stamps)) if positions is None else positions
    declared = given or declared
    stamps = np.where(np.abs(stamps) < MAX_STAMP * UNITS["nanoseconds"], stamps, np.nan)
    stamps, notices = _in_seconds(stamps, declared, positions)
    stamps = np.where(np.abs(stamps) < MAX_STAMP, stamps, np.nan)
    steady = _without_steps(stamps, declared or _rough_rate(stamps, positions) or 1.0, positions)
    steady = replace(steady, notices=(*notices, *steady.notices, *_pause_notices(steady.stamps)))
    measured = measure_rate(steady.stamps, declared, positions)
    if given:
        return _as_given(steady, given, measured, positions)
    if declared:
        sfreq, remarks = _compare(declared, measured, what)
        return replace(steady, sfreq=sfreq, notices=(*steady.notices, *remarks))
    if measured is None or not measured.even or not MIN_SFREQ <= measured.sfreq <= MAX_SFREQ:
        found = "none, and too few or uneven stamps"
        if measured is not None:
            found = f"none, and stamps of about {measured.sfreq:.4g} Hz, which are not even"
        raise BadRecording(f"a sampling rate in {what}", found, "give it with sfreq=")
    sfreq = _nominal(measured.sfreq)
    notice = f"No rate is declared; the stamps give {sfreq:g} Hz, which is used."
    return replace(steady, sfreq=sfreq, notices=(*steady.notices, notice))


def measure_rate(
    stamps: Seconds, declared: float, positions: Positions | None = None
) -> MeasuredRate | None:
    """Measure the rate of stamps in windows of 10 s; None if they are too few.

    Parameters
    ----------
    stamps, positions
        (n_times,), as for ``check_stamps``.
    declared
        Declared rate, Hz, for the length of the windows; 0 if there is none.
    """
    positions = np.arange(len(stamps)) if positions is None else positions
    known = np.isfinite(stamps)
    stamps, at = stamps[known], positions[known].astype(np.float64)
    rough = _rough_rate(stamps, at)
    if rough is None or (at[-1] - at[0]) / rough < MIN_SECONDS:
        return None
    length = min(round(WINDOW_SECONDS * rough), len(stamps) // MIN_WINDOWS)
    if length < MIN_LENGTH:
        return None
    slopes, noise = _fit_windows(stamps, at, length)
    if float(np.median(slopes)) <= 0:
        return None
    rate, seconds = 1 / float(np.median(slopes)), length * float(np.median(slopes))
    uncertain = 2 * float(np.median(noise)) / seconds  # of one window
    # Losses can look like another rate, but hardly like a usual one.
    usual = _nominal(rate) in USUAL_RATES
    tolerance = max(RATE_TOLERANCE, uncertain) if usual else RATE_TOLERANCE
    agreeing = MIN_AGREEING if usual else MIN_AGREEING_ODD
    agree = (np.abs(slopes * rate - 1) <= tolerance).mean() >= agreeing
    second = min(length, max(MIN_LENGTH, round(rate)))
    period = float(np.median(_fit_windows(stamps, at, second)[0]))
    short = 1 / period if period > 0 else 0.0
    steps = np.diff(stamps) * declared / np.diff(at)
    steady = (np.abs(steps - 1) <= RATE_TOLERANCE).mean() >= MIN_STEADY
    if declared and (steady or abs(short / declared - 1) <= RATE_TOLERANCE):
        rate = declared  # samples are lost now and then, but those in between have this rate
    even = bool(agree and abs(short / rate - 1) <= 2 * RATE_TOLERANCE + uncertain)
    return MeasuredRate(rate, uncertain / len(slopes) ** 0.5, even)


def _as_given(
    steady: FileStamps, given: float, measured: MeasuredRate | None, positions: Positions
) -> FileStamps:
    """Take the rate that a person has given; stamps of quite another rate are not used."""
    if measured is None or abs(measured.sfreq / given - 1) <= MAX_DIFFERENCE:
        return replace(steady, sfreq=given)
    known = steady.stamps[np.isfinite(steady.stamps)]
    counted = known[0] + (positions - positions[0]) / given
    notice = (
        f"The stamps give about {measured.sfreq:.4g} Hz; with sfreq={given:g} the samples are "
        "counted instead, so that losses do not show."
    )
    return replace(
        steady,
        stamps=counted,
        sfreq=given,
        clock=steady.stamps,
        notices=(*steady.notices, notice),
    )


def _compare(
    declared: float, measured: MeasuredRate | None, what: str
) -> tuple[float, tuple[str, ...]]:
    """Decide between the declared and the measured rate; return a notice if they differ."""
    if measured is None:
        return declared, ()
    off = abs(measured.sfreq / declared - 1)
    if off <= max(RATE_TOLERANCE, measured.uncertainty):
        return declared, ()
    sfreq = _nominal(measured.sfreq)
    if measured.even and MIN_SFREQ <= sfreq <= MAX_SFREQ:
        return sfreq, (
            f"The declared rate is {declared:g} Hz, but the stamps give {sfreq:g} Hz, which is "
            "used; sfreq= decides otherwise.",
        )
    if measured.even:  # of another quantity, such as the samples' numbers
        raise BadRecording(
            f"stamps in seconds at the declared rate of {declared:g} Hz in {what}",
            f"stamps of about {measured.sfreq:.4g} Hz",
            "give the true rate with sfreq=",
        )
    return declared, (
        f"The declared rate of {declared:g} Hz is used, but the stamps give about "
        f"{measured.sfreq:.4g} Hz and are not even; sfreq= decides otherwise.",
    )


def _nominal(rate: float) -> float:
    """Round a measured rate, Hz, to the usual rate nearby, if there is one."""
    usual = min(USUAL_RATES, key=lambda known: abs(known / rate - 1))
    if abs(usual / rate - 1) <= RATE_TOLERANCE:
        return usual
    return float(round(rate)) if abs(round(rate) / rate - 1) <= 1e-3 else round(rate, 3)


def _in_seconds(
    stamps: Seconds, declared: float, positions: Positions
) -> tuple[Seconds, tuple[str, ...]]:
    """Convert stamps in another unit, if that makes their rate the declared one."""
    rate = _rough_rate(stamps, positions)
    if rate is None or rate >= MIN_SFREQ:
        return stamps, ()
    for unit, per_second in UNITS.items():
        in_unit = rate * per_second
        fits = (
            abs(in_unit / declared - 1) <= UNIT_TOLERANCE if declared else in_unit >= 2 * MIN_SFREQ
        )
        if fits and in_unit <= MAX_SFREQ:
            return stamps / per_second, (f"The stamps are read as {unit}.",)
    return stamps, ()


def _rough_rate(stamps: Seconds, positions: NDArray[np.number]) -> float | None:
    """Measure the median rate over stretches of up to 4 s, Hz: most have no jump in them."""
    known = np.isfinite(stamps)
    stamps, at = stamps[known], positions[known].astype(np.float64)
    for n_times in (32, 256, 2048):  # the longer ones for bursts
        rate = _median_rate(stamps, at, min(n_times, len(stamps) // 8))
        if rate is not None:
            longer = _median_rate(stamps, at, min(round(4 * rate) + 2, len(stamps) // 8))
            return longer or rate
    return None


def _median_rate(stamps: Seconds, at: NDArray[np.float64], n_times: int) -> float | None:
    """Compute the median rate over stretches of ``n_times`` samples; None if it is not positive."""
    if not 1 <= n_times < len(stamps):
        return None
    spans = stamps[n_times:] - stamps[:-n_times]
    counts = at[n_times:] - at[:-n_times]
    period = float(np.median(spans / np.maximum(counts, 1)))
    return 1 / period if period > 0 else None


def _fit_windows(
    stamps: Seconds, at: NDArray[np.float64], length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a line to each window; return its slopes, s, and the stamps' deviation from it, s."""
    n_windows = len(stamps) // length
    y = stamps[: n_windows * length].reshape(n_windows, length)
    x = at[: n_windows * length].reshape(n_windows, length)
    x = x - x.mean(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    slopes = (x * y).sum(axis=1) / (x * x).sum(axis=1)
    return slopes, (y - slopes[:, np.newaxis] * x).std(axis=1)


def _without_steps(stamps: Seconds, sfreq: float, positions: Positions) -> FileStamps:
    """Remove steps of the clock: the samples after it follow those before it."""
    stamps, at = stamps.copy(), positions.astype(np.float64)
    starts = _step_places(stamps, sfreq)
    shifts = np.zeros(len(stamps))
    sizes: list[tuple[int, float]] = []
    last = 0
    for start, stop in pairwise([*starts, len(stamps)]):
        further = at[start] - at[start - 1]
        if not 1 <= further <= MAX_COUNTED_SECONDS * sfreq:  # the counter was restarted, too
            at[start:] += 1 - further
        known = last + np.flatnonzero(np.isfinite(stamps[last:stop]))
        levels = stamps[known] - at[known] / sfreq
        before, after = levels[known < start], levels[known >= start]
        size = float(np.median(after[:LEVEL_SAMPLES]) - np.median(before[-LEVEL_SAMPLES:]))
        last = start
        stamps[start:] -= size
        shifts[start:] += size
        sizes.append((start, size))
    return FileStamps(stamps, sfreq, shifts, _step_notices(sizes))


def _step_notices(sizes: Sequence[tuple[int, float]]) -> tuple[str, ...]:
    if not sizes:
        return ()
    return (
        f"The clock of the stamps jumps ({_listed(sizes)}); no sample counts as lost there, and "
        "the times go on as before.",
    )


def _pause_notices(stamps: Seconds) -> tuple[str, ...]:
    """Say where stamps pause: the clock may have jumped, or samples may be lost."""
    known = np.flatnonzero(np.isfinite(stamps))
    steps = np.diff(stamps[known])
    longer = np.flatnonzero(steps > MIN_PAUSE_SECONDS)
    if not len(longer):
        return ()
    pauses = [(int(known[row + 1]), float(steps[row])) for row in longer]
    return (f"The stamps pause ({_listed(pauses)}); the time between counts as lost samples.",)


def _listed(sizes: Sequence[tuple[int, float]]) -> str:
    first = ", ".join(f"{size:+.6g} s at sample {start}" for start, size in sizes[:3])
    return first + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")


def _step_places(stamps: Seconds, sfreq: float) -> list[int]:
    """Find the samples at which the clock has another level; remove stamps that are outliers."""
    longest = min(MAX_GAP_SECONDS, MAX_GAP_SHARE * len(stamps) / sfreq)
    known = np.flatnonzero(np.isfinite(stamps))
    while len(known) > 1:
        steps = np.diff(stamps[known])
        jumps = np.flatnonzero((steps < -SET_BACK_SECONDS) | (steps > longest)) + 1
        if not 0 < len(jumps) <= MAX_STEPS:  # with more, these are no stamps
            return []
        edges = np.concatenate([[0], jumps, [len(known)]])
        lengths = np.diff(edges)
        short = np.flatnonzero(lengths <= OUTLIERS)
        if not len(short) or len(short) == len(lengths):
            return [int(row) for row in known[jumps]]
        outliers = np.concatenate([np.arange(edges[n], edges[n + 1]) for n in short])
        stamps[known[outliers]] = np.nan
        known = np.delete(known, outliers)
    return []
