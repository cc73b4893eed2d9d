"""Keep a live driver alive: a watchdog, reconnecting with back-off, and one unbroken numbering."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Literal, Self

from mimamba.drivers.driver import Chunk, Driver, LinkChange, StreamInfo
from mimamba.drivers.supervision.connection import DeviceConnection, Timeouts
from mimamba.drivers.timing.clock import local_clock


class Supervisor:
    """A driver that wraps a live driver and reconnects it when its link is lost.

    The wrapped driver is entered, iterated and left by a thread of its own, because a vendor's call
    can hang or end in silence. Silence, one and the same sample again and again, an iteration that
    ends, and any exception are a lost link: the driver is closed in the background and ``connect``
    is asked for a new one until samples flow again. ``first`` goes on by
    ``max(1, round(elapsed * sfreq))``, so the loss is a visible jump; markers move with it. A
    device that comes back with another sampling frequency or other channels is a failed attempt.

    Parameters
    ----------
    connect
        Makes a driver; called in the wrapped driver's thread, anew for each attempt.
    on_change
        Told each change of the link, in the iterating thread: ``connected`` with the first sample,
        ``lost`` with the reason, ``retrying`` before each attempt with the last failure.
    patience
        The times.

    Raises
    ------
    DriverError
        On entering, as the wrapped driver raises it; the first connection is not retried.
    """

    def __init__(
        self,
        connect: Callable[[], Driver],
        on_change: Callable[[LinkChange], None],
        patience: Timeouts | None = None,
    ) -> None:
        self._connect = connect
        self._on_change = on_change
        self._patience = patience or Timeouts()
        self._changed = threading.Condition()
        self._closed = False
        self._info: StreamInfo | None = None
        self._link: DeviceConnection | None = None
        self._leaving: list[DeviceConnection] = []
        self._attempt = 0  # 0 once samples have come, and on the first connection
        self._fresh = True  # no sample of the present link has come yet
        self._last: Chunk | None = None
        self._shift = 0

    @property
    def info(self) -> StreamInfo:
        """The source's facts, as the first connection had them."""
        if self._info is None:
            raise RuntimeError("a supervisor has no info before it is entered")
        return self._info

    @property
    def battery(self) -> float | None:
        """The charge that the device told last, percent; None where it has not."""
        return None if self._link is None else self._link.battery

    def __enter__(self) -> Self:
        link = self._open()
        try:
            self._info = link.connected()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, and wait a bounded time for the threads; one stuck in a vendor's call is left."""
        self.close()
        until = time.monotonic() + self._patience.leaving
        for link in self._leaving:
            link.join(until)

    def close(self) -> None:
        """Give up the link; iteration ends at once, even while reconnecting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._link is not None:
            self._link.abandon()

    def __iter__(self) -> Iterator[Chunk]:
        while not self._closed and self._link is not None:
            chunk = self._link.take()
            if chunk is not None:
                yield self._continue(chunk)
            elif not self._closed:
                self._reconnect(self._link)

    def _open(self) -> DeviceConnection:
        self._leaving = [link for link in self._leaving if not link.left]
        link = DeviceConnection(self._connect, self._changed, self._patience, self._info)
        self._link = link
        self._leaving.append(link)
        self._fresh = True
        if self._closed:  # closed between the check and here
            link.abandon()
        return link

    def _continue(self, chunk: Chunk) -> Chunk:
        """Number a chunk on from the last one."""
        if chunk.n_times:
            if self._fresh:
                self._resume(chunk)
            chunk = _shifted(chunk, self._shift)
            self._last = chunk
            return chunk
        return _shifted(chunk, self._shift)

    def _resume(self, chunk: Chunk) -> None:
        """Set the shift by the time since the last sample, and tell that samples flow."""
        if self._last is not None:
            elapsed = float(chunk.timestamps[0] - self._last.timestamps[-1])
            lost = max(1, round(elapsed * self.info.sfreq))
            self._shift = self._last.end - 1 + lost - chunk.first
        self._fresh = False
        self._attempt = 0
        self._tell("connected", self.info.name)

    def _reconnect(self, old: DeviceConnection) -> None:
        """One step: tell the failure, pause, and start the next attempt."""
        reason = old.reason
        old.abandon()
        if self._attempt == 0:
            self._tell("lost", reason)
        pause = min(
            self._patience.backoff * 2.0 ** min(self._attempt, 30), self._patience.longest_backoff
        )
        self._attempt += 1
        self._tell("retrying", f"attempt {self._attempt} in {pause:g} s: {reason}")
        with self._changed:
            self._changed.wait_for(lambda: self._closed, pause)
            # A device that is still held by its old driver would refuse the new one.
            self._changed.wait_for(lambda: self._closed or old.left, self._patience.leaving)
        if not self._closed:
            self._open()

    def _tell(self, state: Literal["connected", "lost", "retrying"], detail: str) -> None:
        self._on_change(LinkChange(state, local_clock(), detail))


def _shifted(chunk: Chunk, shift: int) -> Chunk:
    """The chunk, ``shift`` samples later in the numbering."""
    if shift == 0:
        return chunk
    markers = tuple(replace(marker, index=marker.index + shift) for marker in chunk.markers)
    return replace(chunk, first=chunk.first + shift, markers=markers)
