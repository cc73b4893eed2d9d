"""LSL marker streams, and the assignment of their markers to the samples of a signal."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.lsl.discovery import FOREIGN_CLOCK, load_pylsl, resolve_streams, xpath_literal
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import SourceURL

MARKER_TYPE = "Markers"
OWN_PREFIX = "mimamba-session:"
"""Prefix of the source_id of a session's own marker stream. Such streams are not read, because each
marker would come back again and again."""
LOOK_SECONDS = 1.0
"""Pause between two searches for new streams, s."""
CONNECT_TIMEOUT = 2.0
"""Time for a stream to answer, s; then it is tried again."""
PULL_SIZE = 256
"""Largest number of markers pulled from a stream at a time."""
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

    A label is text; several channels are joined by commas.

    Parameters
    ----------
    name
        Name of the streams to use; None for all of type Markers.
    """

    def __init__(self, name: str | None) -> None:
        wanted = f" and name={xpath_literal(name)}" if name else ""
        self._predicate = (
            f"type='{MARKER_TYPE}' and not(starts-with(source_id,'{OWN_PREFIX}')){wanted}"
        )
        self._known: set[str] = set()
        self._inlets: dict[str, tuple[str, Any]] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="marker streams", daemon=True)

    @classmethod
    def from_url(cls, source: SourceURL) -> MarkerStreams | None:
        """Read ``markers`` from a source's URL: a stream's name, 1 for all, or 0 for none."""
        name = source.text("markers") or "0"
        return None if name == "0" else cls(None if name == "1" else name)

    def open(self, timeout: float) -> int:
        """Connect to the streams that are found within ``timeout`` s; return their number."""
        self._connect(resolve_streams(self._predicate, timeout, 0.0))
        self._thread.start()
        return len(self._inlets)

    def close(self) -> None:
        """Disconnect."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._inlets.clear()

    def pull(self, offset: float) -> list[ReceivedMarker]:
        """Return the markers since the last call.

        Stamps of another clock are moved by ``offset``, s, like those of the signal. If they are
        still implausible, or more than ``MAX_AHEAD`` s ahead, the time of arrival is used.
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
                received.append(
                    ReceivedMarker(plausible_time(stamp, offset, now), _label(row), name)
                )
        return received

    def _look(self) -> None:
        resolver = load_pylsl().ContinuousResolver(pred=self._predicate)
        while not self._closed.wait(LOOK_SECONDS):
            self._connect(resolver.results())

    def _connect(self, streams: list[Any]) -> None:
        """Connect to the streams that are new."""
        lsl = load_pylsl()
        for stream in streams:
            if stream.uid() in self._known or self._closed.is_set():
                continue
            inlet = lsl.StreamInlet(stream, recover=False, processing_flags=lsl.proc_clocksync)
            try:
                inlet.open_stream(CONNECT_TIMEOUT)
                inlet.time_correction(CONNECT_TIMEOUT)  # so that the first pull does not wait
            except (lsl.util.TimeoutError, lsl.util.LostError):
                continue  # the next search finds it again
            self._known.add(stream.uid())
            self._inlets[stream.uid()] = (stream.name(), inlet)


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


def plausible_time(stamp: float, offset: float, now: float) -> float:
    """Return a marker's time, s: its stamp, the stamp plus ``offset``, or else ``now``."""
    for each in (stamp, stamp + offset):
        if -FOREIGN_CLOCK < each - now <= MAX_AHEAD:
            return each
    return now


def _label(row: list[Any]) -> str:
    values = (each.decode(errors="replace") if isinstance(each, bytes) else each for each in row)
    return ",".join(str(value) for value in values)
