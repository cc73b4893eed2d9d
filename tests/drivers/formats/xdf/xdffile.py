"""A small XDF writer for tests: streams, their samples, clock offsets and boundaries."""

from __future__ import annotations

import struct
from collections.abc import Sequence

BOUNDARY = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
FORMATS = {"float32": "f", "double64": "d", "int16": "h", "int32": "i"}


def chunk(tag: int, content: bytes) -> bytes:
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def start() -> bytes:
    return b"XDF:" + chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")


def header(
    number: int,
    *,
    name: str = "Muse",
    kind: str = "EEG",
    form: str = "float32",
    rate: float = 256.0,
    n_channels: int = 4,
    desc: str = "",
    source_id: str = "",
    hostname: str = "",
) -> bytes:
    xml = (
        f"<info><source_id>{source_id}</source_id><hostname>{hostname}</hostname><name>{name}</name><type>{kind}</type><channel_count>{n_channels}</channel_count>"
        f"<nominal_srate>{rate}</nominal_srate><channel_format>{form}</channel_format>"
        f"<created_at>1.0</created_at><desc>{desc}</desc></info>"
    )
    return chunk(2, struct.pack("<I", number) + xml.encode())


def channels(labels: Sequence[str], unit: str = "", kinds: Sequence[str] = ()) -> str:
    """The part of ``desc`` that describes the channels."""
    entries = [
        f"<channel><label>{label}</label><unit>{unit}</unit><type>{kind}</type></channel>"
        for label, kind in zip(labels, kinds or ["EEG"] * len(labels), strict=True)
    ]
    return f"<channels>{''.join(entries)}</channels>"


def samples(
    number: int, stamps: Sequence[float], rows: Sequence[Sequence[float]], form: str = "float32"
) -> bytes:
    body = b"".join(
        struct.pack(f"<Bd{len(row)}{FORMATS[form]}", 8, stamp, *row)
        for stamp, row in zip(stamps, rows, strict=True)
    )
    return chunk(3, struct.pack("<IBI", number, 4, len(stamps)) + body)


def texts(number: int, stamps: Sequence[float], labels: Sequence[str]) -> bytes:
    body = b"".join(
        struct.pack("<BdBB", 8, stamp, 1, len(label)) + label.encode()
        for stamp, label in zip(stamps, labels, strict=True)
    )
    return chunk(3, struct.pack("<IBI", number, 4, len(stamps)) + body)


def offset(number: int, time: float, value: float) -> bytes:
    return chunk(4, struct.pack("<Idd", number, time, value))


def boundary() -> bytes:
    return chunk(5, BOUNDARY)


def recording(
    stamps: Sequence[float],
    *,
    labels: Sequence[str] = ("TP9", "AF7", "AF8", "TP10"),
    marks: Sequence[tuple[float, str]] = (),
    per_chunk: int = 128,
    shift: float = 0.0,
) -> bytes:
    """A file as LabRecorder writes it; channel c of sample k holds ``k + c / 8`` µV.

    ``shift`` is from the sender's clock to the recorder's, s.
    """
    parts = [
        start(),
        header(1, n_channels=len(labels), desc=channels(labels, "microvolts")),
        header(2, name="Tasks", kind="Markers", form="string", rate=0, n_channels=1),
        offset(1, stamps[0], shift),
    ]
    for begin in range(0, len(stamps), per_chunk):
        part = stamps[begin : begin + per_chunk]
        rows = [[k + c / 8 for c in range(len(labels))] for k in range(begin, begin + len(part))]
        parts += [samples(1, part, rows), boundary()]
    parts.append(texts(2, [time for time, _ in marks], [label for _, label in marks]))
    return b"".join(parts)
