"""LSL marker streams, and the assignment of their markers to the samples of a signal."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.lsl.discovery import (
    EXTRA_SECONDS,
    load_pylsl,
    resolve_streams,
    xpath_literal,
)
from mimamba.drivers.lsl.inlet import FORMATS
from mimamba.drivers.lsl.stream_types import is_eeg_type, is_marker_stream, marker_label
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import SourceURL

MARKER_TYPE = "Markers"
"""Type of the marker streams that mimamba sends."""
OWN_PREFIX = "mimamba-session:"
"""Prefix of the source_id of a session's own marker stream. Such streams are not read, because each
marker would come back again and again."""
LOOK_SECONDS = 1.0
"""Pause between two searches for new streams, s."""
CONNECT_TIMEOUT = 2.0
"""Time for a stream to answer, s."""
PULL_SIZE = 256
"""Largest number of markers pulled from a stream at a time."""
MAX_BEHIND = 86400.0
"""Largest age of a marker's stamp, s; an older one is of another clock."""
MAX_AHEAD = 5.0
"""Largest lead of a marker's stamp over the present, s."""
MAX_WAITING = 4096
"""Largest number of markers that wait for their samples."""


@dataclass(frozen=True)
class ReceivedMarker:
    """A marker: its time on the LSL clock, s, its label, and its stream's name."""

    timestamp: float
    label: str
    source: str


