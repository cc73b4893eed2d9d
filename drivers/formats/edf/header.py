"""The header of EDF, EDF+ and BDF files.

Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7; Kemp and Olivan 2003,
doi:10.1016/S1388-2457(03)00123-8 (EDF+); BDF is the same with 24 bits (BioSemi). Fixed fields of
ASCII text, then records of equal size, each holding so many samples of every signal in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Final

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import one_line
from mimamba.drivers.units import MICROVOLTS

EDF_VERSION: Final = b"0       "
BDF_VERSION: Final = b"\xffBIOSEMI"
ANNOTATIONS: Final = {"EDF Annotations", "BDF Annotations"}
MU: Final = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})
LONGEST: Final = 86_400.0
"""A record is at most a day long, s."""


@dataclass(frozen=True)
class EDFSignal:
    """One signal of a file.

    Parameters
    ----------
    label, unit
        As the file has them, without the spaces around.
    gain, offset
        The physical value is ``gain`` times the digital one, plus ``offset``.
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
        """µV per unit; None where the unit is no voltage."""
        return MICROVOLTS.get(
            self.unit.lower()
            .replace("\N{MICRO SIGN}", "u")
            .replace("\N{GREEK SMALL LETTER MU}", "u")
        )


@dataclass(frozen=True)
class EDFHeader:
    """What the header says.

    Parameters
    ----------
    n_bytes
        Its own length.
    n_records
        Number of records; negative or 0 where it was not known yet.
    duration
        Of a record, s.
    width
        Bytes per sample.
    interrupted
        Whether records may not follow each other without a pause (EDF+D).
    signals
        In the file's order.
    """

    n_bytes: int
    n_records: int
    duration: float
    width: int
    interrupted: bool
    signals: tuple[EDFSignal, ...]

    @property
    def record_bytes(self) -> int:
        return self.width * sum(signal.n_times for signal in self.signals)


class _Fields:
    """Takes the header's fields one by one."""

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

    def whole(self, what: str, width: int = 8) -> int:
        return int(self.number(what, width))

    def broken(self, what: str, found: str) -> BadRecording:
        return BadRecording(
            f"{what} in the header of {self._path}", found, "record again, or repair it"
        )


def read_header(content: bytes, path: Path) -> EDFHeader:
    """Read the header from a file's first bytes.

    Raises
    ------
    BadRecording
        If it is cut, or a field holds nonsense.
    """
    fields = _Fields(content, path)
    width = 3 if content.startswith(BDF_VERSION) else 2
    fields.text(8 + 80 + 80 + 8 + 8)  # version, patient, recording, date, time
    n_bytes = fields.whole("its length")
    interrupted = fields.text(44)[:5] in {"EDF+D", "BDF+D"}
    n_records = fields.whole("the number of records")
    duration = fields.number("a record's duration")
    n_signals = fields.whole("the number of signals", 4)
    if not 1 <= n_signals <= 9999 or n_bytes != 256 * (n_signals + 1):
        raise fields.broken(
            "its length of 256 bytes for itself and each signal",
            f"{n_bytes} bytes for {n_signals} signals",
        )
    if not 0 <= duration <= LONGEST:
        raise fields.broken(f"a record's duration up to {LONGEST:g} s", f"{duration:g} s")
    signals = _signals(fields, n_signals)
    return EDFHeader(n_bytes, n_records, duration, width, interrupted, signals)


def _signals(fields: _Fields, n_signals: int) -> tuple[EDFSignal, ...]:
    every = range(n_signals)
    labels = [fields.text(16) for _ in every]
    fields.text(80 * n_signals)  # transducers
    units = [fields.text(8) for _ in every]
    physical = [[fields.number("a physical range") for _ in every] for _ in range(2)]
    digital = [[fields.number("a digital range") for _ in every] for _ in range(2)]
    fields.text(80 * n_signals)  # filters
    lengths = [fields.whole("a signal's samples per record") for _ in every]
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
