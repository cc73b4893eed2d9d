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
from functools import cached_property
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, tostring

import numpy as np
import pyxdf
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice, DeclaredChannel, eeg_notices, find_eeg
from mimamba.drivers.driver import Marker, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, make_recording
from mimamba.drivers.formats.xdf.intact_chunks import MAGIC, extract_complete_chunks
from mimamba.drivers.formats.xdf.sample_index import (
    FIRST_INDEX_PATH,
    LABEL_PATH,
    LINK_TOPIC,
    SIGNAL_TOPIC,
    TOPIC_PATH,
    exact_index,
)
from mimamba.drivers.formats.xdf.stamped_samples import take_stamped
from mimamba.drivers.lsl.description import ChannelDescription, read_description
from mimamba.drivers.lsl.stream_types import is_eeg_type, is_marker_stream, marker_label
from mimamba.drivers.timing.file_timeline import timeline_from_stamps
from mimamba.drivers.timing.stamp_check import MAX_SFREQ, MIN_SFREQ, check_stamps

# Its warnings would be printed: of a clock offset before the first sample, for one, as ours are.
logging.getLogger("pyxdf").setLevel(logging.ERROR)

PYXDF_ERRORS = (ParseError, ValueError, KeyError, IndexError)
"""Errors of pyxdf for complete chunks with invalid content, in footers and clock offsets."""
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
    def has_rate(self) -> bool:
        """True if the nominal rate is that of a signal."""
        return MIN_SFREQ <= self.rate <= MAX_SFREQ

    @property
    def is_numeric(self) -> bool:
        return not self.is_text and len(self.stamps) > 0

    @property
    def is_signal(self) -> bool:
        """True for numeric samples at a nominal rate."""
        return self.is_numeric and self.has_rate

    @property
    def is_eeg(self) -> bool:
        """True for numeric samples of type EEG, at any nominal rate."""
        return self.is_numeric and is_eeg_type(self.text("type"))

    @property
    def is_empty_eeg(self) -> bool:
        """True for a stream of type EEG without a single sample."""
        return not self.is_text and len(self.stamps) == 0 and is_eeg_type(self.text("type"))

    @property
    def topic(self) -> str:
        """Purpose of a stream that mimamba has written; empty for markers and in other files."""
        return self.text(TOPIC_PATH)

    @property
    def labels(self) -> list[str]:
        """Label of each channel that the header describes; empty where it names none."""
        return [each.text or "" for each in self.header.iterfind(LABEL_PATH)]

    @property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Values of a numeric stream by label, (n_times,) each."""
        return dict(zip(self.labels, np.asarray(self.values, np.float64).T, strict=False))

    @property
    def first_index(self) -> int:
        """Index of the first sample, of a signal that mimamba has written; 0 in other files."""
        text = self.text(FIRST_INDEX_PATH)
        return int(text) if text.isdecimal() else 0

    @property
    def has_markers(self) -> bool:
        n_channels = int(self.number("channel_count") or 0)
        kind = self.text("type")
        return not self.topic and is_marker_stream(kind, self.rate, n_channels, self.is_text)

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


def read(
    path: Path, choice: ChannelChoice, stream: str | None, sfreq: float | None = None
) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    streams, notices = load_streams(path)
    return make_from_streams(path, streams, notices, choice, stream, sfreq)


def make_from_streams(
    path: Path,
    streams: list[XDFStream],
    notices: list[str],
    choice: ChannelChoice,
    stream: str | None = None,
    sfreq: float | None = None,
) -> Recording:
    """Make the recording of a file from what ``load_streams`` has returned; adds to the notices."""
    signal, left_out = _choose_signal(streams, stream, path, notices)
    described = read_description(
        tostring(signal.header, encoding="unicode"), signal.values.shape[1]
    )
    notices.extend(described.notices)
    asked = choice.channels or _eeg_numbers(signal, described, path, notices)
    picks = ChannelChoice(asked, choice.names).select(described.labels)
    factors = np.array([described.factors[row] for row in picks.rows])
    with np.errstate(all="ignore"):  # values may be damaged
        data = signal.values[:, picks.rows].astype(np.float64) * factors
    timeline = _timeline(signal, streams, sfreq, path)
    notices.extend(timeline.notices)
    markers = _markers(streams, timeline, notices)
    notices.extend(left_out)
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=timeline.sfreq,
        ch_names=picks.names,
        uv_per_bit=signal.number("desc/acquisition/uv_per_bit"),
        range_uv=signal.number("desc/acquisition/range_uv"),
        live=False,
        simulated=signal.number("desc/acquisition/simulated") == 1.0,
        notices=tuple(notices),
    )
    return make_recording(
        info, data, timeline.timestamps, timeline.index, markers, timeline.is_exact
    )


def load_streams(path: Path) -> tuple[list[XDFStream], list[str]]:
    """Load all streams with stamps on one clock, and a notice if the file is damaged.

    Raises
    ------
    BadRecording
        If the file has no complete sample, or invalid content.
    """
    size = path.stat().st_size
    whole = extract_complete_chunks(path.read_bytes())
    rest, taken = take_stamped(whole)
    try:
        with np.errstate(all="ignore"):
            loaded, _ = pyxdf.load_xdf(BytesIO(rest), dejitter_timestamps=False)
    except PYXDF_ERRORS as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    streams = []
    for stream in loaded:
        number = stream["info"]["stream_id"]
        stamps, values = stream["time_stamps"], stream["time_series"]
        if number in taken:
            stamps, values = taken[number].stamps, taken[number].values
        streams.append(XDFStream(whole.headers[number], stamps, values))
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


@dataclass(frozen=True, eq=False)
class _SignalTimeline:
    """Times and positions of a signal's samples.

    Parameters
    ----------
    timestamps, index
        (n_times,), s, and positions with lost samples counted.
    clock
        (n_times,) times on the clock of the other streams, s; ``timestamps`` unless a person has
        given another rate.
    shifts
        (n_times,) seconds by which the file's stamps are ahead of ``clock``.
    sfreq
        Sampling frequency, Hz.
    is_exact
        True if the positions were counted by the recorder.
    notices
        Remarks for people.
    """

    timestamps: Seconds
    index: NDArray[np.int64]
    clock: Seconds
    shifts: Seconds
    sfreq: float
    is_exact: bool
    notices: tuple[str, ...] = ()

    def place(self, stamp: float) -> tuple[float, int] | None:
        """Find a stamp of another stream: its time, s, and position; None if it is outside.

        The other stream's clock may have jumped together with the signal's.
        """
        if self._contains(stamp, slice(None)):
            return self._place(stamp)
        for start, stop in self._segments:
            moved = stamp - float(self.shifts[start])
            if self._contains(moved, slice(start, stop)):
                return self._place(moved)
        return None

    def _place(self, time: float) -> tuple[float, int]:
        at = int(np.rint(np.interp(time, self.clock, self.index)))  # in a gap: interpolated
        if self.clock is self.timestamps:
            return time, at
        return float(np.interp(time, self.clock, self.timestamps)), at

    @cached_property
    def _segments(self) -> list[tuple[int, int]]:
        """First and last row, excluded, between jumps of the clock."""
        jumps = np.flatnonzero(np.diff(self.shifts)) + 1
        return list(pairwise([0, *jumps.tolist(), len(self.shifts)]))

    def _contains(self, time: float, rows: slice) -> bool:
        times = self.clock[rows]
        return bool(times[0] - MARKER_TOLERANCE <= time <= times[-1] + MARKER_TOLERANCE)


def _timeline(
    signal: XDFStream, streams: Sequence[XDFStream], sfreq: float | None, path: Path
) -> _SignalTimeline:
    """Compute times and positions; they are exact in a file that mimamba has recorded."""
    index = first_indices(signal, streams)
    if index is not None and signal.has_rate:
        stamps, rate = signal.stamps, sfreq or signal.rate
        if not _is_sound(stamps):
            start = stamps[np.isfinite(stamps)][:1]
            stamps = (index - index[0]) / rate + (start[0] if len(start) else 0.0)
        return _SignalTimeline(stamps, index, stamps, np.zeros(len(index)), rate, True)
    declared = signal.rate if signal.has_rate else 0.0
    checked = check_stamps(signal.stamps, declared, sfreq, what=f"{signal.name} in {path}")
    timestamps, index = timeline_from_stamps(checked.stamps, checked.sfreq)
    clock = timestamps if checked.clock is None else np.fmax.accumulate(checked.clock)
    return _SignalTimeline(
        timestamps, index, clock, checked.shifts, checked.sfreq, False, checked.notices
    )


def _is_sound(stamps: Seconds) -> bool:
    return bool(np.isfinite(stamps).all() and (np.diff(stamps) > 0).all())


def _choose_signal(
    streams: Sequence[XDFStream], name: str | None, path: Path, notices: list[str]
) -> tuple[XDFStream, list[str]]:
    """Choose the stream asked for, else one of type EEG, else the only regular numeric one.

    Return also a notice about the streams that are neither the signal nor markers nor written by
    mimamba.

    A name may also be a source_id, hostname or uid, or the number of the stream in the file from 1.
    Streams that declare a rate come first; others may be even nevertheless.
    """
    named = [stream for stream in streams if name is None or stream.is_named(name)]
    if not named and name is not None and name.isdecimal() and 0 < int(name) <= len(streams):
        named = [streams[int(name) - 1]]
    eeg = [stream for stream in named if stream.is_eeg]
    eeg = [stream for stream in eeg if stream.has_rate] or eeg
    other = [stream for stream in named if stream.is_signal]
    if not other and name is not None:
        other = [stream for stream in named if stream.is_numeric and not stream.has_markers]
    if not eeg and len(other) != 1:
        empty = [stream.name for stream in named if stream.is_empty_eeg]
        if empty:
            raise BadRecording(
                f"samples of EEG in {path}",
                f"none of {', '.join(empty)}, and no other stream of EEG",
                "use another file; a recording may have been cut off before its first sample",
            )
        raise BadRecording(
            "an EEG stream of numbers at a nominal rate" + (f" named {name}" if name else ""),
            f"{_numbered(streams) or 'no stream'} in {path}",
            "select one with stream= and its name, source_id, hostname, uid or number",
        )
    signal = (eeg or other)[0]
    if not eeg and name is None:
        notices.append(f"No stream is of type EEG; {signal.name} is used.")
    if len(eeg) > 1:
        names = ", ".join(stream.name for stream in eeg)
        notices.append(
            f"{len(eeg)} EEG streams ({names}); the first is used. stream= selects another by its "
            f"name, source_id, hostname, uid or number: {_numbered(streams)}."
        )
    listed = eeg if len(eeg) > 1 else [signal]
    left = [
        str(stream)
        for stream in streams
        if stream not in listed and not (stream.topic or stream.has_markers)
    ]
    return signal, [f"Left out: {'; '.join(left)}."] if left else []


def _numbered(streams: Sequence[XDFStream]) -> str:
    """List the streams by their number in the file."""
    return "; ".join(f"{number}: {stream}" for number, stream in enumerate(streams, 1))


def _eeg_numbers(
    signal: XDFStream, described: ChannelDescription, path: Path, notices: list[str]
) -> tuple[str, ...] | None:
    """Return the numbers of the channels that are EEG, from 1; None for all.

    Raises
    ------
    BadRecording
        If none is, in a stream of type EEG.
    """
    if signal.topic == SIGNAL_TOPIC:
        return None
    elements = signal.header.findall("desc/channels/channel")
    if len(elements) != len(described.labels):
        elements = [Element("channel")] * len(described.labels)
    found = find_eeg(
        [
            DeclaredChannel(label, channel.findtext("type") or "", channel.findtext("unit") or "")
            for label, channel in zip(described.labels, elements, strict=True)
        ]
    )
    if not found.rows and not signal.is_eeg:
        return None
    if not found.rows:
        kinds = zip(described.labels, found.kinds, strict=True)
        raise BadRecording(
            "EEG channels",
            f"{', '.join(f'{label} ({kind})' for label, kind in kinds)} in {path}",
            "select channels with channels=",
        )
    notices.extend(eeg_notices(found, described.labels))
    return tuple(str(row + 1) for row in found.rows)


def _markers(
    streams: Sequence[XDFStream], timeline: _SignalTimeline, notices: list[str]
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
            place = timeline.place(float(stamp))
            if place is None:
                outside += 1
                continue
            label = marker_label(entry if stream.is_text else entry.tolist())
            markers.append(Marker(*place, label, stream.name))
    if outside:
        notices.append(f"{outside} markers are outside of the signal: left out.")
    return markers
