"""Outbox: numbered packets that are not yet acknowledged, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import msgspec
import numpy as np

from mimamba.drivers.driver import AuxiliaryChunk, Chunk, LinkChange, Marker, StreamInfo
from mimamba.drivers.push_driver import MAX_TEXT, Packet

SECONDS = 90.0
"""Of signal to keep: an outage of 60 s, the pause and the attempt after it, and the sending."""
MAX_BYTES = 64 << 20
LARGEST_CHUNK = 128 << 10
"""Bytes of samples in a packet; the service accepts messages of 1 MiB."""
LARGEST_SENSORS = 64 << 10
"""Bytes of samples of other sensors in a packet; more go with the next."""
MAX_EVENTS = 512
"""Markers, and as many link changes, in a packet; of more, the newest."""
LARGEST_EVENTS = 384 << 10
"""Bytes of markers in a packet, and as many of link changes: with the samples below 1 MiB."""
OVERHEAD = 256
"""Bytes of a packet in addition to its arrays, about."""


Event = TypeVar("Event", Marker, LinkChange)


def shorten_text(text: str) -> str:
    """Return a text that the service accepts: valid UTF-8, and cut if too long."""
    text = text.encode(errors="replace").decode()  # half a surrogate pair cannot be sent
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def newest_events(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Return the last events, as many as fit into a packet; their texts must be fitting."""
    left, kept = LARGEST_EVENTS, 0
    for event in reversed(events[-MAX_EVENTS:]):
        left -= len(msgspec.msgpack.encode(event))
        if left < 0:
            break
        kept += 1
    return events[len(events) - kept :]


def sensor_bytes(chunk: AuxiliaryChunk) -> int:
    """Return the bytes of a sensor's samples in a message, about."""
    return chunk.data.nbytes + chunk.timestamps.nbytes + OVERHEAD


