"""XDF, as LabRecorder and this project record it, through pyxdf.

pyxdf maps each stream's stamps onto one clock. Its own evening out is not used: it draws one line
through everything up to a break of 1 s and 500 samples, so that shorter losses are smeared over
the run. ``drivers.timing.sample_clock`` finds them from 0.1 s on. A file that mimamba has recorded
tells of each lost sample itself (``drivers.formats.xdf.sample_index``).

Of a stream's ``desc`` this reader takes each channel's ``label``, ``unit`` and ``type``, and
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
from mimamba.drivers.formats.recording import Recording, complete
from mimamba.drivers.formats.xdf.chunks import MAGIC, whole_chunks
from mimamba.drivers.formats.xdf.sample_index import FIRST, LINK, SIGNAL, TOPIC, exact_index
from mimamba.drivers.lsl.description import ChannelDescription, read_description
from mimamba.drivers.timing.file_timeline import timeline

# Without any handler its warnings go to stderr, such as that it evened no stamps out.
logging.getLogger("pyxdf").addHandler(logging.NullHandler())

BROKEN = (ParseError, ValueError, KeyError, IndexError)
"""What pyxdf raises on chunks that are whole but hold nonsense, in footers and clock offsets."""
SLOWEST, FASTEST = 10.0, 100_000.0
"""Rates that a signal may have, Hz."""
SLACK = 1.0
"""A marker up to this far outside of the signal goes to its first or last sample, s."""


@dataclass(frozen=True, eq=False)
class XDFStream:
    """One stream: its header, and its samples on the common clock.

    ``values`` are numbers (n_times, n_channels), or a list of lists of text.
    """

    header: Element
    stamps: Seconds
    values: Any

    def fact(self, path: str) -> str:
        return (self.header.findtext(path) or "").strip()

    def number(self, path: str) -> float | None:
        try:
            return float(self.fact(path))
        except ValueError:
            return None

    @property
    def name(self) -> str:
        return self.fact("name")

    @property
    def rate(self) -> float:
        """Nominal sampling frequency, Hz; 0 where there is none."""
        return self.number("nominal_srate") or 0.0

    @property
    def of_text(self) -> bool:
        return self.fact("channel_format") == "string"

    @property
    def is_signal(self) -> bool:
        """Whether it holds samples of numbers at a nominal rate."""
        return not self.of_text and SLOWEST <= self.rate <= FASTEST and len(self.stamps) > 0

    @property
    def is_eeg(self) -> bool:
        return self.is_signal and self.fact("type").lower() == "eeg"

    @property
    def topic(self) -> str:
        """What mimamba has written it for; empty for markers, and in others' files."""
        return self.fact(TOPIC)

    @property
    def has_markers(self) -> bool:
        return not self.topic and (self.of_text or self._has_numbered_markers)

    @property
    def _has_numbered_markers(self) -> bool:
        return self.fact("type") == "Markers" and self.rate == 0

    def __str__(self) -> str:
        kind, form = self.fact("type"), self.fact("channel_format")
        return f"{self.name} ({kind}, {form}, {self.rate:g} Hz, {len(self.stamps)} samples)"


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's."""
    return head.startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    streams, notices = load_streams(path)
    signal = _choose(streams, stream, path, notices)
    described = read_description(
        tostring(signal.header, encoding="unicode"), signal.values.shape[1]
    )
    notices.extend(described.notices)
    picks = ChannelChoice(choice.channels or _eeg(signal, described), choice.names).pick(
        described.labels
    )
    factors = np.array([described.factors[row] for row in picks.rows])
    with np.errstate(all="ignore"):  # damaged values
        data = signal.values[:, picks.rows].astype(np.float64) * factors
    timestamps, index, exact = _timeline(signal, streams)
    markers = _markers(streams, timestamps, index, notices)
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
    return complete(info, data, timestamps, index, markers, exact)


