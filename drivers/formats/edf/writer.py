"""EDF+ and BDF+ (https://www.edfplus.info/specs/edfplus.html), through edfio.

EDF+ has 16 bits per sample, BDF+ 24. Each channel's physical range is that of its data, rounded
outwards to the 8 characters that the header has, so that its least significant bit is as fine as
can be. Both are written without a break (``drivers.formats.gaps`` says what becomes of gaps);
markers are annotations at their sample's time. Neither format tells who said a marker, nor the
device's facts.

The file's date is that of UNIX timestamps. Others tell no date: then the start is given as unknown,
as EDF+ asks (``Startdate X``). The person is always unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

import edfio
import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.gaps import Gap, gaps_of, hold
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.writing import CannotWrite, WriteResult

FIRST_UNIX, LAST_UNIX = 1e9, 3.629e9
"""Timestamps from 2001 to 2084, s; EDF's two digits of a year end there."""
WIDTH = 8
"""Characters that a header has for a number."""
MOST_UV = 9_999_999
"""It holds no greater number with its sign."""
DECIMALS = 4
"""Of a range's ends. Smaller numbers would need exponents, which not all programs read."""
RECORD_BYTES = 61_440
"""EDF asks for data records that are no larger."""
SHORTEST, LONGEST = -7, 6
"""Data records last 2**-7 to 2**6 s. Powers of 2 keep the library's arithmetic exact: it refuses
files whose length, computed from their rate, is off by the last bit."""
LABEL = 16
"""Characters of a channel's label."""
LARGEST = 2**29
"""Values with all gaps filled: 37 hours of four channels at 1 kHz, 2 GiB of float32."""


@dataclass(frozen=True)
class _Depth:
    """The whole numbers that a format has."""

    low: int
    high: int
    width: int  # bytes

    @property
    def steps(self) -> int:
        return self.high - self.low


_EDF = _Depth(-(2**15), 2**15 - 1, 2)
_BDF = _Depth(-(2**23), 2**23 - 1, 3)


def write_edf(recording: Recording, path: Path) -> WriteResult:
    """Write EDF+, 16 bits.

    Raises
    ------
    CannotWrite
        If a label, a value or the rate cannot be told in EDF+.
    """
    written = _write(recording, path, _EDF)
    fine = recording.info.uv_per_bit
    if fine is not None and written.lsb is not None and written.lsb > fine:
        notice = f"The device's {fine:g} µV per bit are finer: BDF+ (.bdf) keeps them."
        return WriteResult(written.lsb, (*written.notices, notice))
    return written


def write_bdf(recording: Recording, path: Path) -> WriteResult:
    """Write BDF+, 24 bits; raises as ``write_edf``."""
    return _write(recording, path, _BDF)


def needs_bdf(recording: Recording) -> bool:
    """Whether the device resolves its range into more steps than 16 bits have."""
    info = recording.info
    if not info.uv_per_bit or not info.range_uv:
        return False
    return 2 * info.range_uv / info.uv_per_bit > _EDF.steps


def _write(recording: Recording, path: Path, depth: _Depth) -> WriteResult:
    info = recording.info
    _check(recording)
    duration = _record_seconds(info.sfreq, info.n_channels * depth.width)
    per_record = round(info.sfreq * duration)
    data = hold(recording.data, recording.index)
    spare = -len(data) % per_record
    padding = [Gap(len(data), spare, "padding")] if spare else []
    data = np.pad(data, ((0, spare), (0, 0)), mode="edge")
    kind = edfio.EdfSignal if depth is _EDF else edfio.BdfSignal
    signals = [
        kind(
            column.astype(np.float64),
            info.sfreq,
            label=name,
            physical_dimension="uV",
            physical_range=_range(column),
            digital_range=(depth.low, depth.high),
        )
        for name, column in zip(info.ch_names, data.T, strict=True)
    ]
    date = started(recording)
    file = (edfio.Edf if depth is _EDF else edfio.Bdf)(
        signals,  # type: ignore[arg-type]  # of the class that belongs to it
        recording=edfio.Recording(
            startdate=date.date() if date else None,
            equipment_code="simulated" if info.simulated else "X",
        ),
        starttime=date.time() if date else None,
        data_record_duration=duration,
        annotations=list(_annotations(recording, padding)),
    )
    file.write(path)
    return WriteResult(max(each.physical_max - each.physical_min for each in signals) / depth.steps)


