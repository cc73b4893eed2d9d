"""EDF, EDF+ and BDF files: header, data records and annotations.

Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7; Kemp and Olivan 2003,
doi:10.1016/S1388-2457(03)00123-8 (EDF+); BDF is the same with 24 bits (BioSemi). Fixed fields of
ASCII text, then records of equal size, each with a fixed number of samples of every signal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Samples
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.events import FileEvent
from mimamba.drivers.formats.recording import one_line
from mimamba.drivers.timing.stamp_check import RATE_TOLERANCE
from mimamba.drivers.units import microvolts_per

EDF_VERSION: Final = b"0       "
BDF_VERSION: Final = b"\xffBIOSEMI"
ANNOTATIONS: Final = {"EDF Annotations", "BDF Annotations"}
OWN: Final = "mimamba"
"""Word in the field for the recording, by which mimamba knows its own files."""
MAX_RECORD_SECONDS: Final = 86_400.0
"""Longest record, s."""


RECORD_START = re.compile(rb"\x00*([+-]\d+(?:\.\d*)?)\x14\x14")
ANNOTATION = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14([^\x00]*)\x14\x00")
"""Onset, duration, texts (EDF+, time-stamped annotations lists)."""
MAX_ONSET = 1e9
"""Largest plausible onset from the start, s: 32 years."""

MIN_TIMED = 5
"""Fewest records whose times are compared with the declared duration."""
EVEN_SHARE = 0.9
"""Share of the times that must be equally far apart."""

Records = NDArray[np.uint8]
"""(n_records, bytes of a record)."""


@dataclass(frozen=True)
class EDFSignal:
    """One signal of a file.

    Parameters
    ----------
    label, unit
        Label and unit in the file, without surrounding spaces.
    gain, offset
        Scale: the physical value is ``gain`` times the digital one, plus ``offset``.
    n_times
        Samples per record.
    start
        Samples of other signals before it in each record.
    """

    label: str
    unit: str
    gain: float
    offset: float
    n_times: int
    start: int

    @property
    def is_annotations(self) -> bool:
        return self.label in ANNOTATIONS

    @property
    def is_scaled(self) -> bool:
        return isfinite(self.gain) and isfinite(self.offset) and self.gain != 0

    @property
    def factor(self) -> float | None:
        """µV per unit; None if the unit is not a voltage."""
        return microvolts_per(self.unit)


@dataclass(frozen=True)
class EDFHeader:
    """Content of the header.

    Parameters
    ----------
    n_bytes
        Length of the header, bytes.
    n_records
        Number of records; negative or 0 if it was not known yet.
    duration
        Length of a record, s.
    width
        Bytes per sample.
    interrupted
        True if there may be pauses between records (EDF+D).
    signals
        Signals in the file's order.
    is_own
        True if mimamba has written the file.
    """

    n_bytes: int
    n_records: int
    duration: float
    width: int
    interrupted: bool
    signals: tuple[EDFSignal, ...]
    is_own: bool = False

    @property
    def record_bytes(self) -> int:
        return self.width * sum(signal.n_times for signal in self.signals)


class _HeaderFields:
    """Reader of the header's fields, one by one."""

    def __init__(self, content: bytes, path: Path) -> None:
        self._file = BytesIO(content)
        self._path = path

    def text(self, width: int) -> str:
        data = self._file.read(width)
        if len(data) < width:
            raise self.broken("its end", f"{self._file.tell()} bytes")
        try:
            return one_line(data.decode("utf-8"))
        except UnicodeDecodeError:
            return one_line(data.decode("latin-1"))

    def number(self, what: str, width: int = 8) -> float:
        text = self.text(width)
        try:
            number = float(text.replace(",", "."))
        except ValueError:
            raise self.broken(what, repr(text)) from None
        if not isfinite(number):
            raise self.broken(what, repr(text))
        return number

    def integer(self, what: str, width: int = 8) -> int:
        return int(self.number(what, width))

    def broken(self, what: str, found: str) -> BadRecording:
        return BadRecording(
            f"{what} in the header of {self._path}", found, "record again, or repair the file"
        )


