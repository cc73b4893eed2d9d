"""Writer of EDF+ and BDF+ (https://www.edfplus.info/specs/edfplus.html), through edfio.

EDF+ has 16 bits per sample, BDF+ 24. Each channel's physical range is that of its data, rounded
outwards to the 8 characters of the header's field, so that its least significant bit is as fine as
possible. Files have no interruptions (see ``drivers.formats.gap_filling`` for gaps). Markers are
annotations at their sample's time; their source and the device's facts are not stored.

The file's date comes from UNIX timestamps. With other timestamps the start is unknown, written as
EDF+ requires (``Startdate X``). The person is always unknown.
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

from mimamba.drivers.errors import CannotWrite
from mimamba.drivers.formats.edf.file import OWN
from mimamba.drivers.formats.gap_filling import Gap, fill_gaps, find_gaps
from mimamba.drivers.formats.recording import Recording, WriteResult

FIRST_UNIX, LAST_UNIX = 1e9, 3.629e9
"""UNIX times from 2001 to 2084, s: the range of EDF's two-digit years."""
FIELD_WIDTH = 8
"""Characters of a number in the header."""
MAX_UV = 9_999_999
"""Largest number that fits there with its sign, µV."""
DECIMALS = 4
"""Decimals of a range's ends. More would need exponents, which not all programs read."""
MAX_RECORD_BYTES = 61_440
"""Largest data record that EDF allows, bytes."""
MIN_EXPONENT, MAX_EXPONENT = -7, 6
"""Data records last 2**-7 to 2**6 s. Powers of 2 keep edfio's arithmetic exact: it rejects files
whose length, computed from their rate, differs in the last bit."""
MAX_LABEL = 16
"""Characters of a channel's label."""
MAX_VALUES = 2**29
"""Largest number of values with gaps filled: 37 hours of four channels at 1 kHz."""


@dataclass(frozen=True)
class _SampleDepth:
    """The range of a format's integers, and their width in bytes."""

    low: int
    high: int
    width: int  # bytes

    @property
    def steps(self) -> int:
        return self.high - self.low


_EDF = _SampleDepth(-(2**15), 2**15 - 1, 2)
_BDF = _SampleDepth(-(2**23), 2**23 - 1, 3)


def write_edf(recording: Recording, path: Path) -> WriteResult:
    """Write EDF+, 16 bits.

    Raises
    ------
    CannotWrite
        If a label, a value or the rate cannot be stored in EDF+.
    """
    written = _write(recording, path, _EDF)
    fine = recording.info.uv_per_bit
    if fine is not None and written.lsb is not None and written.lsb > fine:
        notice = f"The device resolves {fine:g} µV, which is finer: BDF+ (.bdf) keeps that."
        return WriteResult(written.lsb, (*written.notices, notice))
    return written


def write_bdf(recording: Recording, path: Path) -> WriteResult:
    """Write BDF+, 24 bits; raises as ``write_edf``."""
    return _write(recording, path, _BDF)


def needs_bdf(recording: Recording) -> bool:
    """Return True if the device's range and resolution need more than 16 bits."""
    info = recording.info
    if not info.uv_per_bit or not info.range_uv:
        return False
    return 2 * info.range_uv / info.uv_per_bit > _EDF.steps


def _write(recording: Recording, path: Path, depth: _SampleDepth) -> WriteResult:
    info = recording.info
    _check(recording)
    duration = _record_seconds(info.sfreq, info.n_channels * depth.width)
    per_record = round(info.sfreq * duration)
    data = fill_gaps(recording.data, recording.index)
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
    date = start_time(recording)
    file = (edfio.Edf if depth is _EDF else edfio.Bdf)(
        signals,  # type: ignore[arg-type]  # of the matching class
        recording=edfio.Recording(
            startdate=date.date() if date else None,
            equipment_code="simulated" if info.simulated else "X",
            additional=(OWN,),
        ),
        starttime=date.time() if date else None,
        data_record_duration=duration,
        annotations=list(_annotations(recording, padding)),
    )
    file.write(path)
    return WriteResult(max(each.physical_max - each.physical_min for each in signals) / depth.steps)


def _check(recording: Recording) -> None:
    """Raise CannotWrite for what fits neither into the header nor into memory."""
    info = recording.info
    for name in info.ch_names:
        if len(name) > MAX_LABEL or not (name.isascii() and name.isprintable() and name.strip()):
            raise CannotWrite(
                f"channel names of 1 to {MAX_LABEL} ASCII characters",
                f"{name!r}",
                "rename the channels with names=",
            )
    least, most = float(recording.data.min()), float(recording.data.max())
    if max(-least, most) > MAX_UV:
        raise CannotWrite(
            f"values up to ±{MAX_UV:,} µV, the limit of EDF and BDF",
            f"{least:g} to {most:g} µV",
            "write CSV, Parquet or XDF",
        )
    values = (int(recording.index[-1]) + 1) * info.n_channels
    if values > MAX_VALUES:
        raise CannotWrite(
            f"up to {MAX_VALUES:,} values with gaps filled",
            f"{values:,}",
            "write CSV, Parquet or XDF, which store gaps without values",
        )


def _record_seconds(sfreq: float, row_bytes: int) -> float:
    """Return a data record's length, s: 1, or the nearest possible length."""
    whole = [
        2.0**power
        for power in range(MIN_EXPONENT, MAX_EXPONENT + 1)
        if (sfreq * 2.0**power).is_integer() and sfreq * 2.0**power >= 1
    ]
    if not whole:
        raise CannotWrite(
            f"a rate with a whole number of samples in up to {2**MAX_EXPONENT} s, for EDF and BDF",
            f"{sfreq!r} Hz",
            "write CSV, Parquet or XDF",
        )
    fitting = [each for each in whole if each * sfreq * row_bytes <= MAX_RECORD_BYTES]
    if not fitting:
        return whole[0]
    return min(fitting, key=lambda each: abs(math.log2(each)))


def _range(column: NDArray[np.float32]) -> tuple[float, float]:
    """Return the range of a channel's values, µV, rounded outwards to fit the header."""
    low = _rounded(float(column.min()), ROUND_FLOOR)
    high = _rounded(float(column.max()), ROUND_CEILING)
    if low < high:
        return low, high
    return (low, low + 1) if low < MAX_UV else (low - 1, low)


def _rounded(value: float, direction: str) -> float:
    """Round to up to ``DECIMALS`` decimals so that the number fits the header."""
    for decimals in range(DECIMALS, 0, -1):
        rounded = Decimal(value).quantize(Decimal(10) ** -decimals, direction)
        if len(f"{rounded:f}") <= FIELD_WIDTH:
            return float(rounded)
    return float(Decimal(value).to_integral_value(direction))


def start_time(recording: Recording) -> datetime | None:
    """Return a recording's start if its timestamps are UNIX times, else None."""
    stamp = float(recording.timestamps[0])
    if not FIRST_UNIX <= stamp <= LAST_UNIX:
        return None
    return datetime.fromtimestamp(stamp, UTC)


def _annotations(recording: Recording, padding: list[Gap]) -> Iterator[edfio.EdfAnnotation]:
    sfreq = recording.info.sfreq
    for gap in (*find_gaps(recording.index), *padding):
        yield edfio.EdfAnnotation(gap.first / sfreq, gap.count / sfreq, gap.text)
    for marker in recording.markers:
        text = "".join(" " if ord(letter) < 32 else letter for letter in marker.label)
        yield edfio.EdfAnnotation(marker.index / sfreq, None, text)
