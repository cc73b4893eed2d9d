"""Marker streams of the lab streaming layer, laid onto the samples of a signal."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.lsl.discovery import FOREIGN, find, liblsl, quoted
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import SourceURL

TYPE = "Markers"
OWN = "mimamba-session:"
"""How the source_id of a session's own marker stream begins: it is not taken, or it would be told
again and again."""
LOOK = 1.0
"""Pause between two looks for streams that have come, s."""
CONNECTING = 2.0
"""A stream has this long to answer, s; then it is tried again."""
AT_ONCE = 256
"""Markers pulled from a stream at a time."""
AHEAD = 5.0
"""A program may stamp a marker this long before its moment, s; no sample is waited for longer."""
MOST = 4096
"""Markers that wait for their samples at most."""


@dataclass(frozen=True)
class ReceivedMarker:
    """A marker as it came: seconds on the LSL clock, its label, its stream's name."""

    timestamp: float
    label: str
    source: str


class MarkerStreams:
    """Connections to marker streams; those that come later are taken, too, by a thread.

    Labels are text; of a stream of numbers or of several channels, they are joined by commas.

    Parameters
    ----------
    name
        Only streams of this name; None takes all of type Markers.
    """

    def __init__(self, name: str | None) -> None:
        wanted = f" and name={quoted(name)}" if name else ""
        self._predicate = f"type='{TYPE}' and not(starts-with(source_id,'{OWN}')){wanted}"
        self._known: set[str] = set()
        self._inlets: dict[str, tuple[str, Any]] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="marker streams", daemon=True)

    @classmethod
    def of(cls, source: SourceURL) -> MarkerStreams | None:
        """Those of a URL's ``markers=``: a stream's name, 1 for all, or 0 for none."""
        name = source.text("markers") or "0"
        return None if name == "0" else cls(None if name == "1" else name)

    def open(self, timeout: float) -> int:
        """Take the streams that are found within ``timeout`` s; give their number."""
        self._take(find(self._predicate, timeout, 0.0))
        self._thread.start()
        return len(self._inlets)

    def close(self) -> None:
        """Disconnect."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._inlets.clear()

    def pull(self, offset: float) -> list[ReceivedMarker]:
        """What came since the last call.

        Stamps of another clock are moved by ``offset``, s, as those of the signal were; if that
        makes no sense of them either, or they lie more than ``AHEAD`` s ahead, it is the time of
        arrival.
        """
        now = local_clock()
        heard: list[ReceivedMarker] = []
        for uid, (name, inlet) in list(self._inlets.items()):
            try:
                rows, stamps = inlet.pull_chunk(0.0, AT_ONCE, as_numpy=True)
            except liblsl().util.LostError:
                self._inlets.pop(uid)  # one that comes back has another uid
                continue
            for row, stamp in zip(rows.tolist(), stamps.tolist(), strict=True):
                heard.append(ReceivedMarker(believed(stamp, offset, now), _label(row), name))
        return heard

    def _look(self) -> None:
        resolver = liblsl().ContinuousResolver(pred=self._predicate)
        while not self._closed.wait(LOOK):
            self._take(resolver.results())

    def _take(self, streams: list[Any]) -> None:
        """Connect those that are new."""
        lsl = liblsl()
        for stream in streams:
            if stream.uid() in self._known or self._closed.is_set():
                continue
            inlet = lsl.StreamInlet(stream, recover=False, processing_flags=lsl.proc_clocksync)
            try:
                inlet.open_stream(CONNECTING)
                inlet.time_correction(CONNECTING)  # else the first pull would wait for it
            except (lsl.util.TimeoutError, lsl.util.LostError):
                continue  # looked for again
            self._known.add(stream.uid())
            self._inlets[stream.uid()] = (stream.name(), inlet)


class MarkerBuffer:
    """Markers that wait for their sample.

    A marker goes with the chunk that holds the sample nearest to it, or with the next one where
    that sample never came. One that comes too late goes with the next chunk, too; its index is
    right all the same. Where more than ``MOST`` wait, those that came first count as arrived.
    """

    def __init__(self, sfreq: float) -> None:
        self._sfreq = sfreq
        self._waiting: list[ReceivedMarker] = []

    def add(self, heard: list[ReceivedMarker]) -> None:
        """More markers, in any order."""
        self._waiting += heard

    def attach(self, chunk: Chunk) -> Chunk:
        """The next chunk with the markers that are due."""
        last = float(chunk.timestamps[-1])
        edge = last + 0.5 / self._sfreq
        due = [marker for marker in self._waiting if marker.timestamp < edge]
        later = [marker for marker in self._waiting if marker.timestamp >= edge]
        many = max(0, len(later) - MOST)
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
        """The nearest sample's; before the chunk, where it would be at the nominal rate."""
        before = (float(chunk.timestamps[0]) - timestamp) * self._sfreq
        if before > 0:
            return max(0, chunk.first - round(before))
        return chunk.first + int(np.argmin(np.abs(chunk.timestamps - timestamp)))


def believed(stamp: float, offset: float, now: float) -> float:
    """When a marker was, s: its stamp, that moved by ``offset``, or else ``now``."""
    for each in (stamp, stamp + offset):
        if -FOREIGN < each - now <= AHEAD:
            return each
    return now


def _label(row: list[Any]) -> str:
    values = (each.decode(errors="replace") if isinstance(each, bytes) else each for each in row)
    return ",".join(str(value) for value in values)
