"""Supervision of a live driver: watchdog, reconnection with back-off, continuous numbering."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal, Self

from mimamba.drivers.driver import (
    AUXILIARY_SECONDS,
    AuxiliaryChunk,
    Chunk,
    Driver,
    LinkChange,
    StreamInfo,
)
from mimamba.drivers.supervision.device_connection import DeviceConnection, Timeouts
from mimamba.drivers.timing.clock import local_clock


class Supervisor:
    """A driver that wraps a live driver and reconnects it when its connection is lost.

    A thread of its own enters, iterates and leaves the wrapped driver, because a vendor's call can
    hang. A connection is lost after a time of silence or of one repeated sample, at the end of the
    iteration, and at any exception. A silent driver that has patience is kept as long as that
    lasts: what its library held back comes late, with its own timestamps and numbers. Else the
    driver is closed in the background, and ``connect`` makes new ones until samples flow again.
    ``first`` grows by
    ``max(1, round(elapsed * sfreq))``, so the loss is a visible jump; markers move with it. A
    device that comes back with another sampling frequency or other channels is a failed attempt.

    Parameters
    ----------
    connect
        Function that makes a driver; called for each attempt, in the connection's thread.
    on_change
        Called at each change, in the iterating thread: ``connected`` with the first sample,
        ``lost`` with the reason, ``retrying`` before each attempt with the last failure. A remark
        of the driver is another ``connected``.
    timeouts
        Time limits.

    Raises
    ------
    DriverError
        On entering, from the wrapped driver; the first connection is not retried.
    BadSource
        While iterating, if the wrapped driver finds that its source cannot be used as it was
        opened; reconnecting would change nothing.
    """

    def __init__(
        self,
        connect: Callable[[], Driver],
        on_change: Callable[[LinkChange], None],
        timeouts: Timeouts | None = None,
    ) -> None:
        self._connect = connect
        self._on_change = on_change
        self._timeouts = timeouts or Timeouts()
        self._changed = threading.Condition()
        self._closed = False
        self._info: StreamInfo | None = None
        self._connection: DeviceConnection | None = None
        self._connections: list[DeviceConnection] = []
        self._attempt = 0  # 0 once samples have come, and on the first connection
        self._fresh = True  # no sample has come over this connection yet
        self._last: Chunk | None = None
        self._shift = 0
        self._sink: Callable[[Chunk], None] | None = None
        self._waiting = False  # for what a silent connection holds back
        self._auxiliary: list[AuxiliaryChunk] = []  # of connections that ended

    @property
    def info(self) -> StreamInfo:
        """Facts about the source, from the first connection."""
        if self._info is None:
            raise RuntimeError("enter the supervisor before using it")
        return self._info

    @property
    def battery(self) -> float | None:
        """Charge that the device reported last, percent; None if it reported none."""
        return None if self._connection is None else self._connection.battery

    @property
    def has_auxiliary(self) -> bool:
        """True if the device may measure more than EEG."""
        return self._connection is not None and self._connection.has_auxiliary

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return what else the device measured since the last call.

        Its numbering starts again with each connection; its timestamps go on.
        """
        with self._changed:
            taken, self._auxiliary = self._auxiliary, []
        return taken + ([] if self._connection is None else self._connection.take_auxiliary())

    def cue(self, state: str | None, place: int) -> None:
        """Pass a cue on to a simulated wearer."""
        if self._connection is not None:
            self._connection.cue(state, place)

    def __enter__(self) -> Self:
        connection = self._open()
        try:
            self._info = connection.wait_connected()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """Close, and wait for the threads for a limited time; one that hangs is left behind."""
        self.close()
        until = time.monotonic() + self._timeouts.release
        for connection in self._connections:
            connection.join(until)

    def close(self) -> None:
        """End the iteration immediately, even while reconnecting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._connection is not None:
            self._connection.abandon()

    def forward(self, sink: Callable[[Chunk], None]) -> None:
        """Give all chunks to ``sink`` from now on, as ``Forwarding`` says."""
        with self._changed:
            assert self._connection is not None
            for chunk in self._connection.take_all():
                sink(self._continue(self._connection, chunk))
            self._sink = sink

    def _hand_on(self, connection: DeviceConnection, chunk: Chunk) -> bool:
        """Give a chunk to the sink, in the connection's thread, which holds ``_changed``.

        False if there is no sink. A chunk of an abandoned connection is dropped.
        """
        if self._sink is None:
            return False
        if connection is self._connection and not self._closed:
            self._sink(self._continue(connection, chunk))
        return True

    def __iter__(self) -> Iterator[Chunk]:
        while not self._closed and self._connection is not None:
            chunk = self._connection.next_chunk()
            if chunk is not None:
                yield self._continue(self._connection, chunk)
            elif self._connection.final is not None and not self._closed:
                raise self._connection.final
            elif self._connection.silent and not self._waiting:
                with self._changed:  # a chunk that is handed on ends the waiting
                    self._waiting = True
                    self._report("lost", self._connection.reason)
            elif not self._closed:
                self._reconnect(self._connection)

    def _open(self) -> DeviceConnection:
        self._connections = [
            connection for connection in self._connections if not connection.released
        ]
        with self._changed:  # it hands on no chunk before it is the present one
            connection = DeviceConnection(
                self._connect, self._changed, self._timeouts, self._info, self._hand_on
            )
            self._connection = connection
            self._connections.append(connection)
            self._fresh = True
        if self._closed:  # closed between the check and here
            connection.abandon()
        return connection

    def _continue(self, connection: DeviceConnection, chunk: Chunk) -> Chunk:
        """Continue the numbering with a chunk, and report what its driver remarked before it."""
        has_samples = chunk.n_times > 0
        if has_samples:
            if self._fresh:
                self._resume(chunk)
            elif self._waiting:
                self._report("connected", self.info.name)
            self._waiting = False
        shifted = _shift_chunk(chunk, self._shift)
        if has_samples:
            self._last = shifted
        for remark in connection.take_remarks():
            self._report("connected", remark)
        return shifted

    def _resume(self, chunk: Chunk) -> None:
        """Set the shift by the time since the last sample, and report ``connected``."""
        if self._last is not None:
            elapsed = float(chunk.timestamps[0] - self._last.timestamps[-1])
            lost = max(1, round(elapsed * self.info.sfreq))
            self._shift = self._last.end - 1 + lost - chunk.first
        self._fresh = False
        self._attempt = 0
        self._report("connected", self.info.name)

    def _reconnect(self, old: DeviceConnection) -> None:
        """Report the failure, pause, and start the next attempt."""
        reason = old.reason
        old.abandon()
        with self._changed:
            self._auxiliary += old.take_auxiliary()
            oldest = local_clock() - AUXILIARY_SECONDS
            self._auxiliary = [chunk for chunk in self._auxiliary if chunk.timestamps[-1] >= oldest]
        if self._attempt == 0 and not self._waiting:
            self._report("lost", reason)
        self._waiting = False
        longest = self._timeouts.max_wrong_backoff if old.is_wrong else self._timeouts.max_backoff
        pause = min(self._timeouts.backoff * 2.0 ** min(self._attempt, 30), longest)
        self._attempt += 1
        self._report("retrying", f"attempt {self._attempt} in {pause:g} s: {reason}")
        with self._changed:
            self._changed.wait_for(lambda: self._closed, pause)
            # A device that its old driver still holds would refuse the new one.
            self._changed.wait_for(lambda: self._closed or old.released, self._timeouts.release)
        if not self._closed:
            self._open()

    def _report(self, state: Literal["connected", "lost", "retrying"], detail: str) -> None:
        self._on_change(LinkChange(state, local_clock(), detail))


def _shift_chunk(chunk: Chunk, shift: int) -> Chunk:
    """Move a chunk and its markers by ``shift`` samples."""
    if shift == 0:
        return chunk
    markers = tuple(replace(marker, index=marker.index + shift) for marker in chunk.markers)
    return replace(chunk, first=chunk.first + shift, markers=markers)
