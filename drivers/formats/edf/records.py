"""The records of EDF, EDF+ and BDF files: samples, times, annotations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Samples
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.edf.header import EDFHeader, EDFSignal
from mimamba.drivers.formats.events import Event

RECORD_START = re.compile(rb"\x00*([+-]\d+(?:\.\d*)?)\x14\x14")
ANNOTATION = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14([^\x00]*)\x14\x00")
"""Onset, duration, texts (EDF+, time-stamped annotations lists)."""
LATEST = 1e9
"""No onset lies further from the start, s: 32 years."""

Records = NDArray[np.uint8]
"""(n_records, bytes of a record)."""


def map_records(path: Path, header: EDFHeader, notices: list[str]) -> Records:
    """The whole records, not read yet."""
    size = path.stat().st_size - header.n_bytes
    if header.record_bytes == 0 or header.duration == 0:
        raise BadRecording("samples", f"only annotations in {path}", "choose another file")
    there = size // header.record_bytes
    if there < 1:
        raise BadRecording(f"a whole record in {path}", f"{max(0, size)} bytes", "record again")
    if there < header.n_records:
        notices.append(f"The file is cut: {there} of {header.n_records} records are there.")
    n_records = min(there, header.n_records) if header.n_records > 0 else there
    shape = (n_records, header.record_bytes)
    return np.memmap(path, np.uint8, "r", header.n_bytes, shape)


def samples(records: Records, width: int, signals: Sequence[EDFSignal]) -> Samples:
    """(n_times, n_channels) µV."""
    n_times = signals[0].n_times
    data = np.empty((len(records) * n_times, len(signals)), np.float32)
    for column, signal in enumerate(signals):
        factor = signal.factor or 1.0
        digital = _digital(_cut(records, width, signal), width)
        with np.errstate(over="ignore"):
            data[:, column] = digital * (signal.gain * factor) + signal.offset * factor
    return data


def _cut(records: Records, width: int, signal: EDFSignal) -> Records:
    """One signal's bytes in each record."""
    return records[:, width * signal.start : width * (signal.start + signal.n_times)]


def _digital(cut: Records, width: int) -> NDArray[np.float64]:
    """The samples as the converter gave them: little-endian, two's complement."""
    if width == 2:
        return np.ascontiguousarray(cut).view("<i2").ravel().astype(np.float64)
    wide = np.zeros((cut.size // 3, 4), np.uint8)
    wide[:, 1:] = cut.reshape(-1, 3)
    return (wide.view("<i4").ravel() >> 8).astype(np.float64)


def texts_of(records: Records, width: int, signal: EDFSignal) -> list[bytes]:
    """An annotations signal's text in each record."""
    return [row.tobytes() for row in _cut(records, width, signal)]


def starts_of(
    header: EDFHeader, n_records: int, texts: Sequence[list[bytes]], notices: list[str]
) -> NDArray[np.float64]:
    """When each record starts, s; in an uninterrupted file only the first one says so."""
    told = np.full(n_records, np.nan)
    for row, text in enumerate(texts[0] if texts else []):
        found = RECORD_START.match(text)
        if found and abs(float(found[1])) < LATEST:
            told[row] = float(found[1])
        if not header.interrupted:
            break
    first = float(told[0]) if isfinite(told[0]) else 0.0
    regular = first + header.duration * np.arange(n_records, dtype=np.float64)
    if not header.interrupted:
        return regular
    if np.isnan(told).any():
        notices.append("Some records do not tell their time: they follow the one before.")
    return _in_order(told, regular, header.duration)


def _in_order(
    told: NDArray[np.float64], regular: NDArray[np.float64], duration: float
) -> NDArray[np.float64]:
    """Records that tell no time, or one before the last record's end, follow that one."""
    starts = regular.copy()
    for row in range(1, len(starts)):
        end = starts[row - 1] + duration
        starts[row] = max(end, told[row])
    return starts


def positions(
    starts: NDArray[np.float64], n_times: int, sfreq: float, notices: list[str]
) -> NDArray[np.int64]:
    """Each sample's position, the pauses between records counted."""
    first = np.rint((starts - starts[0]) * sfreq).astype(np.int64)
    least = np.arange(len(first)) * n_times
    first = np.maximum.accumulate(first - least) + least
    pauses = int(np.count_nonzero(np.diff(first) != n_times))
    if pauses:
        notices.append(f"The recording was interrupted {pauses} times: gaps.")
    return (first[:, np.newaxis] + np.arange(n_times)).ravel()


def events_of(texts: Sequence[list[bytes]], start: float) -> list[Event]:
    """Annotations; their onsets count from the file's start, the events' from its first sample."""
    found: list[Event] = []
    for signal in texts:
        for onset, duration, labels in ANNOTATION.findall(b"\0".join(signal)):
            at, length = float(onset) - start, float(duration or 0)
            if abs(at) > LATEST or length > LATEST:
                continue
            found.extend(
                Event(at, label.decode("utf-8", "replace"), "annotations", length)
                for label in labels.split(b"\x14")
                if label
            )
    return found
