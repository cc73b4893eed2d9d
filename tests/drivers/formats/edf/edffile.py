"""A small EDF and BDF writer for tests, which can also write what is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Signal:
    """Digital values; physical is ``gain`` times digital."""

    label: str
    values: Sequence[int]
    per_record: int
    unit: str = "uV"
    gain: float = 0.5
    low: int = -32768
    high: int = 32767


@dataclass
class File:
    signals: Sequence[Signal]
    duration: float = 1.0
    reserved: str = "EDF+C"
    texts: Sequence[bytes] | None = None  # an annotations signal: one text per record
    text_bytes: int = 120
    fields: dict[str, str] = field(default_factory=dict)  # in place of the header's own
    version: bytes = b"0       "

    def write(self, path: Path) -> Path:
        path.write_bytes(self.header() + b"".join(map(self.record, range(self.n_records))))
        return path

    @property
    def width(self) -> int:
        return 3 if self.version.startswith(b"\xff") else 2

    @property
    def n_records(self) -> int:
        return len(self.signals[0].values) // self.signals[0].per_record

    def record(self, number: int) -> bytes:
        parts = []
        for signal in self.signals:
            start = number * signal.per_record
            values = np.array(signal.values[start : start + signal.per_record], "<i4")
            parts.append(values.view(np.uint8).reshape(-1, 4)[:, : self.width].tobytes())
        if self.texts is not None:
            parts.append(self.texts[number].ljust(self.text_bytes, b"\0"))
        return b"".join(parts)

    def header(self) -> bytes:
        every = list(self.signals)
        if self.texts is not None:
            label = "BDF Annotations" if self.width == 3 else "EDF Annotations"
            every.append(Signal(label, [], self.text_bytes // self.width, "", 1.0))
        said = {
            "length": str(256 * (len(every) + 1)),
            "reserved": self.reserved,
            "records": str(self.n_records),
            "duration": f"{self.duration:g}",
            "signals": str(len(every)),
            **self.fields,
        }
        fixed = [
            (said["length"], 8),
            (said["reserved"], 44),
            (said["records"], 8),
            (said["duration"], 8),
            (said["signals"], 4),
        ]
        columns = [
            ([signal.label for signal in every], 16),
            ([""] * len(every), 80),
            ([signal.unit for signal in every], 8),
            ([f"{signal.low * signal.gain:.8g}" for signal in every], 8),
            ([f"{signal.high * signal.gain:.8g}" for signal in every], 8),
            ([str(signal.low) for signal in every], 8),
            ([str(signal.high) for signal in every], 8),
            ([""] * len(every), 80),
            ([str(signal.per_record) for signal in every], 8),
            ([""] * len(every), 32),
        ]
        start = self.version + b"X".ljust(80) + b"X".ljust(80) + b"01.01.8500.00.00"
        cells = [*fixed, *((text, width) for texts, width in columns for text in texts)]
        return start + b"".join(text.encode().ljust(width)[:width] for text, width in cells)


def tal(onset: float, *texts: str, duration: float | None = None) -> bytes:
    """A time-stamped annotations list; without a text, a record's time."""
    length = b"" if duration is None else f"\x15{duration:g}".encode()
    return (
        f"{onset:+.10f}".rstrip("0").encode()
        + length
        + b"\x14"
        + "\x14".join(texts).encode()
        + b"\x14\0"
    )