def _check(recording: Recording) -> None:
    """Raises CannotWrite for what the header or the memory cannot hold."""
    info = recording.info
    for name in info.ch_names:
        if len(name) > LABEL or not (name.isascii() and name.isprintable() and name.strip()):
            raise CannotWrite(
                f"channel names of 1 to {LABEL} ASCII characters", f"{name!r}", "rename it: names="
            )
    least, most = float(recording.data.min()), float(recording.data.max())
    if max(-least, most) > MOST_UV:
        raise CannotWrite(
            f"values up to ±{MOST_UV:,} µV, as EDF and BDF hold",
            f"{least:g} to {most:g} µV",
            "write CSV, Parquet or XDF",
        )
    values = (int(recording.index[-1]) + 1) * info.n_channels
    if values > LARGEST:
        raise CannotWrite(
            f"up to {LARGEST:,} values with gaps filled",
            f"{values:,}",
            "write CSV, Parquet or XDF, which keep gaps empty",
        )


def _record_seconds(sfreq: float, row_bytes: int) -> float:
    """A data record's length: 1 s, or the nearest that has whole samples and fits."""
    whole = [
        2.0**power
        for power in range(SHORTEST, LONGEST + 1)
        if (sfreq * 2.0**power).is_integer() and sfreq * 2.0**power >= 1
    ]
    if not whole:
        raise CannotWrite(
            f"a rate that has whole samples in up to {2**LONGEST} s, as EDF and BDF need",
            f"{sfreq!r} Hz",
            "write CSV, Parquet or XDF",
        )
    fitting = [each for each in whole if each * sfreq * row_bytes <= RECORD_BYTES]
    if not fitting:
        return whole[0]
    return min(fitting, key=lambda each: abs(math.log2(each)))


def _range(column: NDArray[np.float32]) -> tuple[float, float]:
    """The ends of a channel's values, µV, rounded outwards to what a header holds."""
    low = _rounded(float(column.min()), ROUND_FLOOR)
    high = _rounded(float(column.max()), ROUND_CEILING)
    if low < high:
        return low, high
    return (low, low + 1) if low < MOST_UV else (low - 1, low)


def _rounded(value: float, direction: str) -> float:
    """The next number with up to ``DECIMALS`` decimals that a header can hold."""
    for decimals in range(DECIMALS, 0, -1):
        rounded = Decimal(value).quantize(Decimal(10) ** -decimals, direction)
        if len(f"{rounded:f}") <= WIDTH:
            return float(rounded)
    return float(Decimal(value).to_integral_value(direction))


def started(recording: Recording) -> datetime | None:
    """When a recording began, if its timestamps are UNIX time; else None."""
    stamp = float(recording.timestamps[0])
    if not FIRST_UNIX <= stamp <= LAST_UNIX:
        return None
    return datetime.fromtimestamp(stamp, UTC)


def _annotations(recording: Recording, padding: list[Gap]) -> Iterator[edfio.EdfAnnotation]:
    sfreq = recording.info.sfreq
    for gap in (*gaps_of(recording.index), *padding):
        yield edfio.EdfAnnotation(gap.first / sfreq, gap.count / sfreq, gap.text)
    for marker in recording.markers:
        text = "".join(" " if ord(letter) < 32 else letter for letter in marker.label)
        yield edfio.EdfAnnotation(marker.index / sfreq, None, text)