class Outbox:
    """Packets from the source's thread to the connection.

    If it is full, the oldest packets of a live source are dropped; their markers and link changes
    move to the next packet. A recording waits.

    Parameters
    ----------
    info
        The source.
    on_news
        Called in any thread after a change.
    seconds
        Of signal to keep.

    Attributes
    ----------
    taken, lost
        Number of samples put in, and of those dropped.
    ended
        Whether the source has ended.
    """

    def __init__(
        self, info: StreamInfo, on_news: Callable[[], None], seconds: float = SECONDS
    ) -> None:
        self.info = info
        self.taken = 0
        self.lost = 0
        self.ended = False
        self._on_news = on_news
        self._capacity = max(1, round(seconds * info.sfreq))
        self._longest = max(1, LARGEST_CHUNK // (4 * info.n_channels + 8))
        self._changed = threading.Condition()
        self._packets: deque[Packet] = deque()
        self._next = 0
        self._held = 0
        self._bytes = 0
        self._end = (0, 0)  # epoch and index after the last sample
        self._sensors: deque[AuxiliaryChunk] = deque()  # that go with the next samples
        self._markers: tuple[Marker, ...] = ()  # of dropped samples, or still without one

    @property
    def seconds(self) -> float:
        """Seconds of signal that are not acknowledged."""
        return self._held / self.info.sfreq

    @property
    def delivered(self) -> bool:
        """True once the source has ended and everything is acknowledged."""
        return self.ended and not self._packets

    # From the source's thread --------------------------------------------------------------------

    def put(
        self,
        chunk: Chunk,
        auxiliary: Sequence[AuxiliaryChunk] = (),
        battery: float | None = None,
    ) -> None:
        """Add samples; waits for space if the source is a recording.

        Parameters
        ----------
        chunk
            Of the EEG.
        auxiliary
            What the device has measured beside it meanwhile. It is dropped with these samples, if
            they have to be.
        battery
            Charge of the device, percent.
        """
        self._sensors += auxiliary
        arrived = tuple(
            replace(each, label=shorten_text(each.label), source=shorten_text(each.source))
            for each in chunk.markers
        )
        for start in range(0, chunk.n_times, self._longest):
            part = slice(start, start + self._longest)
            markers = arrived if start == 0 else ()
            self._append(
                Chunk(
                    chunk.data[part],
                    chunk.timestamps[part],
                    chunk.first + start,
                    chunk.epoch,
                    markers,
                ),
                auxiliary=self._take_sensors(),
                battery=battery,
            )
        if chunk.n_times == 0:
            with self._changed:
                self._markers = newest_events(self._markers + arrived)

    def _take_sensors(self) -> tuple[AuxiliaryChunk, ...]:
        """Take the oldest samples of sensors, as many as fit into a packet."""
        taken: list[AuxiliaryChunk] = []
        left = LARGEST_SENSORS
        while self._sensors and (left := left - sensor_bytes(self._sensors[0])) >= 0:
            taken.append(self._sensors.popleft())
        return tuple(taken)

    def put_change(self, change: LinkChange) -> None:
        """Add a change of the link to the device."""
        self._append(self._empty_chunk(), (replace(change, detail=shorten_text(change.detail)),))

    def end(self) -> None:
        """Mark the end; a second call has no effect."""
        if not self.ended:
            self._append(self._empty_chunk(), ends=True)

    def _empty_chunk(self) -> Chunk:
        """Return a chunk without samples at the present position."""
        epoch, index = self._end
        return Chunk(np.empty((0, self.info.n_channels), np.float32), np.empty(0), index, epoch, ())

    def _append(
        self,
        chunk: Chunk,
        changes: tuple[LinkChange, ...] = (),
        ends: bool = False,
        auxiliary: tuple[AuxiliaryChunk, ...] = (),
        battery: float | None = None,
    ) -> None:
        with self._changed:
            if not self.info.live:
                self._changed.wait_for(lambda: ends or self.ended or not self._full)
            if self.ended:
                return
            if chunk.n_times:
                chunk = replace(chunk, markers=newest_events(self._markers + chunk.markers))
                self._markers = ()
                self._end = (chunk.epoch, chunk.end)
            packet = Packet(self._next, chunk, changes, ends, auxiliary, battery)
            self._packets.append(packet)
            self._next += 1
            self._count(packet, 1)
            self.taken += chunk.n_times
            self.ended = ends
            while self.info.live and self._full and len(self._packets) > 1:
                self._drop()
            if ends:
                self._changed.notify_all()  # a recording need not wait for space any more
        self._on_news()

    @property
    def _full(self) -> bool:
        return self._held > self._capacity or self._bytes > MAX_BYTES

    def _drop(self) -> None:
        """Drop the oldest packet's samples, but not its events."""
        oldest = self._packets.popleft()
        self._count(oldest, -1)
        self.lost += oldest.chunk.n_times
        following = self._packets[0]
        changes = newest_events(oldest.changes + following.changes)
        self._packets[0] = replace(following, changes=changes)
        self._carry(oldest.chunk.markers)

    def _carry(self, markers: tuple[Marker, ...]) -> None:
        """Move markers to the oldest packet with samples."""
        for position, packet in enumerate(self._packets):
            if packet.chunk.n_times:
                together = newest_events(markers + packet.chunk.markers)
                chunk = replace(packet.chunk, markers=together)
                self._packets[position] = replace(packet, chunk=chunk)
                return
        self._markers = newest_events(markers + self._markers)

    def _count(self, packet: Packet, sign: int) -> None:
        chunk = packet.chunk
        self._held += sign * chunk.n_times
        sensors = sum(sensor_bytes(each) for each in packet.auxiliary)
        self._bytes += sign * (chunk.data.nbytes + chunk.timestamps.nbytes + sensors + OVERHEAD)

    # From the connection -------------------------------------------------------------------------

    def read(self, seq: int, most: int) -> list[Packet]:
        """Return up to ``most`` packets from ``seq`` on, or from the oldest one."""
        with self._changed:
            if not self._packets:
                return []
            start = max(0, seq - self._packets[0].seq)
            return list(islice(self._packets, start, start + most))

    def acknowledge(self, seq: int) -> None:
        """Remove all packets up to ``seq``."""
        with self._changed:
            while self._packets and self._packets[0].seq <= seq:
                self._count(self._packets.popleft(), -1)
            self._changed.notify_all()
        self._on_news()

    def refuse(self, seq: int) -> int:
        """Remove a packet that the service refused, and all before it; returns its lost samples."""
        with self._changed:
            refused = [each.chunk.n_times for each in self._packets if each.seq == seq]
            self.lost += sum(refused)
        self.acknowledge(seq)
        return sum(refused)
