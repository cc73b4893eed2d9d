"""Facts about a recorded file without its samples in memory: length, streams, a log of feedback."""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError, fromstring

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

MARK: Final = f"<topic>{FEEDBACK_TOPIC}</topic>".encode()
"""Part of the header of the log's stream, which may stand anywhere in the file."""
HEADER: Final = re.compile(rb"<info>[^\0]*?</info>")
"""The text of a stream's header, or of its footer."""


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
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(MARK) >= 0
    except ValueError:  # an empty file
        return False
    except OSError:
        return True


def stream_labels(path: Path) -> Mapping[str, frozenset[str]]:
    """Return the labels of the channels that mimamba has recorded in a file, by their topic.

    A file that cannot be read has none. Headers may stand anywhere, as some streams begin late.
    """
    found = dict[str, frozenset[str]]()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            texts = [match.group() for match in HEADER.finditer(data)]
    except (OSError, ValueError):  # ValueError: an empty file
        return found
    for text in texts:
        try:
            header = fromstring(text.decode("utf-8", "replace"))
        except ParseError:
            continue
        topic = header.findtext(TOPIC_PATH)
        if topic:
            labels = (each.text or "" for each in header.iterfind(LABEL_PATH))
            found[topic] = found.get(topic, frozenset()).union(labels)
    return found


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