def read_header(content: bytes, path: Path) -> EDFHeader:
    """Parse the header from a file's first bytes.

    Raises
    ------
    BadRecording
        If it is cut off, or a field is invalid.
    """
    fields = _HeaderFields(content, path)
    width = 3 if content.startswith(BDF_VERSION) else 2
    fields.text(8 + 80)  # version, patient
    is_own = OWN in fields.text(80).split()  # recording
    fields.text(8 + 8)  # date, time
    n_bytes = fields.integer("its length")
    interrupted = fields.text(44)[:5] in {"EDF+D", "BDF+D"}
    n_records = fields.integer("the number of records")
    duration = fields.number("a record's duration")
    n_signals = fields.integer("the number of signals", 4)
    if not 1 <= n_signals <= 9999 or n_bytes != 256 * (n_signals + 1):
        raise fields.broken(
            "its length of 256 bytes for itself and each signal",
            f"{n_bytes} bytes for {n_signals} signals",
        )
    if not 0 <= duration <= MAX_RECORD_SECONDS:
        raise fields.broken(
            f"a record's duration up to {MAX_RECORD_SECONDS:g} s", f"{duration:g} s"
        )
    signals = _read_signals(fields, n_signals)
    return EDFHeader(n_bytes, n_records, duration, width, interrupted, signals, is_own)


def _read_signals(fields: _HeaderFields, n_signals: int) -> tuple[EDFSignal, ...]:
    every = range(n_signals)
    labels = [fields.text(16) for _ in every]
    fields.text(80 * n_signals)  # transducers
    units = [fields.text(8) for _ in every]
    physical = [[fields.number("a physical range") for _ in every] for _ in range(2)]
    digital = [[fields.number("a digital range") for _ in every] for _ in range(2)]
    fields.text(80 * n_signals)  # filters
    lengths = [fields.integer("a signal's samples per record") for _ in every]
    signals = []
    start = 0
    for n in every:
        if lengths[n] < 0:
            raise fields.broken("a signal's samples per record", str(lengths[n]))
        span = digital[1][n] - digital[0][n]
        gain = (physical[1][n] - physical[0][n]) / span if span else 0.0
        offset = physical[0][n] - gain * digital[0][n]
        signals.append(EDFSignal(labels[n], units[n], gain, offset, lengths[n], start))
        start += lengths[n]
    return tuple(signals)


def map_records(path: Path, header: EDFHeader, notices: list[str]) -> Records:
    """Map the complete records into memory, (n_records, bytes of a record)."""
    size = path.stat().st_size - header.n_bytes
    if header.record_bytes == 0 or header.duration == 0:
        raise BadRecording("samples", f"only annotations in {path}", "choose another file")
    there = size // header.record_bytes
    if there < 1:
        raise BadRecording(f"a complete record in {path}", f"{max(0, size)} bytes", "record again")
    if there < header.n_records:
        notices.append(f"The file is cut off: it has {there} of {header.n_records} records.")
    n_records = min(there, header.n_records) if header.n_records > 0 else there
    shape = (n_records, header.record_bytes)
    return np.memmap(path, np.uint8, "r", header.n_bytes, shape)


def check_duration(header: EDFHeader, records: Records, notices: list[str]) -> EDFHeader:
    """Compare a record's duration with the records' times (EDF+); even times decide.

    In an interrupted file, times may be further apart than a record is long.
    """
    signal = next((signal for signal in header.signals if signal.is_annotations), None)
    if signal is None or len(records) < MIN_TIMED:
        return header
    found = [RECORD_START.match(text) for text in annotation_texts(records, header.width, signal)]
    if not all(found):
        return header
    steps = np.diff([float(each[1]) for each in found if each])
    step = float(np.median(steps))
    off = step / header.duration - 1
    even = step > 0 and (np.abs(steps / step - 1) <= RATE_TOLERANCE).mean() >= EVEN_SHARE
    if not even or abs(off) <= RATE_TOLERANCE or (header.interrupted and off > 0):
        return header
    n_times = max(each.n_times for each in header.signals if not each.is_annotations)
    notices.append(
        f"The header declares records of {header.duration:g} s, but their times are {step:g} s "
        f"apart: the rate is read as {n_times / step:g} Hz, not {n_times / header.duration:g} Hz."
    )
    return replace(header, duration=step)


