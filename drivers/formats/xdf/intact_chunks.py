"""Separation of the complete chunks of an XDF file from those that are cut off or damaged.

pyxdf trusts the file: one wrong byte in a number of samples makes it allocate all memory, and a
wrong length makes it read garbage. So it only gets chunks that are consistent
(https://github.com/sccn/xdf/wiki/Specifications): the length fits into the file, the tag is known,
the header is XML with a channel count, format and rate, and the samples fill their chunk exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element, ParseError, fromstring

import numpy as np

MAGIC: Final = b"XDF:"
BOUNDARY: Final = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
WIDTHS: Final = {
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "float32": 4,
    "double64": 8,
    "string": 0,
}
"""Bytes per value; a string has its own length."""

Bytes: TypeAlias = bytes | mmap
"""A file's content, in memory or mapped."""


class _DamagedChunk(Exception):
    """A chunk is inconsistent."""


@dataclass(frozen=True)
class _SampleFormat:
    """The format of a stream's samples; ``width`` is in bytes per value."""

    header: Element
    n_channels: int
    width: int


@dataclass(frozen=True)
class ChunkSpan:
    """A complete chunk: its tag, its stream (0 for none), its number of samples, and its end.

    ``samples_at`` is the begin of its samples, 0 for a chunk of another kind.
    """

    tag: int
    stream: int
    samples: int
    stop: int
    samples_at: int = 0


@dataclass(frozen=True)
class CompleteChunks:
    """The complete chunks of a file.

    Parameters
    ----------
    data
        File without the damaged chunks.
    lost
        Number of bytes left out.
    headers
        Header of each stream, by the stream's number.
    """

    data: bytes
    lost: int
    headers: dict[int, Element]


def extract_complete_chunks(data: bytes) -> CompleteChunks:
    """Extract the complete chunks of a file that may be damaged, as a valid file.

    After a damaged chunk, reading continues after the next boundary chunk.
    """
    found = [slice(0, len(MAGIC))]
    layouts: dict[int, _SampleFormat] = {}
    at = len(MAGIC)
    while at < len(data):
        try:
            stop = _parse_chunk(data, at, layouts).stop
        except _DamagedChunk:
            boundary = data.find(BOUNDARY, at + 1)
            if boundary < 0:
                break
            at = boundary + len(BOUNDARY)
        else:
            found.append(slice(at, stop))
            at = stop
    whole = b"".join(data[chunk] for chunk in found)
    headers = {stream: layout.header for stream, layout in layouts.items()}
    return CompleteChunks(whole, len(data) - len(whole), headers)


def leading_chunks(data: Bytes) -> Iterator[ChunkSpan]:
    """Yield the chunks of a file up to the first that is damaged."""
    layouts: dict[int, _SampleFormat] = {}
    at = len(MAGIC) if data[: len(MAGIC)] == MAGIC else len(data)
    while at < len(data):
        try:
            chunk = _parse_chunk(data, at, layouts)
        except _DamagedChunk:
            return
        yield chunk
        at = chunk.stop


def _parse_chunk(data: Bytes, at: int, layouts: dict[int, _SampleFormat]) -> ChunkSpan:
    """Read the chunk that begins here; raise _DamagedChunk if it is not whole."""
    length, start = _count(data, at, len(data))
    stop = start + length
    tag = int.from_bytes(data[start : start + 2], "little")
    if length < 2 or stop > len(data) or not 1 <= tag <= 6:
        raise _DamagedChunk
    if tag == 1:
        _xml(data[start + 2 : stop])
    if tag == 5:
        _check(data[start + 2 : stop] == BOUNDARY)
    if tag in {1, 5}:
        return ChunkSpan(tag, 0, 0, stop)
    stream = int.from_bytes(data[start + 2 : start + 6], "little")
    content = start + 6
    _check(content <= stop)
    if tag == 2:
        layouts[stream] = _read_sample_format(data[content:stop])
    _check(stream in layouts)
    if tag == 3:
        n_samples, first = _count(data, content, stop)
        _check_samples(data, first, stop, n_samples, layouts[stream])
        return ChunkSpan(tag, stream, n_samples, stop, first)
    if tag == 4:
        _check(stop - content == 16)
    return ChunkSpan(tag, stream, 0, stop)


def _check(holds: bool) -> None:
    if not holds:
        raise _DamagedChunk


def _count(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Parse a number with its width before it; return its end, too."""
    width = data[at] if at < stop else 0
    end = at + 1 + width
    _check(width in {1, 4, 8} and end <= stop)
    return int.from_bytes(data[at + 1 : end], "little"), end


def _xml(text: bytes) -> Element:
    try:
        return fromstring(text.decode("utf-8", "replace"))
    except ParseError as error:
        raise _DamagedChunk from error


def _read_sample_format(text: bytes) -> _SampleFormat:
    header = _xml(text)
    try:
        n_channels = int(header.findtext("channel_count", ""))
        float(header.findtext("nominal_srate", ""))
    except ValueError as error:
        raise _DamagedChunk from error
    width = WIDTHS.get(header.findtext("channel_format", ""))
    if width is None or n_channels < 1 or header.tag != "info" or not header.findtext("name"):
        raise _DamagedChunk
    return _SampleFormat(header, n_channels, width)


def _check_samples(data: Bytes, at: int, stop: int, n_samples: int, layout: _SampleFormat) -> None:
    """Raise _DamagedChunk if so many samples do not fill a chunk exactly."""
    size = 9 + layout.width * layout.n_channels  # a time stamp, and its own size before it
    if layout.width and n_samples and at + n_samples * size == stop:
        sizes = np.frombuffer(data, np.uint8, n_samples * size, at)[::size]
        if (sizes == 8).all():
            return
    for _ in range(n_samples):
        _check(at < stop and data[at] in {0, 8})
        at += 1 + data[at]  # a time stamp, or none
        if layout.width:
            at += layout.width * layout.n_channels
        else:
            at = _skip_strings(data, at, stop, layout.n_channels)
    _check(at == stop)


def _skip_strings(data: Bytes, at: int, stop: int, n_values: int) -> int:
    for _ in range(n_values):
        length, at = _count(data, at, stop)
        at += length
    return at
