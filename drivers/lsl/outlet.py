"""Samples of any driver as LSL streams, which other programs read like a headset's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Self

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.lsl.discovery import load_pylsl

BUFFER_SECONDS = 60
"""Length of liblsl's buffer for a slow reader, s."""
LINGER_SECONDS = 0.5
"""Time to send the last samples before the stream ends, s."""


class SignalOutlet:
    """Two streams, the signal and its markers, that exist within the context.

    Each sample is pushed with its own stamp; a gap is silence. The signal's description follows
    XDF's EEG meta-data (channels with label, unit and type), which LabRecorder stores and MNE-LSL
    and muse-lsl read.

    Parameters
    ----------
    info
        Facts about the source; ``sfreq`` is the stream's nominal rate.
    name
        Name of the signal's stream; the marker stream is named ``NAME markers``.

    Raises
    ------
    LibraryMissing
        If liblsl does not load.
    """

    def __init__(self, info: StreamInfo, name: str) -> None:
        self._lsl = load_pylsl()
        self._info = info
        self._name = name
        # After a restart, readers find the same source by the same source_id. It is hashed: a path
        # can contain a person's name, and everyone on the network reads it.
        digest = sha256(f"{name}\n{info.source_id}".encode()).hexdigest()[:16]
        self._source_id = f"mimamba-{digest}"
        self._signal: Any = None
        self._markers: Any = None

    def __enter__(self) -> Self:
        self._signal = self._lsl.StreamOutlet(self._describe_signal(), max_buffered=BUFFER_SECONDS)
        self._markers = self._lsl.StreamOutlet(self._describe_markers())
        return self

    def __exit__(self, *exc: object) -> None:
        if self._signal.have_consumers() or self._markers.have_consumers():
            time.sleep(LINGER_SECONDS)
        self._signal = self._markers = None

    def push(self, chunk: Chunk) -> None:
        """Send a chunk's samples and markers; never blocks."""
        for marker in chunk.markers:
            self._markers.push_sample([marker.label], marker.timestamp)
        self._signal.push_chunk(chunk.data, chunk.timestamps.tolist())

    def _describe_signal(self) -> Any:
        info = self._info
        stream = self._lsl.StreamInfo(
            self._name, "EEG", info.n_channels, info.sfreq, "float32", self._source_id
        )
        channels = stream.desc().append_child("channels")
        for label in info.ch_names:
            facts = {"label": label, "unit": "microvolts", "type": "EEG"}
            append_values(channels.append_child("channel"), facts)
        known = {"uv_per_bit": info.uv_per_bit, "range_uv": info.range_uv}
        facts = {name: repr(value) for name, value in known.items() if value is not None}
        append_values(
            stream.desc().append_child("acquisition"),
            {"model": info.name, "simulated": str(int(info.simulated)), **facts},
        )
        return stream

    def _describe_markers(self) -> Any:
        return self._lsl.StreamInfo(
            f"{self._name} markers", "Markers", 1, 0.0, "string", f"{self._source_id}-markers"
        )


def append_values(element: Any, values: Mapping[str, str]) -> None:
    """Add children with a text each to an element of a stream's description."""
    for name, value in values.items():
        element.append_child_value(name, value)
