"""Facts about a recorded file without its samples in memory: length, streams, a log of feedback."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Generic, TypeVar
from xml.etree.ElementTree import Element, ParseError, XMLParser

from mimamba.drivers.formats.xdf.chunk_writer import STREAM_HEADER
from mimamba.drivers.formats.xdf.intact_chunks import (
    MAGIC,
    Bytes,
    extract_complete_chunks,
    leading_chunks,
)
from mimamba.drivers.formats.xdf.sample_index import (
    FEEDBACK_TOPIC,
    FIRST_INDEX_PATH,
    LABEL_PATH,
    LINK_TOPIC,
    SIGNAL_TOPIC,
    TOPIC_PATH,
    exact_index,
)

Result = TypeVar("Result")
MARK: Final = f"<topic>{FEEDBACK_TOPIC}</topic>".encode()
"""Part of the header of the log's stream, which may stand anywhere in the file."""
STREAM_ID: Final = 4
"""Bytes of a stream's number, before its header."""
PART: Final = 1 << 16
"""Bytes that are read and searched at a time: the interpreter is free for others in between."""
LONGEST_HEADER: Final = 8 << 20
"""Bytes of a stream's header; that of predictions has the state of the model."""


class SearchedFiles(Generic[Result]):
    """Results of a search of files: each file is searched once until it changes.

    Parameters
    ----------
    search
        Searches one file; blocks on the disk.
    """

    def __init__(self, search: Callable[[Path], Result]) -> None:
        self._search = search
        self._results: dict[Path, tuple[tuple[int, int], Result]] = {}
        """With each file's size (bytes) and time of change (ns) when it was searched."""

    def result(self, path: Path, found: os.stat_result) -> Result:
        """Return the result of a file, of which ``found`` is known."""
        version, known = (found.st_size, found.st_mtime_ns), self._results.get(path)
        if known is None or known[0] != version:
            known = self._results[path] = version, self._search(path)
        return known[1]

    def forget(self, path: Path) -> None:
        """Forget a file that is deleted."""
        self._results.pop(path, None)

    def forget_all_but(self, names: Collection[str]) -> None:
        """Forget all files but those with these names, without suffix."""
        for gone in [each for each in self._results if each.stem not in names]:
            self.forget(gone)


@dataclass
class _Found:
    """The header of the signal, its number of samples, and all chunks of the link's stream."""

    signal: Element | None = None
    samples: int = 0
    link: list[bytes] = field(default_factory=list)


def has_feedback_log(path: Path) -> bool:
    """Return whether a file has a log of feedback; True if it cannot be read.

    The whole file is searched, also behind damage: what is withheld from people must not depend on
    a chunk that is whole.
    """
    try:
        with path.open("rb") as file:
            end = b""
            while part := file.read(PART):
                if MARK in end + part:
                    return True
                end = (end + part)[1 - len(MARK) :]
    except OSError:
        return True
    return False


def stream_labels(path: Path) -> Mapping[str, frozenset[str]]:
    """Return the labels of the channels that mimamba has recorded in a file, by their topic.

    A file that cannot be read has none. Headers may stand anywhere, as some streams begin late;
    those behind damage are not found.
    """
    found = dict[str, frozenset[str]]()
    try:
        with path.open("rb") as file:
            for header in _headers(file):
                topic = header.findtext(TOPIC_PATH)
                if topic:
                    labels = (each.text or "" for each in header.iterfind(LABEL_PATH))
                    found[topic] = found.get(topic, frozenset()).union(labels)
    except OSError:
        found.clear()
    return found


def _headers(file: BinaryIO) -> Iterator[Element]:
    """Yield the headers of a file's streams up to the first damage; all other chunks are skipped.

    The time is in proportion to the number of chunks and to the size of headers, whatever the file
    contains.
    """
    size = os.fstat(file.fileno()).st_size
    if file.read(len(MAGIC)) != MAGIC:
        return
    while width := file.read(1):
        length = int.from_bytes(file.read(width[0]), "little")
        stop = file.tell() + length
        if width[0] not in {1, 4, 8} or length < 2 or stop > size:
            return
        if int.from_bytes(file.read(2), "little") == STREAM_HEADER:
            file.seek(STREAM_ID, os.SEEK_CUR)
            left = stop - file.tell()
            header = _read_header(file, left) if 0 < left <= LONGEST_HEADER else None
            if header is not None:
                yield header
        file.seek(stop)


def _read_header(file: BinaryIO, left: int) -> Element | None:
    """Parse so many bytes of a file; None if they are no XML."""
    parser = XMLParser(encoding="utf-8")
    try:
        while left and (part := file.read(min(PART, left))):
            parser.feed(part)
            left -= len(part)
        header: Element = parser.close()
    except ParseError:
        return None
    return header


def signal_seconds(data: Bytes) -> float | None:
    """Return the seconds from the first sample to after the last, lost samples counted.

    Parameters
    ----------
    data
        The file, up to its first damage.

    Returns
    -------
    float or None
        None if mimamba has not recorded the file, or it contradicts itself; 0 without a sample.
    """
    from mimamba.drivers.formats.xdf.reader import PYXDF_ERRORS  # loads pyxdf

    found = _find(data)
    if found.signal is None:
        return None
    try:
        index = exact_index(
            found.samples, found.signal.findtext(FIRST_INDEX_PATH) or "", _texts(found.link)
        )
        rate = float(found.signal.findtext("nominal_srate") or "")
    except PYXDF_ERRORS:
        return None
    if index is None or not rate > 0:
        return None
    return (int(index[-1]) + 1 - int(index[0])) / rate if len(index) else 0.0


def _find(data: Bytes) -> _Found:
    found, topics = _Found(), dict[int, str]()
    start = len(MAGIC)
    for chunk in leading_chunks(data):
        if chunk.tag == STREAM_HEADER:
            part = extract_complete_chunks(MAGIC + data[start : chunk.stop])
            header = part.headers[chunk.stream]
            topics[chunk.stream] = header.findtext(TOPIC_PATH) or ""
            if topics[chunk.stream] == SIGNAL_TOPIC:
                found.signal = header
        topic = topics.get(chunk.stream)
        if topic == SIGNAL_TOPIC:
            found.samples += chunk.samples
        elif topic == LINK_TOPIC:
            found.link.append(data[start : chunk.stop])
        start = chunk.stop
    return found


def _texts(chunks: list[bytes]) -> list[str]:
    """Return the texts of a stream of one channel, of which these are all chunks."""
    import pyxdf

    if not chunks:
        return []
    streams, _ = pyxdf.load_xdf(BytesIO(MAGIC + b"".join(chunks)), dejitter_timestamps=False)
    return list(chain.from_iterable(streams[0]["time_series"]))
