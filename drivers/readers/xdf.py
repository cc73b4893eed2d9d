"""XDF, as LabRecorder and this project record it, through pyxdf.

pyxdf maps each stream's stamps onto one clock. Its own evening out is not used: it draws one line
through everything up to a break of 1 s and 500 samples, so that shorter losses are smeared over
the run. ``drivers.sampleclock`` finds them from 0.1 s on.

Of a stream's ``desc`` this reader takes each channel's ``label``, ``unit`` and ``type``, and
``acquisition/uv_per_bit``, ``acquisition/range_uv`` and ``acquisition/simulated`` (1).
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree.ElementTree import ParseError

import numpy as np
import pyxdf
from numpy.typing import NDArray

from drivers.base import BadRecording, Marker, Seconds, StreamInfo
from drivers.channels import ChannelChoice
from drivers.readers.xdfchunks import MAGIC, whole_chunks
from drivers.recording import Recording, complete, timeline

BROKEN = (ParseError, ValueError, KeyError, TypeError, IndexError)
"""What pyxdf raises on damaged files."""
SLOWEST, FASTEST = 10.0, 100_000.0
"""Rates that a signal may have, Hz."""
MICROVOLTS = {
    "microvolts": 1.0,
    "microvolt": 1.0,
    "uv": 1.0,
    "µv": 1.0,  # the micro sign
    "μv": 1.0,  # the Greek letter
    "millivolts": 1e3,
    "millivolt": 1e3,
    "mv": 1e3,
    "volts": 1e6,
    "volt": 1e6,
    "v": 1e6,
    "nanovolts": 1e-3,
    "nanovolt": 1e-3,
    "nv": 1e-3,
}
SLACK = 1.0
"""A marker up to this far outside of the signal goes to its first or last sample, s."""

Stream: TypeAlias = dict[str, Any]


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's."""
    return head.startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.recording.read_recording``."""
    streams, notices = _load(path)
    signal = _choose(streams, stream, path, notices)
    sfreq = _rate(signal)
    channels = _Channels(signal, notices)
    picks = ChannelChoice(choice.channels or channels.eeg, choice.names).pick(channels.labels)
    scale = np.array([channels.scales[row] for row in picks.rows])
    data = (signal["time_series"][:, picks.rows] * scale).astype(np.float32)
    timestamps, index = timeline(signal["time_stamps"], sfreq)
    markers = _markers(streams, timestamps, index, notices)
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=sfreq,
        ch_names=picks.names,
        uv_per_bit=_fact(signal, "uv_per_bit"),
        range_uv=_fact(signal, "range_uv"),
        live=False,
        simulated=_fact(signal, "simulated") == 1.0,
        notices=tuple(notices),
    )
    return complete(info, data, timestamps, index, markers)


def _load(path: Path) -> tuple[list[Stream], list[str]]:
    """All streams, their stamps on one clock, and a notice where the file is damaged."""
    data = path.read_bytes()
    chunks = whole_chunks(data)
    whole = b"".join([MAGIC, *(data[chunk] for chunk in chunks)])
    lost = len(data) - len(whole)
    notices = [f"The file is cut or damaged: {lost} of {len(data)} bytes are left out."]
    try:
        with np.errstate(all="ignore"):
            streams, _ = pyxdf.load_xdf(BytesIO(whole), dejitter_timestamps=False)
    except BROKEN as error:
        raise BadRecording(
            f"a whole XDF file at {path}",
            f"it is damaged ({type(error).__name__}: {error})",
            "record again, or repair it",
        ) from error
    if lost and not any(len(stream["time_stamps"]) for stream in streams):
        raise BadRecording(
            f"a whole XDF file at {path}",
            f"it is cut or damaged: {lost} of {len(data)} bytes, and no sample before",
            "record again, or repair it",
        )
    return streams, notices if lost else []


def _choose(streams: list[Stream], name: str | None, path: Path, notices: list[str]) -> Stream:
    """The stream of that name; else of type EEG; else the only regular one of numbers."""
    named = [stream for stream in streams if name is None or _text(stream, "name") == name]
    regular = [stream for stream in named if _is_signal(stream)]
    eeg = [stream for stream in regular if _text(stream, "type").lower() == "eeg"]
    if eeg or len(regular) == 1:
        chosen = (eeg or regular)[0]
        if not eeg:
            notices.append(f"No stream is of type EEG; {_text(chosen, 'name')} is taken.")
        if len(eeg) > 1:
            names = ", ".join(_text(stream, "name") for stream in eeg)
            notices.append(f"{len(eeg)} EEG streams ({names}); the first is taken.")
        return chosen
    raise BadRecording(
        "an EEG stream of numbers at a nominal rate" + (f" named {name}" if name else ""),
        f"{'; '.join(_describe(stream) for stream in streams) or 'no stream'} in {path}",
        "choose a stream by name, or another file",
    )


def _is_signal(stream: Stream) -> bool:
    """Whether it holds samples of numbers at a nominal rate."""
    return (
        _text(stream, "channel_format") != "string"
        and SLOWEST <= _rate(stream) <= FASTEST
        and len(stream["time_stamps"]) > 0
    )


def _describe(stream: Stream) -> str:
    return (
        f"{_text(stream, 'name')} ({_text(stream, 'type')}, {_text(stream, 'channel_format')}, "
        f"{_rate(stream):g} Hz, {len(stream['time_stamps'])} samples)"
    )


def _rate(stream: Stream) -> float:
    """Nominal sampling frequency, Hz; 0 where there is none."""
    return float(_text(stream, "nominal_srate") or 0)


def _text(stream: Stream, key: str) -> str:
    return str(_first(stream["info"], key) or "")


def _fact(stream: Stream, key: str) -> float | None:
    """A number under ``desc/acquisition``."""
    try:
        return float(_first(stream["info"], "desc", "acquisition", key))
    except (TypeError, ValueError):  # absent, or no number
        return None


def _first(node: Any, *keys: str) -> Any:
    """Down the first element of each name, as pyxdf turns XML into lists; None where absent."""
    for key in keys:
        found = node.get(key) if isinstance(node, dict) else None
        if not found:
            return None
        node = found[0]
    return node


class _Channels:
    """What ``desc`` tells about a signal's channels, with a notice for what it does not."""

    def __init__(self, stream: Stream, notices: list[str]) -> None:
        n_channels = stream["time_series"].shape[1]
        listed = _first(stream["info"], "desc", "channels") or {}
        described = listed.get("channel", [])
        if len(described) != n_channels:
            described = [{}] * n_channels
        labels = [_first(channel, "label") for channel in described]
        if None in labels or len(set(labels)) != n_channels:
            labels = [f"ch{number}" for number in range(1, n_channels + 1)]
            notices.append("The file names no channels: they are numbered.")
        self.labels: tuple[str, ...] = tuple(labels)
        units = [str(_first(channel, "unit") or "").strip() for channel in described]
        unknown = sorted({unit for unit in units if unit.lower() not in MICROVOLTS})
        if unknown:
            notices.append(f"The file's unit is {' or '.join(unknown) or 'not told'}: taken as µV.")
        self.scales = [MICROVOLTS.get(unit.lower(), 1.0) for unit in units]
        types = [str(_first(channel, "type") or "").lower() for channel in described]
        eeg = tuple(name for name, kind in zip(labels, types, strict=True) if kind == "eeg")
        self.eeg = eeg or self.labels


def _markers(
    streams: list[Stream], timestamps: Seconds, index: NDArray[np.int64], notices: list[str]
) -> list[Marker]:
    """The entries of text streams and of streams of type Markers, at the nearest sample."""
    markers = []
    outside = 0
    for stream in streams:
        text = _text(stream, "channel_format") == "string"
        if not text and not (_text(stream, "type") == "Markers" and _rate(stream) == 0):
            continue
        for stamp, entry in zip(stream["time_stamps"], stream["time_series"], strict=True):
            if not timestamps[0] - SLACK <= stamp <= timestamps[-1] + SLACK:
                outside += 1
                continue
            at = int(np.rint(np.interp(stamp, timestamps, index)))  # in a gap: in proportion
            label = "; ".join(part if text else f"{part:g}" for part in entry)
            markers.append(Marker(float(stamp), at, label, _text(stream, "name")))
    if outside:
        notices.append(f"{outside} markers lie outside of the signal: left out.")
    return markers
