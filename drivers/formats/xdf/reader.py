"""Reader of XDF, as LabRecorder and mimamba record it, through pyxdf.

pyxdf maps each stream's stamps to one clock. Its dejittering is off: it fits one line up to a gap
of 1 s and 500 samples, which hides shorter gaps. ``drivers.timing.sample_clock`` finds gaps of
0.1 s or more. A file that mimamba has recorded lists all lost samples
(``drivers.formats.xdf.sample_index``).

From a stream's ``desc`` this reader uses each channel's ``label``, ``unit`` and ``type``, and
``acquisition/uv_per_bit``, ``acquisition/range_uv`` and ``acquisition/simulated`` (1).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, tostring

import numpy as np
import pyxdf
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, make_recording
from mimamba.drivers.formats.xdf.chunks import MAGIC, extract_complete_chunks
from mimamba.drivers.formats.xdf.sample_index import (
    FIRST_INDEX_PATH,
    LINK_TOPIC,
    SIGNAL_TOPIC,
    TOPIC_PATH,
    exact_index,
)
from mimamba.drivers.lsl.description import ChannelDescription, read_description
from mimamba.drivers.timing.file_timeline import timeline_from_stamps

# Without a handler its warnings go to stderr.
logging.getLogger("pyxdf").addHandler(logging.NullHandler())

PYXDF_ERRORS = (ParseError, ValueError, KeyError, IndexError)
"""Errors of pyxdf for complete chunks with invalid content, in footers and clock offsets."""
MIN_SFREQ, MAX_SFREQ = 10.0, 100_000.0
"""Range of a signal's sampling frequency, Hz."""
MARKER_TYPES = {"marker", "markers", "stim", "trigger", "triggers", "event", "events"}
"""Types of irregular streams of markers, in any case; others are known by their format."""
MARKER_TOLERANCE = 1.0
"""Distance of a marker from the signal's ends, s, up to which it belongs to the signal."""


@dataclass(frozen=True, eq=False)
class XDFStream:
    """A stream: its header, and its samples with stamps on the common clock.

    ``values`` are numbers (n_times, n_channels), or a list of lists of text.
    """

    header: Element
    stamps: Seconds
    values: Any

    def text(self, path: str) -> str:
        return (self.header.findtext(path) or "").strip()

    def number(self, path: str) -> float | None:
        try:
            return float(self.text(path))
        except ValueError:
            return None

    @property
    def name(self) -> str:
        return self.text("name")

    @property
    def rate(self) -> float:
        """Nominal sampling frequency, Hz; 0 for irregular streams."""
        return self.number("nominal_srate") or 0.0

    @property
    def is_text(self) -> bool:
        return self.text("channel_format") == "string"

    @property
    def is_signal(self) -> bool:
        """True for numeric samples at a nominal rate."""
        return not self.is_text and MIN_SFREQ <= self.rate <= MAX_SFREQ and len(self.stamps) > 0

    @property
    def is_eeg(self) -> bool:
        return self.is_signal and self.text("type").lower() == "eeg"

    @property
    def topic(self) -> str:
        """Purpose of a stream that mimamba has written; empty for markers and in other files."""
        return self.text(TOPIC_PATH)

    @property
    def has_markers(self) -> bool:
        return not self.topic and (self.is_text or self._has_numbered_markers)

    @property
    def _has_numbered_markers(self) -> bool:
        """True for an irregular stream of a marker type, or of single integers."""
        if self.rate != 0:
            return False
        single = self.text("channel_count") == "1" and self.text("channel_format").startswith("int")
        return single or self.text("type").lower() in MARKER_TYPES

    def is_named(self, name: str) -> bool:
        """True if the name, source_id, hostname or uid of the stream is this one."""
        return name in (self.name, self.source_id, self.text("hostname"), self.text("uid"))

    @property
    def source_id(self) -> str:
        return self.text("source_id")

    def repeats(self, other: XDFStream) -> bool:
        """True if a recorder has written the same stream twice: its facts, stamps and values."""
        return (
            (self.name, self.source_id, self.text("type"))
            == (other.name, other.source_id, other.text("type"))
            and np.array_equal(self.stamps, other.stamps)
            and np.array_equal(self.values, other.values)
        )

    def __str__(self) -> str:
        kind, form = self.text("type"), self.text("channel_format")
        source = f"source_id {self.source_id}, " if self.source_id else ""
        return f"{self.name} ({source}{kind}, {form}, {self.rate:g} Hz, {len(self.stamps)} samples)"


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's."""
    return head.startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    streams, notices = load_streams(path)
    signal = _choose_signal(streams, stream, path, notices)
    described = read_description(
        tostring(signal.header, encoding="unicode"), signal.values.shape[1]
    )
    notices.extend(described.notices)
    picks = ChannelChoice(choice.channels or _eeg_labels(signal, described), choice.names).select(
        described.labels
    )
    factors = np.array([described.factors[row] for row in picks.rows])
    with np.errstate(all="ignore"):  # values may be damaged
        data = signal.values[:, picks.rows].astype(np.float64) * factors
    timestamps, index, exact = _timeline(signal, streams)
    markers = _markers(streams, timestamps, index, notices)
    notices.extend(_left_out(streams, signal))
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=signal.rate,
        ch_names=picks.names,
        uv_per_bit=signal.number("desc/acquisition/uv_per_bit"),
        range_uv=signal.number("desc/acquisition/range_uv"),
        live=False,
        simulated=signal.number("desc/acquisition/simulated") == 1.0,
        notices=tuple(notices),
    )
    return make_recording(info, data, timestamps, index, markers, exact)


