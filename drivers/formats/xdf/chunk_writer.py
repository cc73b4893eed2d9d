"""Writer of XDF, chunk by chunk, so that an incomplete file can be read.

XDF (https://github.com/sccn/xdf/wiki/Specifications) is the file format of LSL. A file is the magic
``XDF:`` and then chunks ``[length][tag][content]``, which are only appended: one header per stream,
samples, clock offsets, boundaries for readers of damaged files, and footers at the end.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from errno import EIO
from pathlib import Path
from typing import Final, Literal, TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds
from mimamba.drivers.formats.xdf.intact_chunks import BOUNDARY, MAGIC
from mimamba.drivers.runtime.file_locks import (
    BINARY,
    NO_LINK,
    create_private,
    lock_file,
    sync_folder,
)

ChannelFormat: TypeAlias = Literal["float32", "double64", "string"]
XMLTree: TypeAlias = "str | Mapping[str, XMLTree | Sequence[XMLTree]]"
"""Content of an element: text, or children by name; several of one name are a sequence."""

FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY_TAG, FOOTER = range(1, 7)
WIDTHS: Final[dict[ChannelFormat, str]] = {"float32": "<f4", "double64": "<f8"}
NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot contain, even escaped."""


@dataclass(frozen=True)
class StreamHeader:
    """Header of a stream.

    Parameters
    ----------
    name, kind
        Name, and content type such as ``EEG`` or ``Markers``.
    channel_format
        Format of the values.
    sfreq
        Nominal rate, Hz; 0 for irregular samples.
    source_id
        Identifier of the device.
    channels
        Label, unit and other facts of each channel.
    desc
        Further elements under ``desc``.
    """

    name: str
    kind: str
    channel_format: ChannelFormat
    sfreq: float
    source_id: str
    channels: Sequence[Mapping[str, str]]
    desc: Mapping[str, XMLTree]

    def xml(self, created: float) -> bytes:
        """Encode the ``info`` element; ``created`` is in seconds on the LSL clock."""
        return encode_xml(
            "info",
            {
                "name": self.name or "unnamed",
                "type": self.kind,
                "channel_count": str(len(self.channels)),
                "nominal_srate": repr(float(self.sfreq)),
                "channel_format": self.channel_format,
                "source_id": self.source_id,
                "created_at": repr(created),
                "desc": {"channels": {"channel": list(self.channels)}, **self.desc},
            },
        )


def encode_xml(tag: str, tree: XMLTree) -> bytes:
    """Encode an XML document; characters that XML cannot contain become U+FFFD."""
    root = Element(tag)
    _fill(root, tree)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _fill(element: Element, tree: XMLTree) -> None:
    if isinstance(tree, str):
        element.text = NOT_XML.sub("\ufffd", tree)
        return
    for tag, content in tree.items():
        several = isinstance(content, Sequence) and not isinstance(content, str)
        for each in content if several else [content]:
            _fill(SubElement(element, tag), each)  # type: ignore[arg-type]


def encode_chunk(tag: int, content: bytes) -> bytes:
    """Encode a chunk."""
    return _with_length(struct.pack("<H", tag) + content)


@dataclass(frozen=True)
class StreamFooter:
    """Footer of a stream: its number of samples, and the first and last stamp, s."""

    count: int = 0
    first: float | None = None
    last: float | None = None

    def extended(self, count: int, first: float, last: float) -> StreamFooter:
        """Return the footer after one more chunk of samples."""
        return StreamFooter(self.count + count, first if self.first is None else self.first, last)


def encode_footer(stream: int, footer: StreamFooter) -> bytes:
    """Encode a stream's footer chunk."""
    facts = {"sample_count": footer.count}
    stamps = {"first_timestamp": footer.first, "last_timestamp": footer.last}
    known = {name: repr(fact) for name, fact in (facts | stamps).items() if fact is not None}
    return encode_chunk(FOOTER, struct.pack("<I", stream) + encode_xml("info", known))


@dataclass(frozen=True)
class FilePosition:
    """A place in a file at which another writer can go on.

    Parameters
    ----------
    size
        Bytes that are written.
    streams
        Format, number of channels and footer so far of each stream, in order of their numbers.
    """

    size: int
    streams: tuple[tuple[ChannelFormat, int, StreamFooter], ...]


