"""Check of an LSL stream before it is used: the unit of its stamps, and its rate.

The rate is fixed once a session is open, so a stream that does not send what it declares is found
before. Most streams take a second for that; one whose stamps contradict its rate takes ten.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from mimamba.drivers.driver import Seconds
from mimamba.drivers.errors import BadRecording, BadSource
from mimamba.drivers.lsl.inlet import POLL_SECONDS, Arrival, SignalInlet
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.timing.stamp_check import (
    RATE_TOLERANCE,
    UNITS,
    FileStamps,
    check_stamps,
    measure_rate,
)

LOOK_SECONDS = 1.0
"""Signal after which stamps are compared with the declared rate for the first time, s."""
MEASURE_SECONDS = 10.0
"""Signal from which a rate is measured, s."""
SILENCE_SECONDS = 2.0
"""Silence that ends the check, s."""
MIN_SAMPLES = 16
"""Fewest samples that say something about a rate."""
IN_TIME = 0.05
"""Relative difference below which two rates agree, if one of them is that of arrival."""
ERRORS = 4.0
"""Standard errors of a measured rate beyond which it is in doubt."""


@dataclass(frozen=True, eq=False)
class CheckedStream:
    """A stream that was checked.

    Parameters
    ----------
    arrivals
        Samples that came meanwhile.
    sfreq
        Sampling frequency to use, Hz.
    scale
        Seconds per unit of the stamps.
    by_arrival
        True if the stamps are useless.
    notices
        Remarks for people, one sentence each.
    """

    arrivals: list[Arrival]
    sfreq: float
    scale: float = 1.0
    by_arrival: bool = False
    notices: tuple[str, ...] = ()


def check_stream(
    inlet: SignalInlet,
    arrivals: list[Arrival],
    given: float,
    closed: threading.Event,
    measure: float = MEASURE_SECONDS,
) -> CheckedStream:
    """Compare a stream's stamps with its declared rate.

    Parameters
    ----------
    inlet
        Connection to the stream.
    arrivals
        First samples.
    given
        Rate given by a person, Hz, which decides; 0 if none is.
    closed
        Event that ends the check.
    measure
        Signal from which a rate is measured if it is not declared, or is in doubt, s.

    Raises
    ------
    BadSource
        If no rate is declared and the stamps are not even, or the rate is impossible.
    StreamLost
        If the stream ends meanwhile.
    """
    declared = given or float(inlet.stream.nominal_srate())
    if declared:
        _gather(inlet, arrivals, LOOK_SECONDS, closed)
        stamps = _stamps(arrivals)
        scale, _ = _check(inlet.name, stamps, declared, declared)
        if given or not _in_doubt(stamps * scale, declared):
            return CheckedStream(arrivals, declared, scale, notices=_unit_notice(scale))
    _gather(inlet, arrivals, measure, closed)
    return _measure(inlet.name, arrivals, declared)


def _measure(name: str, arrivals: list[Arrival], declared: float) -> CheckedStream:
    """Decide for a rate by all stamps so far."""
    stamps = _stamps(arrivals)
    if declared and _arrives_at(arrivals, declared) and not _close(stamps, declared):
        notice = f"The stamps of {name} do not count seconds; the time of arrival is used."
        return CheckedStream(arrivals, declared, by_arrival=True, notices=(notice,))
    scale, checked = _check(name, stamps, declared)
    return CheckedStream(arrivals, checked.sfreq, scale, notices=checked.notices)


def _check(
    name: str, stamps: Seconds, declared: float, given: float | None = None
) -> tuple[float, FileStamps]:
    """Check the stamps like those of a file; return also the seconds per unit."""
    with np.errstate(all="ignore"):
        try:
            checked = check_stamps(stamps, declared, given, what=f"the LSL stream {name}")
        except BadRecording as error:
            raise BadSource(error.expected, error.found, error.remedy) from error
        steps = np.diff(checked.stamps + checked.shifts) / np.diff(stamps)
    ratio = float(np.median(steps[np.isfinite(steps)])) if np.isfinite(steps).any() else 1.0
    scales = [1.0, *(1 / per_second for per_second in UNITS.values())]
    return min(scales, key=lambda scale: abs(scale / ratio - 1) if ratio else scale), checked


def _close(stamps: Seconds, declared: float) -> bool:
    """Return True if stamps, in any unit, are near the declared rate."""
    measured = measure_rate(stamps, declared)
    if measured is None:
        return False
    units = (1.0, *UNITS.values())
    return any(abs(measured.sfreq * unit / declared - 1) < IN_TIME for unit in units)


def _in_doubt(stamps: Seconds, declared: float) -> bool:
    """Return True if a line through the stamps has another rate, or if they are on no line."""
    stamps = stamps[np.isfinite(stamps)]
    if len(stamps) < MIN_SAMPLES:
        return False
    index = np.arange(len(stamps)) - (len(stamps) - 1) / 2
    stamps = stamps - stamps.mean()
    square = float(index @ index)
    period = float(index @ stamps) / square
    error = float(np.std(stamps - period * index)) / square**0.5
    return bool(abs(period * declared - 1) > RATE_TOLERANCE + ERRORS * error * declared)


def _arrives_at(arrivals: list[Arrival], sfreq: float) -> bool:
    """Return True if samples arrived at a rate."""
    span = arrivals[-1].now - arrivals[0].now
    count = sum(len(arrival.stamps) for arrival in arrivals[1:])
    return span > 0 and abs(count / span / sfreq - 1) < IN_TIME


def _stamps(arrivals: list[Arrival]) -> Seconds:
    return np.concatenate([arrival.stamps for arrival in arrivals])


def _unit_notice(scale: float) -> tuple[str, ...]:
    units = [unit for unit, per_second in UNITS.items() if scale == 1 / per_second]
    return tuple(f"The stamps are read as {unit}." for unit in units)


def _gather(
    inlet: SignalInlet, arrivals: list[Arrival], seconds: float, closed: threading.Event
) -> None:
    """Read until samples have come for some time, or their sender falls silent."""
    heard = time.monotonic()
    while not closed.wait(POLL_SECONDS):
        arrival = inlet.pull()
        if len(arrival.stamps):
            arrivals.append(arrival)
            heard = time.monotonic()
        now = local_clock()
        if now - arrivals[0].now > seconds or time.monotonic() - heard > SILENCE_SECONDS:
            return