def load_streams(path: Path) -> tuple[list[XDFStream], list[str]]:
    """Load all streams with stamps on one clock, and a notice if the file is damaged.

    Raises
    ------
    BadRecording
        If the file has no complete sample, or invalid content.
    """
    size = path.stat().st_size
    whole = extract_complete_chunks(path.read_bytes())
    try:
        with np.errstate(all="ignore"):
            loaded, _ = pyxdf.load_xdf(BytesIO(whole.data), dejitter_timestamps=False)
    except PYXDF_ERRORS as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    streams = [
        XDFStream(
            whole.headers[stream["info"]["stream_id"]], stream["time_stamps"], stream["time_series"]
        )
        for stream in loaded
    ]
    lost = f"{whole.lost} of {size} bytes"
    if whole.lost and not any(len(stream.stamps) for stream in streams):
        raise _damaged(path, f"{lost} are unusable, and no sample is complete")
    notices = [f"The file is cut off or damaged: {lost} are left out."]
    return streams, notices if whole.lost else []


def _damaged(path: Path, how: str) -> BadRecording:
    return BadRecording(
        f"a complete XDF file at {path}",
        f"one that is cut off or damaged ({how})",
        "record again, or repair the file",
    )


def first_indices(signal: XDFStream, streams: Sequence[XDFStream]) -> NDArray[np.int64] | None:
    """Return the exact index of each sample in a file that mimamba has recorded, else None."""
    links = [stream for stream in streams if stream.topic == LINK_TOPIC and stream.is_text]
    if signal.topic != SIGNAL_TOPIC or len(links) != 1:
        return None
    events = (entry[0] for entry in links[0].values)
    return exact_index(len(signal.stamps), signal.text(FIRST_INDEX_PATH), events)


def _timeline(
    signal: XDFStream, streams: Sequence[XDFStream]
) -> tuple[Seconds, NDArray[np.int64], bool]:
    """Return times, positions, and True if they are exact; others are evened out."""
    index = first_indices(signal, streams)
    if index is None or not _is_sound(signal.stamps):
        return *timeline_from_stamps(signal.stamps, signal.rate), False
    return signal.stamps, index, True


def _is_sound(stamps: Seconds) -> bool:
    return bool(np.isfinite(stamps).all() and (np.diff(stamps) > 0).all())


def _choose_signal(
    streams: Sequence[XDFStream], name: str | None, path: Path, notices: list[str]
) -> XDFStream:
    """Choose the stream asked for, else one of type EEG, else the only regular numeric one.

    A name may also be a source_id, hostname or uid, or the number of the stream in the file from 1.
    """
    named = [stream for stream in streams if name is None or stream.is_named(name)]
    if not named and name is not None and name.isdecimal() and 0 < int(name) <= len(streams):
        named = [streams[int(name) - 1]]
    regular = [stream for stream in named if stream.is_signal]
    eeg = [stream for stream in regular if stream.is_eeg]
    if not eeg and len(regular) != 1:
        raise BadRecording(
            "an EEG stream of numbers at a nominal rate" + (f" named {name}" if name else ""),
            f"{_numbered(streams) or 'no stream'} in {path}",
            "select one with stream= and its name, source_id, hostname, uid or number",
        )
    if not eeg and name is None:
        notices.append(f"No stream is of type EEG; {regular[0].name} is used.")
    if len(eeg) > 1:
        names = ", ".join(stream.name for stream in eeg)
        notices.append(
            f"{len(eeg)} EEG streams ({names}); the first is used. stream= selects another by its "
            f"name, source_id, hostname, uid or number: {_numbered(streams)}."
        )
    return (eeg or regular)[0]


def _numbered(streams: Sequence[XDFStream]) -> str:
    """List the streams by their number in the file."""
    return "; ".join(f"{number}: {stream}" for number, stream in enumerate(streams, 1))


def _left_out(streams: Sequence[XDFStream], signal: XDFStream) -> list[str]:
    """Name the streams that are neither the signal nor markers nor written by mimamba."""
    left = [
        str(stream)
        for stream in streams
        if stream is not signal and not (stream.topic or stream.has_markers or stream.is_eeg)
    ]
    return [f"Left out: {'; '.join(left)}."] if left else []


def _eeg_labels(signal: XDFStream, described: ChannelDescription) -> tuple[str, ...] | None:
    """Return the labels of the channels of type EEG; None if there are no types."""
    kinds = [
        (channel.findtext("type") or "").strip().lower()
        for channel in signal.header.iterfind("desc/channels/channel")
    ]
    if len(kinds) != len(described.labels):
        return None
    eeg = (label for label, kind in zip(described.labels, kinds, strict=True) if kind == "eeg")
    return tuple(eeg) or None


def _markers(
    streams: Sequence[XDFStream],
    timestamps: Seconds,
    index: NDArray[np.int64],
    notices: list[str],
) -> list[Marker]:
    """Read text streams and streams of type Markers; each marker gets the nearest sample."""
    markers = []
    outside = 0
    used: list[XDFStream] = []
    for stream in streams:
        if not stream.has_markers:
            continue
        if any(stream.repeats(other) for other in used):
            notices.append(f"{stream.name} is in the file twice: its markers are used once.")
            continue
        used.append(stream)
        for stamp, entry in zip(stream.stamps, stream.values, strict=True):
            if not timestamps[0] - MARKER_TOLERANCE <= stamp <= timestamps[-1] + MARKER_TOLERANCE:
                outside += 1
                continue
            at = int(np.rint(np.interp(stamp, timestamps, index)))  # in a gap: interpolated
            label = "; ".join(part if stream.is_text else f"{part:g}" for part in entry)
            markers.append(Marker(float(stamp), at, label, stream.name))
    if outside:
        notices.append(f"{outside} markers are outside of the signal: left out.")
    return markers