class XDFWriter:
    """A file to which chunks are appended; it is locked while it is open.

    Added chunks are in memory until ``flush`` passes them to the system, and are safe from a power
    failure after ``sync``.

    Parameters
    ----------
    path
        Path of the file.
    about
        Elements of a new file's header; or the place at which to go on in a file that another
        writer has left, whatever it has written after it.

    Raises
    ------
    FileExistsError
        If a new file exists: nothing is overwritten.
    BlockingIOError
        If another writer has the file.
    OSError
        If the file cannot be written, or is shorter than the place to go on.
    """

    def __init__(self, path: Path, about: Mapping[str, XMLTree] | FilePosition) -> None:
        self._folder = path.parent
        self._layouts: dict[int, tuple[ChannelFormat, int]] = {}
        self._footers: dict[int, StreamFooter] = {}
        self._flushed: dict[int, StreamFooter] = {}
        self._pending = bytearray()
        self._written = 0
        if isinstance(about, FilePosition):
            self._file = _reopen(path, about.size)
            self._written = about.size
            for stream, (form, n_channels, footer) in enumerate(about.streams, 1):
                self._layouts[stream], self._footers[stream] = (form, n_channels), footer
            self._flushed = dict(self._footers)
            return
        self._file = create_private(path)
        lock_file(self._file, wait=True)  # until the file is closed, or this process ends
        self._pending += MAGIC
        self._add(FILE_HEADER, encode_xml("info", {"version": "1.0", **about}))

    @property
    def position(self) -> FilePosition:
        """The place after everything that is flushed."""
        streams = (
            (*self._layouts[stream], footer) for stream, footer in sorted(self._flushed.items())
        )
        return FilePosition(self._written, tuple(streams))

    def declare(self, header: StreamHeader, created: float) -> int:
        """Add a stream; return its number."""
        stream = len(self._layouts) + 1
        self._layouts[stream] = header.channel_format, len(header.channels)
        self._footers[stream] = StreamFooter()
        self._add(STREAM_HEADER, struct.pack("<I", stream) + header.xml(created))
        return stream

    def declare_late(self, header: StreamHeader, created: float) -> int:
        """Add a stream after the others already have clock offsets; return its number."""
        stream = self.declare(header, created)
        self.clock_offsets(created)
        return stream

    def numbers(self, stream: int, timestamps: Seconds, values: NDArray[np.floating]) -> None:
        """Add samples: (n_times,) seconds and (n_times, n_channels) values."""
        form, n_channels = self._layouts[stream]
        if not len(timestamps):
            return
        layout = [("size", "u1"), ("stamp", "<f8"), ("values", WIDTHS[form], (n_channels,))]
        rows = np.empty(len(timestamps), np.dtype(layout))
        rows["size"], rows["stamp"], rows["values"] = 8, timestamps, values
        self._samples(stream, len(rows), rows.tobytes())
        self._count(stream, len(rows), float(timestamps[0]), float(timestamps[-1]))

    def texts(self, stream: int, entries: Sequence[tuple[float, str]]) -> None:
        """Add samples of one text each, with their stamps, s."""
        if not entries:
            return
        rows = (
            b"\x08" + struct.pack("<d", stamp) + _with_length(text.encode(errors="replace"))
            for stamp, text in entries
        )
        self._samples(stream, len(entries), b"".join(rows))
        self._count(stream, len(entries), float(entries[0][0]), float(entries[-1][0]))

    def clock_offsets(self, now: float) -> None:
        """Add a clock offset of 0 to all streams: their stamps are on the clock of ``now``, s."""
        for stream in self._footers:
            self._add(CLOCK_OFFSET, struct.pack("<Idd", stream, now, 0.0))

    def boundary(self) -> None:
        """Add a boundary, from which a damaged file can be read on."""
        self._add(BOUNDARY_TAG, BOUNDARY)

    def flush(self) -> None:
        """Write the added chunks, all or none.

        Raises
        ------
        OSError
            If the disk is full or gone. The file then ends with its last complete chunk.
        """
        pending, self._pending = memoryview(self._pending), bytearray()
        at = 0
        try:
            while at < len(pending):
                at += os.write(self._file, pending[at:])
        except OSError:
            os.ftruncate(self._file, self._written)
            os.lseek(self._file, self._written, os.SEEK_SET)
            self._footers = dict(self._flushed)
            raise
        self._written += len(pending)
        self._flushed = dict(self._footers)

    def sync(self) -> None:
        """Write flushed chunks to the disk; raises OSError."""
        os.fsync(self._file)

    def sync_folder(self) -> None:
        """Write the file's directory entry to the disk; raises OSError."""
        sync_folder(self._folder)

    def finish(self) -> None:
        """Add the end of a complete file, and write everything to the disk; raises OSError."""
        self.boundary()
        for stream, footer in self._footers.items():
            self._pending += encode_footer(stream, footer)
        self.flush()
        self.sync()

    def close(self) -> None:
        """Close the file; chunks that were not flushed are dropped."""
        os.close(self._file)

    def _add(self, tag: int, content: bytes) -> None:
        self._pending += encode_chunk(tag, content)

    def _count(self, stream: int, count: int, first: float, last: float) -> None:
        self._footers[stream] = self._footers[stream].extended(count, first, last)

    def _samples(self, stream: int, count: int, rows: bytes) -> None:
        self._add(SAMPLES, struct.pack("<IBI", stream, 4, count) + rows)


def _reopen(path: Path, size: int) -> int:
    """Open a file that another writer has left, lock it, and cut it to ``size`` bytes."""
    file = os.open(path, os.O_WRONLY | BINARY | NO_LINK)
    try:
        lock_file(file)
        shorter = os.fstat(file).st_size < size
        if not shorter:
            os.ftruncate(file, size)
            os.lseek(file, size, os.SEEK_SET)
    except OSError:
        os.close(file)
        raise
    if shorter:
        os.close(file)
        raise OSError(EIO, "the file is shorter than it was")
    return file


def _with_length(content: bytes) -> bytes:
    """Prefix content by its length, in 1, 4 or 8 bytes."""
    size = len(content)
    width = 1 if size < 1 << 8 else 4 if size < 1 << 32 else 8
    return bytes([width]) + size.to_bytes(width, "little") + content
