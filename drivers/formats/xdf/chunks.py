"""The chunks of an XDF file that are whole, told from those that are cut or overwritten.

pyxdf trusts what a file says: one wrong byte in a count of samples makes it ask for all memory,
and a wrong length makes it lose its place. So it is given only chunks that hold together
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
"""Bytes per value; a string brings its own length."""

Bytes: TypeAlias = bytes | mmap
"""A file's content, in memory or mapped."""


class _Damaged(Exception):
    """A chunk that does not hold together."""


@dataclass(frozen=True)
class _Layout:
    """What a stream's samples consist of."""

    header: Element
    n_channels: int
    width: int


@dataclass(frozen=True)
class ChunkSpan:
    """A whole chunk's tag, its stream (0 where it has none), its samples, and where it ends."""

    tag: int
    stream: int
    samples: int
    stop: int


@dataclass(frozen=True)
class CompleteChunks:
    """The whole part of a file.

    Parameters
    ----------
    data
        The file without what is damaged.
    lost
        Number of bytes left out.
    headers
        Each stream's header, by the stream's number.
    """

    data: bytes
    lost: int
    headers: dict[int, Element]


def whole_chunks(data: bytes) -> CompleteChunks:
    """A file that readers load, of the whole chunks of a file that may be damaged.

    After a damaged chunk the walk goes on behind the next boundary chunk.
    """
    found = [slice(0, len(MAGIC))]
    layouts: dict[int, _Layout] = {}
    at = len(MAGIC)
    while at < len(data):
        try:
            stop = _walk_chunk(data, at, layouts).stop
        except _Damaged:
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
    """The chunks of a file up to the first that is damaged."""
    layouts: dict[int, _Layout] = {}
    at = len(MAGIC) if data[: len(MAGIC)] == MAGIC else len(data)
    while at < len(data):
        try:
            chunk = _walk_chunk(data, at, layouts)
        except _Damaged:
            return
        yield chunk
        at = chunk.stop


def _walk_chunk(data: Bytes, at: int, layouts: dict[int, _Layout]) -> ChunkSpan:
    """The chunk that begins here; raises _Damaged."""
    length, start = _count(data, at, len(data))
    stop = start + length
    tag = int.from_bytes(data[start : start + 2], "little")
    if length < 2 or stop > len(data) or not 1 <= tag <= 6:
        raise _Damaged
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
        layouts[stream] = _layout(data[content:stop])
    _check(stream in layouts)
    samples = _walk_samples(data, content, stop, layouts[stream]) if tag == 3 else 0
    if tag == 4:
        _check(stop - content == 16)
    return ChunkSpan(tag, stream, samples, stop)


def _check(holds: bool) -> None:
    if not holds:
        raise _Damaged


def _count(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """A number with its own width before it, and where it ends."""
    width = data[at] if at < stop else 0
    end = at + 1 + width
    _check(width in {1, 4, 8} and end <= stop)
    return int.from_bytes(data[at + 1 : end], "little"), end


def _xml(text: bytes) -> Element:
    try:
        return fromstring(text.decode("utf-8", "replace"))
    except ParseError as error:
        raise _Damaged from error


def _layout(text: bytes) -> _Layout:
    header = _xml(text)
    try:
        n_channels = int(header.findtext("channel_count", ""))
        float(header.findtext("nominal_srate", ""))
    except ValueError as error:
        raise _Damaged from error
    width = WIDTHS.get(header.findtext("channel_format", ""))
    if width is None or n_channels < 1 or header.tag != "info" or not header.findtext("name"):
        raise _Damaged
    return _Layout(header, n_channels, width)


def _walk_samples(data: Bytes, at: int, stop: int, layout: _Layout) -> int:
    """How many samples fill a chunk; raises _Damaged where they do not fill it exactly."""
    n_samples, at = _count(data, at, stop)
    size = 9 + layout.width * layout.n_channels  # a time stamp, and its own size before it
    if layout.width and n_samples and at + n_samples * size == stop:
        sizes = np.frombuffer(data, np.uint8, n_samples * size, at)[::size]
        if (sizes == 8).all():
            return n_samples
    for _ in range(n_samples):
        _check(at < stop and data[at] in {0, 8})
        at += 1 + data[at]  # a time stamp, or none
        if layout.width:
            at += layout.width * layout.n_channels
        else:
            at = _walk_strings(data, at, stop, layout.n_channels)
    _check(at == stop)
    return n_samples


def _walk_strings(data: Bytes, at: int, stop: int, n_values: int) -> int:
    for _ in range(n_values):
        length, at = _count(data, at, stop)
        at += length
    return at