class MarkerStreams:
    """Connections to marker streams. A thread looks for streams that appear later.

    Parameters
    ----------
    name
        Name, source_id, hostname or uid of the streams to use; None for all marker streams.
    timeout
        Time for a stream to answer, s; then it is tried again.

    Attributes
    ----------
    notices
        Remarks about the streams that were found first, one sentence each.
    """

    def __init__(self, name: str | None, timeout: float = CONNECT_TIMEOUT) -> None:
        self.notices: tuple[str, ...] = ()
        self._name = name
        self._timeout = timeout
        self._predicate = f"not(starts-with(source_id,'{OWN_PREFIX}'))"
        if name:
            literal = xpath_literal(name)
            places = ("name", "source_id", "hostname", "uid")
            self._predicate += f" and ({' or '.join(f'{place}={literal}' for place in places)})"
        self._known: set[str] = set()
        self._left_out: dict[str, str] = {}
        self._remarks: deque[str] = deque()
        self._inlets: dict[str, tuple[str, Any]] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="marker streams", daemon=True)

    @classmethod
    def from_url(cls, source: SourceURL, timeout: float = CONNECT_TIMEOUT) -> MarkerStreams | None:
        """Read ``markers`` from a source's URL: a stream's name, 1 for all, or 0 for none."""
        name = source.text("markers") or "0"
        return None if name == "0" else cls(None if name == "1" else name, timeout)

    def open(self, timeout: float) -> int:
        """Connect to the streams that are found within ``timeout`` s; return their number."""
        found = resolve_streams(self._predicate, timeout, EXTRA_SECONDS)
        self._connect(found)
        self._remarks.clear()
        if self._left_out:
            left = "; ".join(sorted(self._left_out.values()))
            self.notices = (f"Streams that are not used for markers: {left}.",)
        self._thread.start()
        return len(self._inlets)

    def close(self) -> None:
        """Disconnect."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._inlets.clear()

    def take_remarks(self) -> tuple[str, ...]:
        """Return remarks about streams that have come since the last call, a phrase each."""
        return tuple(self._remarks.popleft() for _ in range(len(self._remarks)))

    def pull(self, translate: Callable[[float], float]) -> list[ReceivedMarker]:
        """Return the markers since the last call.

        Stamps of the signal's clock are moved by ``translate``, like those of the signal. If they
        are still implausible, or more than ``MAX_AHEAD`` s ahead, the time of arrival is used.
        """
        now = local_clock()
        received: list[ReceivedMarker] = []
        for uid, (name, inlet) in list(self._inlets.items()):
            try:
                rows, stamps = inlet.pull_chunk(0.0, PULL_SIZE, as_numpy=True)
            except load_pylsl().util.LostError:
                self._inlets.pop(uid)  # a stream that comes back has another uid
                continue
            for row, stamp in zip(rows.tolist(), stamps.tolist(), strict=True):
                at = plausible_time(stamp, translate(stamp), now)
                received.append(ReceivedMarker(at, marker_label(row), name))
        return received

    def _look(self) -> None:
        resolver = load_pylsl().ContinuousResolver(pred=self._predicate)
        while not self._closed.wait(LOOK_SECONDS):
            self._connect(resolver.results())

    def _connect(self, streams: list[Any]) -> None:
        """Connect to the streams of markers that are new, and note the others."""
        threads = []
        for stream in streams:
            if stream.uid() in self._known:
                continue
            if self._takes(stream):
                threads.append(threading.Thread(target=self._connect_one, args=(stream,)))
            else:
                self._known.add(stream.uid())
        for thread in threads:  # together, as a clock's offset takes most of a second
            thread.start()
        for thread in threads:
            thread.join()

    def _connect_one(self, stream: Any) -> None:
        lsl = load_pylsl()
        inlet = lsl.StreamInlet(stream, recover=False, processing_flags=lsl.proc_clocksync)
        try:
            inlet.open_stream(self._timeout)
            inlet.time_correction(self._timeout)  # so that the first pull does not wait
        except (lsl.util.TimeoutError, lsl.util.LostError):
            return  # the next search finds it again
        if self._closed.is_set():
            return
        self._known.add(stream.uid())
        self._inlets[stream.uid()] = (stream.name(), inlet)

    def _takes(self, stream: Any) -> bool:
        """Return True for a stream of markers; note another one, except for EEG signals."""
        is_text = stream.channel_format() not in FORMATS
        kind, rate = stream.type(), float(stream.nominal_srate())
        if is_marker_stream(kind, rate, stream.channel_count(), is_text):
            return True
        if self._name or not (is_eeg_type(kind) and rate):
            pace = f"{rate:g} Hz" if rate else "irregular"
            what = (
                f"{stream.name()} ({kind or 'no type'}, {stream.channel_count()} channels, {pace})"
            )
            self._left_out[stream.uid()] = what
            self._remarks.append(f"{what} is not a stream of markers")
        return False


class MarkerBuffer:
    """A buffer of markers that wait for their sample.

    A marker goes with the chunk that holds the sample nearest to it, or with the next one if that
    sample was lost. A late marker also goes with the next chunk; its index is right nevertheless.
    If more than ``MAX_WAITING`` wait, the first ones are assigned to the latest sample.
    """

    def __init__(self, sfreq: float) -> None:
        self._sfreq = sfreq
        self._waiting: list[ReceivedMarker] = []

    def add(self, received: list[ReceivedMarker]) -> None:
        """Add markers, in any order."""
        self._waiting += received

    def attach(self, chunk: Chunk) -> Chunk:
        """Return the next chunk with the markers that are due."""
        last = float(chunk.timestamps[-1])
        edge = last + 0.5 / self._sfreq
        due = [marker for marker in self._waiting if marker.timestamp < edge]
        later = [marker for marker in self._waiting if marker.timestamp >= edge]
        many = max(0, len(later) - MAX_WAITING)
        due += [replace(marker, timestamp=last) for marker in later[:many]]
        self._waiting = later[many:]
        if not due:
            return chunk
        markers = [
            Marker(each.timestamp, self._index(chunk, each.timestamp), each.label, each.source)
            for each in due
        ]
        markers.sort(key=lambda marker: (marker.index, marker.timestamp))
        return replace(chunk, markers=tuple(markers))

    def _index(self, chunk: Chunk, timestamp: float) -> int:
        """Return the nearest sample's index; before the chunk, the index at the nominal rate."""
        before = (float(chunk.timestamps[0]) - timestamp) * self._sfreq
        if before > 0:
            return max(0, chunk.first - round(before))
        return chunk.first + int(np.argmin(np.abs(chunk.timestamps - timestamp)))


def plausible_time(stamp: float, translated: float, now: float) -> float:
    """Return a marker's time, s: of its stamp and its translation the nearer one to ``now``.

    If both are implausible, it is ``now``.
    """
    near = [each for each in (stamp, translated) if -MAX_BEHIND < each - now <= MAX_AHEAD]
    return min(near, key=lambda each: abs(each - now), default=now)