def load_streams(path: Path) -> tuple[list[XDFStream], list[str]]:
    """All streams, their stamps on one clock, and a notice where the file is damaged.

    Raises
    ------
    BadRecording
        If the file holds no whole sample, or nonsense.
    """
    size = path.stat().st_size
    whole = whole_chunks(path.read_bytes())
    try:
        with np.errstate(all="ignore"):
            loaded, _ = pyxdf.load_xdf(BytesIO(whole.data), dejitter_timestamps=False)
    except BROKEN as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    streams = [
        XDFStream(
            whole.headers[stream["info"]["stream_id"]], stream["time_stamps"], stream["time_series"]
        )
        for stream in loaded
    ]
    lost = f"{whole.lost} of {size} bytes"
    if whole.lost and not any(len(stream.stamps) for stream in streams):
        raise _damaged(path, f"{lost}, and no whole sample")
    notices = [f"The file is cut or damaged: {lost} are left out."]
    return streams, notices if whole.lost else []


def _damaged(path: Path, how: str) -> BadRecording:
    return BadRecording(
        f"a whole XDF file at {path}", f"it is cut or damaged ({how})", "record again, or repair it"
    )


def first_indices(signal: XDFStream, streams: Sequence[XDFStream]) -> NDArray[np.int64] | None:
    """The exact index of each sample in a file that mimamba has recorded; None in others."""
    links = [stream for stream in streams if stream.topic == LINK and stream.of_text]
    if signal.topic != SIGNAL or len(links) != 1:
        return None
    events = (entry[0] for entry in links[0].values)
    return exact_index(len(signal.stamps), signal.fact(FIRST), events)


def _timeline(
    signal: XDFStream, streams: Sequence[XDFStream]
) -> tuple[Seconds, NDArray[np.int64], bool]:
    """Each sample's time and position: as they are where they are exact, else evened out."""
    index = first_indices(signal, streams)
    if index is None or not _is_sound(signal.stamps):
        return *timeline(signal.stamps, signal.rate), False
    return signal.stamps, index, True


def _is_sound(stamps: Seconds) -> bool:
    return bool(np.isfinite(stamps).all() and (np.diff(stamps) > 0).all())


def _choose(
    streams: Sequence[XDFStream], name: str | None, path: Path, notices: list[str]
) -> XDFStream:
    """The stream of that name; else of type EEG; else the only regular one of numbers."""
    regular = [
        stream for stream in streams if stream.is_signal and (name is None or stream.name == name)
    ]
    eeg = [stream for stream in regular if stream.is_eeg]
    if not eeg and len(regular) != 1:
        raise BadRecording(
            "an EEG stream of numbers at a nominal rate" + (f" named {name}" if name else ""),
            f"{'; '.join(map(str, streams)) or 'no stream'} in {path}",
            "choose a stream by its name, or another file",
        )
    if not eeg and name is None:
        notices.append(f"No stream is of type EEG; {regular[0].name} is taken.")
    if len(eeg) > 1:
        names = ", ".join(stream.name for stream in eeg)
        notices.append(f"{len(eeg)} EEG streams ({names}); the first is taken.")
    return (eeg or regular)[0]


def _eeg(signal: XDFStream, described: ChannelDescription) -> tuple[str, ...] | None:
    """The labels of the channels of type EEG, where types are told."""
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
    """The entries of text streams and of streams of type Markers, at the nearest sample."""
    markers = []
    outside = 0
    for stream in streams:
        if not stream.has_markers:
            continue
        for stamp, entry in zip(stream.stamps, stream.values, strict=True):
            if not timestamps[0] - SLACK <= stamp <= timestamps[-1] + SLACK:
                outside += 1
                continue
            at = int(np.rint(np.interp(stamp, timestamps, index)))  # in a gap: in proportion
            label = "; ".join(part if stream.of_text else f"{part:g}" for part in entry)
            markers.append(Marker(float(stamp), at, label, stream.name))
    if outside:
        notices.append(f"{outside} markers lie outside of the signal: left out.")
    return markers