def read_samples(records: Records, width: int, signals: Sequence[EDFSignal]) -> Samples:
    """Read the samples of signals with one rate, (n_times, n_channels), µV."""
    n_times = signals[0].n_times
    data = np.empty((len(records) * n_times, len(signals)), np.float32)
    for column, signal in enumerate(signals):
        factor = signal.factor or 1.0
        digital = _digital(_cut(records, width, signal), width)
        with np.errstate(over="ignore"):
            data[:, column] = digital * (signal.gain * factor) + signal.offset * factor
    return data


def _cut(records: Records, width: int, signal: EDFSignal) -> Records:
    """Select one signal's bytes in each record."""
    return records[:, width * signal.start : width * (signal.start + signal.n_times)]


def _digital(cut: Records, width: int) -> NDArray[np.float64]:
    """Decode digital values: little-endian, two's complement."""
    if width == 2:
        return np.ascontiguousarray(cut).view("<i2").ravel().astype(np.float64)
    wide = np.zeros((cut.size // 3, 4), np.uint8)
    wide[:, 1:] = cut.reshape(-1, 3)
    return (wide.view("<i4").ravel() >> 8).astype(np.float64)


def annotation_texts(records: Records, width: int, signal: EDFSignal) -> list[bytes]:
    """Read an annotation signal's text in each record."""
    return [row.tobytes() for row in _cut(records, width, signal)]


def record_starts(
    header: EDFHeader, n_records: int, texts: Sequence[list[bytes]], notices: list[str]
) -> NDArray[np.float64]:
    """Return the start of each record, s; in an uninterrupted file only the first is stored."""
    stored = np.full(n_records, np.nan)
    for row, text in enumerate(texts[0] if texts else []):
        found = RECORD_START.match(text)
        if found and abs(float(found[1])) < MAX_ONSET:
            stored[row] = float(found[1])
        if not header.interrupted:
            break
    first = float(stored[0]) if isfinite(stored[0]) else 0.0
    regular = first + header.duration * np.arange(n_records, dtype=np.float64)
    if not header.interrupted:
        return regular
    if np.isnan(stored).any():
        notices.append("Some records have no time: each is placed after the one before.")
    return _without_overlaps(stored, regular, header.duration)


def _without_overlaps(
    stored: NDArray[np.float64], regular: NDArray[np.float64], duration: float
) -> NDArray[np.float64]:
    """Move records without a time, or with one before the last record's end, to that end."""
    starts = regular.copy()
    for row in range(1, len(starts)):
        end = starts[row - 1] + duration
        starts[row] = max(end, stored[row])
    return starts


def sample_positions(
    starts: NDArray[np.float64], n_times: int, sfreq: float, notices: list[str]
) -> NDArray[np.int64]:
    """Return each sample's position, with pauses between records counted."""
    first = np.rint((starts - starts[0]) * sfreq).astype(np.int64)
    least = np.arange(len(first)) * n_times
    first = np.maximum.accumulate(first - least) + least
    pauses = int(np.count_nonzero(np.diff(first) != n_times))
    if pauses:
        notices.append(f"The recording was interrupted {pauses} times; these are gaps.")
    return (first[:, np.newaxis] + np.arange(n_times)).ravel()


def read_annotations(texts: Sequence[list[bytes]], start: float) -> list[FileEvent]:
    """Read annotations; onsets in the file count from its start, events from its first sample."""
    found: list[FileEvent] = []
    for signal in texts:
        for onset, duration, labels in ANNOTATION.findall(b"\0".join(signal)):
            at, length = float(onset) - start, float(duration or 0)
            if abs(at) > MAX_ONSET or length > MAX_ONSET:
                continue
            found.extend(
                FileEvent(at, label.decode("utf-8", "replace"), "annotations", length)
                for label in labels.split(b"\x14")
                if label
            )
    return found
