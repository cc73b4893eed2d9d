"""Samples of numeric streams at once: pyxdf takes 3 µs for each, which is seconds for an hour.

Only where there is nothing to interpret: each sample has its own timestamp, and the clock's offsets
are all zero. All else is left to pyxdf.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds
from mimamba.drivers.formats.xdf.chunk_writer import CLOCK_OFFSET, SAMPLES, STREAM_HEADER
from mimamba.drivers.formats.xdf.intact_chunks import (
    MAGIC,
    ChunkSpan,
    CompleteChunks,
    leading_chunks,
)

TYPES: Final = {
    "int8": "<i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "float32": "<f4",
    "double64": "<f8",
}
STAMP_BYTES: Final = 8
NO_OFFSET: Final = bytes(8)


@dataclass(frozen=True)
class StampedSamples:
    """Samples of a stream: timestamps (n_times,), values (n_times, n_channels)."""

    stamps: Seconds
    values: NDArray[Any]


@dataclass
class _Stream:
    """Chunks of samples of a stream, its number of headers, and whether its clock has an offset."""

    chunks: list[ChunkSpan] = field(default_factory=list)
    n_headers: int = 0
    has_offset: bool = False


def take_stamped(whole: CompleteChunks) -> tuple[bytes, dict[int, StampedSamples]]:
    """Take samples that need no interpretation out of a file.

    Parameters
    ----------
    whole
        The file's complete chunks.

    Returns
    -------
    bytes
        The file without these samples.
    dict of StampedSamples
        The samples, by the stream's number.
    """
    found: dict[int, _Stream] = {}
    data, starts, start = whole.data, dict[int, int](), len(MAGIC)
    for chunk in leading_chunks(data):
        starts[chunk.stop], start = start, chunk.stop
        stream = found.setdefault(chunk.stream, _Stream())
        stream.n_headers += chunk.tag == STREAM_HEADER
        if chunk.tag == SAMPLES and chunk.samples:
            stream.chunks.append(chunk)
        elif chunk.tag == CLOCK_OFFSET:
            stream.has_offset |= data[chunk.stop - STAMP_BYTES : chunk.stop] != NO_OFFSET
    taken = {
        number: samples
        for number, stream in found.items()
        if (samples := _samples(whole, number, stream)) is not None
    }
    parts, at = [], 0
    for stop in sorted(each.stop for number in taken for each in found[number].chunks):
        parts.append(data[at : starts[stop]])
        at = stop
    return b"".join([*parts, data[at:]]), taken


def _samples(whole: CompleteChunks, number: int, stream: _Stream) -> StampedSamples | None:
    """Return the samples of a stream; None if they are to be left to pyxdf."""
    header = whole.headers.get(number)
    kind = None if header is None else TYPES.get(header.findtext("channel_format", ""))
    if header is None or kind is None or stream.has_offset or not stream.chunks:
        return None
    if stream.n_headers != 1:
        return None
    n_channels = int(header.findtext("channel_count", ""))
    sample = np.dtype([("size", "u1"), ("stamp", "<f8"), ("values", kind, (n_channels,))])
    parts = []
    for chunk in stream.chunks:
        if chunk.samples * sample.itemsize != chunk.stop - chunk.samples_at:
            return None
        part = np.frombuffer(whole.data, sample, chunk.samples, chunk.samples_at)
        if (part["size"] != STAMP_BYTES).any():
            return None
        parts.append(part)
    native = np.dtype(kind).newbyteorder("=")
    return StampedSamples(
        np.concatenate([part["stamp"] for part in parts]).astype(np.float64),
        np.concatenate([part["values"] for part in parts]).astype(native),
    )
