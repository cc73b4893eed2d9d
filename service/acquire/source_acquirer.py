"""Base of the acquirers: reads a source in a thread, into an outbox from which it is delivered."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, TypeAlias

from mimamba.drivers.driver import (
    AuxiliaryChunk,
    Driver,
    HasAuxiliary,
    HasBattery,
    LinkChange,
    TakesCues,
)
from mimamba.drivers.errors import StreamLost, UserError
from mimamba.drivers.open import Connect, open_source
from mimamba.service.acquire.outbox import Outbox

State: TypeAlias = Literal["connecting", "connected", "reconnecting"]

SENSOR_PERIOD = 0.1
"""Seconds between two reads of what the device measures beside the EEG."""
FINISH = 5.0
"""Seconds to deliver the rest after an interrupt."""


class PushRefused(UserError):
    """The service refuses this stream."""


class SourceAcquirer(ABC):
    """A source whose samples wait in an outbox; a subclass delivers them.

    Parameters
    ----------
    source
        Its URL, as for ``drivers.open_source``.
    buffer
        Seconds of signal to keep while they cannot be delivered.
    on_change
        Gets messages for a person, a line each; called on the event loop.
    connect
        Makes the driver of the URL, and has it report the link's changes.

    Attributes
    ----------
    state
        State of the connection over which samples are delivered.
    session
        The session's id, once it is open.
    outbox
        The packets that are not yet delivered, once the source is open.
    """

    def __init__(
        self,
        source: str,
        buffer: float,
        on_change: Callable[[str], None],
        connect: Connect = open_source,
    ) -> None:
        self.state: State = "connecting"
        self.session: str | None = None
        self.outbox: Outbox | None = None
        self._driver = connect(source, self._link_changed)
        self._stream = secrets.token_hex(16)
        self._buffer = buffer
        self._on_change = on_change
        self._source_open = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop

    def cue(self, state: str | None, place: int) -> None:
        """Pass a cue on to a simulated wearer; see ``TakesCues``."""
        if isinstance(self._driver, TakesCues):
            self._driver.cue(state, place)

    @abstractmethod
    def _wake(self) -> None:
        """Look for new packets in the outbox; called on the event loop."""

    def _start_reading(self) -> asyncio.Task[None]:
        """Read the source in a thread; the task raises what ends it."""
        self._loop = asyncio.get_running_loop()
        reading = asyncio.create_task(asyncio.to_thread(self._read))
        reading.add_done_callback(lambda _: self._source_open.set())
        return reading

    async def _finish(self, reading: asyncio.Task[None], delivering: asyncio.Task[None]) -> None:
        """Deliver the rest after an interrupt, in bounded time."""
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        self._stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(delivering, FINISH)
        with contextlib.suppress(StreamLost):  # closed while it was connecting
            await reading
        left = self.outbox.seconds if self.outbox else 0.0
        if left:
            self._on_change(f"{left:.1f} s of signal could not be delivered")

    def _stop(self) -> None:
        """Read no more."""
        self._driver.close()
        if self.outbox is not None:
            self.outbox.end()

    # In the source's thread ----------------------------------------------------------------------

    def _read(self) -> None:
        with self._driver as driver:
            outbox = Outbox(driver.info, self._wake_soon, self._buffer)
            self.outbox = outbox
            self._loop.call_soon_threadsafe(self._source_open.set)
            sensors = _SensorReader(driver)
            try:
                for chunk in driver:
                    outbox.put(chunk, *sensors.read())
            finally:
                outbox.end()

    def _wake_soon(self) -> None:
        self._loop.call_soon_threadsafe(self._wake)

    def _link_changed(self, change: LinkChange) -> None:
        """Called by the source's supervisor."""
        assert self.outbox is not None
        self.outbox.put_change(change)
        self._loop.call_soon_threadsafe(self._on_change, f"{change.state}: {change.detail}")


class _SensorReader:
    """Reader of a source's sensors beside the EEG, and of its battery, between two chunks."""

    def __init__(self, driver: Driver) -> None:
        self._take: Callable[[], list[AuxiliaryChunk]] | None = None
        if isinstance(driver, HasAuxiliary) and driver.has_auxiliary:
            self._take = driver.take_auxiliary
        self._charged = driver if isinstance(driver, HasBattery) else None
        self._due = 0.0

    def read(self) -> tuple[list[AuxiliaryChunk], float | None]:
        """Return what is new, and the charge in percent; nothing if that was just now."""
        now = time.monotonic()
        if now < self._due:
            return [], None
        self._due = now + SENSOR_PERIOD
        charge = self._charged.battery if self._charged is not None else None
        return self._take() if self._take is not None else [], charge
