"""An XDF file, written chunk by chunk so that whatever is there can be read.

XDF (https://github.com/sccn/xdf/wiki/Specifications) is the format of LSL's world. A file is the
magic ``XDF:`` and then chunks ``[length][tag][content]`` that are only ever appended: one header
per stream, samples, clock offsets, boundaries to find one's place again, and footers at the end.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds
from mimamba.drivers.formats.xdf.chunks import BOUNDARY, MAGIC

Format: TypeAlias = Literal["float32", "double64", "string"]
Tree: TypeAlias = "str | Mapping[str, Tree | Sequence[Tree]]"
"""What an element holds: text, or children by their names, several of one name in a sequence."""

FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY_TAG, FOOTER = range(1, 7)
WIDTHS: Final[dict[Format, str]] = {"float32": "<f4", "double64": "<f8"}
NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, even escaped."""


@dataclass(frozen=True)
class StreamHeader:
    """What a stream says of itself.

    Parameters
    ----------
    name, kind
        As people call it, and its content type: ``EEG``, ``Markers``.
    channel_format
        Of its values.
    sfreq
        Nominal rate, Hz; 0 where samples come irregularly.
    source_id
        Identifies the device.
    channels
        Of each channel: its label, unit and the like.
    desc
        More elements under ``desc``.
    """

    name: str
    kind: str
    channel_format: Format
    sfreq: float
    source_id: str
    channels: Sequence[Mapping[str, str]]
    desc: Mapping[str, Tree]

    def xml(self, created: float) -> bytes:
        """The ``info`` element; ``created`` is seconds on the LSL clock."""
        return xml_of(
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


def xml_of(tag: str, tree: Tree) -> bytes:
    """An XML document; what XML cannot hold becomes U+FFFD."""
    root = Element(tag)
    _fill(root, tree)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _fill(element: Element, tree: Tree) -> None:
    if isinstance(tree, str):
        element.text = NOT_XML.sub("\ufffd", tree)
        return
    for tag, content in tree.items():
        several = isinstance(content, Sequence) and not isinstance(content, str)
        for each in content if several else [content]:
            _fill(SubElement(element, tag), each)  # type: ignore[arg-type]


def chunk(tag: int, content: bytes) -> bytes:
    """A chunk as it stands in the file."""
    return _sized(struct.pack("<H", tag) + content)


@dataclass(frozen=True)
class StreamFooter:
    """What a footer tells of a stream: its samples, and the stamps of the first and last, s."""

    count: int = 0
    first: float | None = None
    last: float | None = None

    def and_then(self, count: int, first: float, last: float) -> StreamFooter:
        """With one more chunk of samples."""
        return StreamFooter(self.count + count, first if self.first is None else self.first, last)


def footer(stream: int, tally: StreamFooter) -> bytes:
    """A stream's footer chunk."""
    facts = {"sample_count": tally.count}
    stamps = {"first_timestamp": tally.first, "last_timestamp": tally.last}
    told = {name: repr(fact) for name, fact in (facts | stamps).items() if fact is not None}
    return chunk(FOOTER, struct.pack("<I", stream) + xml_of("info", told))


class XDFWriter:
    """Appends chunks to a new file, which is locked while it is written.

    What is added is in memory until ``flush`` hands it to the system, and safe from a power cut
    after ``sync``.

    Parameters
    ----------
    path
        The file to make.
    about
        Elements of the file's header.

    Raises
    ------
    FileExistsError
        If there is such a file: nothing is ever overwritten.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path, about: Mapping[str, Tree]) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)  # kept until the file is closed, or we are gone
        self._folder = path.parent
        self._headers: dict[int, StreamHeader] = {}
        self._tallies: dict[int, StreamFooter] = {}
        self._flushed: dict[int, StreamFooter] = {}
        self._waiting = bytearray(MAGIC)
        self._written = 0
        self._add(FILE_HEADER, xml_of("info", {"version": "1.0", **about}))

    def declare(self, header: StreamHeader, created: float) -> int:
        """Add a stream; its samples may follow. Returns its number."""
        stream = len(self._headers) + 1
        self._headers[stream], self._tallies[stream] = header, StreamFooter()
        self._add(STREAM_HEADER, struct.pack("<I", stream) + header.xml(created))
        return stream

    def declare_late(self, header: StreamHeader, created: float) -> int:
        """Add a stream in the midst of a file, where the others have clock offsets already."""
        stream = self.declare(header, created)
        self.clock_offsets(created)
        return stream

    def numbers(self, stream: int, timestamps: Seconds, values: NDArray[np.floating]) -> None:
        """Add samples: (n_times,) seconds and (n_times, n_channels) values."""
        header = self._headers[stream]
        if not len(timestamps):
            return
        shape = (len(header.channels),)
        layout = [
            ("size", "u1"),
            ("stamp", "<f8"),
            ("values", WIDTHS[header.channel_format], shape),
        ]
        rows = np.empty(len(timestamps), np.dtype(layout))
        rows["size"], rows["stamp"], rows["values"] = 8, timestamps, values
        self._samples(stream, len(rows), rows.tobytes())
        self._add_up(stream, len(rows), float(timestamps[0]), float(timestamps[-1]))

    def texts(self, stream: int, entries: Sequence[tuple[float, str]]) -> None:
        """Add samples of one text each, with their stamps in seconds."""
        if not entries:
            return
        rows = (
            b"\x08" + struct.pack("<d", stamp) + _sized(text.encode(errors="replace"))
            for stamp, text in entries
        )
        self._samples(stream, len(entries), b"".join(rows))
        self._add_up(stream, len(entries), float(entries[0][0]), float(entries[-1][0]))

    def clock_offsets(self, now: float) -> None:
        """Say of all streams that their stamps are already on the clock that tells ``now``."""
        for stream in self._tallies:
            self._add(CLOCK_OFFSET, struct.pack("<Idd", stream, now, 0.0))

    def boundary(self) -> None:
        """Add a place where a reader of a damaged file finds its way again."""
        self._add(BOUNDARY_TAG, BOUNDARY)

    def flush(self) -> None:
        """Hand over what waits, whole chunks or nothing.

        Raises
        ------
        OSError
            If the disk is full or gone. The file then ends with its last whole chunk.
        """
        waiting, self._waiting = memoryview(self._waiting), bytearray()
        at = 0
        try:
            while at < len(waiting):
                at += os.write(self._file, waiting[at:])
        except OSError:
            os.ftruncate(self._file, self._written)
            os.lseek(self._file, self._written, os.SEEK_SET)
            self._tallies = dict(self._flushed)
            raise
        self._written += len(waiting)
        self._flushed = dict(self._tallies)

    def sync(self) -> None:
        """Have the system write to the disk all that was flushed; raises OSError."""
        os.fsync(self._file)

    def sync_folder(self) -> None:
        """Have the system write the file's name to the disk; raises OSError."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def finish(self) -> None:
        """Add what a whole file ends with, and have it written to the disk; raises OSError."""
        self.boundary()
        for stream, tally in self._tallies.items():
            self._waiting += footer(stream, tally)
        self.flush()
        self.sync()

    def close(self) -> None:
        """Close the file as it is; what was not flushed is dropped."""
        os.close(self._file)

    def _add(self, tag: int, content: bytes) -> None:
        self._waiting += chunk(tag, content)

    def _add_up(self, stream: int, count: int, first: float, last: float) -> None:
        self._tallies[stream] = self._tallies[stream].and_then(count, first, last)

    def _samples(self, stream: int, count: int, rows: bytes) -> None:
        self._add(SAMPLES, struct.pack("<IBI", stream, 4, count) + rows)


def _sized(content: bytes) -> bytes:
    """Content after its length, which is told in 1, 4 or 8 bytes."""
    size = len(content)
    width = 1 if size < 1 << 8 else 4 if size < 1 << 32 else 8
    return bytes([width]) + size.to_bytes(width, "little") + content
