"""A connection to one Muse, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mimamba.drivers.bluetooth_errors import expected_errors, explain_error
from mimamba.drivers.driver import AuxiliaryChunk, Chunk
from mimamba.drivers.errors import DeviceNotFound, DriverError, LibraryMissing, StreamLost
from mimamba.drivers.muse.protocol import (
    CONTROL,
    HALT,
    KEEP_ALIVE,
    KEEP_ALIVE_SECONDS,
    RESTART,
    ControlReplies,
    MuseModel,
    encode_command,
    find_model,
)
from mimamba.drivers.muse.receiver import MuseReceiver
from mimamba.drivers.muse.search import (
    ANSWER_SECONDS,
    NEAR,
    RELEASE,
    TAKEN,
    WantedHeadset,
    find_headset,
)
from mimamba.drivers.timing.clock import local_clock

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.device import BLEDevice

REPLY_SECONDS = 0.2
"""Time for the answer to a command, s; the next one is sent anyway (BrainFlow pauses as long)."""
HALT_SECONDS, DISCONNECT_SECONDS = 0.3, 0.5
"""Time for the last command and for disconnecting, s."""
RELEASE_SECONDS = 1.0
"""Time for the thread to end, s; one that the system's Bluetooth holds is left behind."""
TICK_SECONDS = 0.05
"""Time between two looks for notifications that did not arrive, s."""
QUEUE_CHUNKS = 4096
"""Chunks that are kept for a slow reader, at least 60 s; beyond it the oldest are dropped."""
UPDATE = "update its firmware with the Muse app, then switch it off and on"
BUSY = ("AlreadyConnected", "InProgress", "busy", "Notify acquired")
"""Parts of BlueZ's errors while another program connects to a device, or receives from it."""

_connecting = threading.Lock()
"""Held while connecting: BlueZ connects to one device at a time, and bleak's look at its version is
not made for several event loops."""


@dataclass(frozen=True)
class ConnectionTimes:
    """Times of a connection, s.

    Parameters
    ----------
    answer
        For the system's Bluetooth to answer.
    connect
        For the radio to connect and to list the characteristics.
    first
        For the first EEG; after half of it the headset is told to start once more.
    keep_alive
        Between two commands that keep the headset awake.
    """

    answer: float = ANSWER_SECONDS
    connect: float = 10.0
    first: float = 4.0
    keep_alive: float = KEEP_ALIVE_SECONDS


CONNECTION_TIMES = ConnectionTimes()


class HeadsetConnection:
    """A headset that is searched for, connected and read in the background.

    Parameters
    ----------
    wanted
        The headset to look for.
    seconds
        Time to find it, s.
    times
        Times of the connection.

    Attributes
    ----------
    model, name, address
        The headset's, once it is open.
    """

    def __init__(
        self, wanted: WantedHeadset, seconds: float, times: ConnectionTimes = CONNECTION_TIMES
    ) -> None:
        self.model: MuseModel | None = None
        self.name = ""
        self.address = ""
        self._wanted = wanted
        self._seconds = seconds
        self._times = times
        self._receiver = MuseReceiver()
        self._replies = ControlReplies()
        self._answered = asyncio.Event()
        self._changed = threading.Condition()
        self._chunks: deque[Chunk] = deque(maxlen=QUEUE_CHUNKS)
        self._open = False
        self._over = False
        self._closed = False
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="muse", daemon=True)

    @property
    def battery(self) -> float | None:
        """Charge that was reported last, percent; None if none was."""
        reported = self._receiver.battery
        return self._replies.battery if reported is None else reported

    def open(self) -> None:
        """Wait until the first EEG is there; raises DriverError."""
        self._thread.start()
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._open or self._over or self._closed)
        except BaseException:
            self.release()
            raise
        if not self._open:
            self.release()
            raise self._failure or DeviceNotFound(self._wanted.title, "an end", "connect again")

    def next_chunk(self) -> Chunk | None:
        """Wait for EEG; None once it is closed. Raises StreamLost if the connection ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._over or self._closed)
            if self._closed:
                return None
            if self._chunks:
                return self._chunks.popleft()
        if self._failure is not None:
            raise self._failure
        return None

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return what else was measured since the last call."""
        with self._changed:
            return self._receiver.take_auxiliary()

    def close(self) -> None:
        """Begin to disconnect; ``next_chunk`` returns immediately."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
            if self._loop is not None and self._main is not None:
                with suppress(RuntimeError):  # the loop has ended by itself
                    self._loop.call_soon_threadsafe(self._main.cancel)

    def release(self) -> None:
        """Disconnect, and wait for at most ``RELEASE_SECONDS``."""
        self.close()
        if self._thread.is_alive():
            self._thread.join(RELEASE_SECONDS)

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            expected = expected_errors()
        except ImportError as error:
            failure = LibraryMissing("bleak", str(error), "install it: pip install bleak")
        else:
            try:
                asyncio.run(self._live())
            except DriverError as error:
                failure = error
            except expected as error:
                failure = explain_error(error, self._wanted.title)
            except Exception as error:  # noqa: BLE001  raised by the reader
                failure = error
        with self._changed:
            self._failure = failure
            self._over = True
            self._changed.notify_all()

    async def _live(self) -> None:
        """Find, connect and read until cancelled or disconnected."""
        with self._changed:
            self._loop = asyncio.get_running_loop()
            self._main = asyncio.current_task()
            if self._closed:
                return
        try:
            await self._read(await find_headset(self._wanted, self._seconds, self._times.answer))
        except asyncio.CancelledError:
            if not self._closed:
                raise
        finally:
            await _close_bus()

    async def _read(self, device: BLEDevice) -> None:
        from bleak import BleakClient

        lost = asyncio.Event()
        self.address, self.name = device.address, device.name or device.address
        client = BleakClient(
            device, disconnected_callback=lambda _: lost.set(), timeout=self._times.connect
        )
        try:
            await self._connect(client)
            await self._start(client, lost)
            await self._stay(client, lost)
        finally:
            await _release(client)

    async def _connect(self, client: BleakClient) -> None:
        while not _connecting.acquire(blocking=False):
            await asyncio.sleep(TICK_SECONDS)
        try:
            await client.connect()
        except TimeoutError as error:
            raise DeviceNotFound(self.name, "no answer to connecting", NEAR) from error
        except expected_errors() as error:
            raise self._explain(error) from error
        finally:
            _connecting.release()

    async def _start(self, client: BleakClient, lost: asyncio.Event) -> None:
        """Start the samples, and wait for the first EEG."""
        offered = [each.uuid for each in client.services.characteristics.values()]
        model = find_model(self.name, offered)
        first = asyncio.Event()
        try:
            if CONTROL in offered:
                await client.start_notify(CONTROL, self._on_reply)
                await self._command(client, "v1" if model is None else model.prepare[0])
            if self._replies.in_bootloader:
                await self._command(client, RESTART)
                raise DeviceNotFound(
                    f"{self.name} ready to measure",
                    "that it waited in its bootloader and restarts now",
                    "connect again in 10 s",
                )
            if model is None:
                raise DeviceNotFound(
                    f"EEG from {self.name}", f"a {self._firmware} that offers none", UPDATE
                )
            self.model = model
            await self._subscribe(client, model, first)
            for _ in range(2):
                for text in model.start:
                    await self._command(client, text)
                if await _wait(first, self._times.first / 2) or lost.is_set():
                    break
        except expected_errors() as error:
            raise self._explain(error) from error
        if not first.is_set():
            found = "a disconnection" if lost.is_set() else f"none within {self._times.first:g} s"
            raise DeviceNotFound(f"EEG from {self.name}", f"{found} ({self._firmware})", UPDATE)

    async def _subscribe(self, client: BleakClient, model: MuseModel, first: asyncio.Event) -> None:
        """Prepare the headset, and ask for its notifications; ``first`` is set with EEG."""
        for text in model.prepare[1:]:
            await self._command(client, text)
        for each in model.characteristics:
            await client.start_notify(each, self._listener(each, first))

    async def _command(self, client: BleakClient, text: str) -> None:
        """Send a command, and wait for its answer; without one the next is sent anyway."""
        self._answered.clear()
        await client.write_gatt_char(CONTROL, encode_command(text), response=False)
        await _wait(self._answered, REPLY_SECONDS)

    def _on_reply(self, _: Any, data: bytearray) -> None:
        if self._replies.feed(bytes(data)):
            self._answered.set()

    def _listener(
        self, characteristic: str, first: asyncio.Event
    ) -> Callable[[Any, bytearray], None]:
        def on_data(_: Any, data: bytearray) -> None:
            with self._changed:
                self._receiver.feed(characteristic, bytes(data), local_clock())
                self._pass_on()
                if self._open:
                    return
                self._open = bool(self._chunks)
                self._changed.notify_all()
            if self._open:
                first.set()

        return on_data

    def _pass_on(self) -> None:
        """Hand the EEG that is decided to the reader; the lock is held."""
        chunks = self._receiver.take_eeg()
        if chunks:
            self._chunks.extend(chunks)
            self._changed.notify_all()

    async def _stay(self, client: BleakClient, lost: asyncio.Event) -> None:
        """Keep the headset awake until it disconnects."""
        assert self.model is not None
        spoken = local_clock()
        while not await _wait(lost, TICK_SECONDS):
            now = local_clock()
            if self.model.keep_alive and now - spoken > self._times.keep_alive:
                spoken = now
                try:
                    await client.write_gatt_char(
                        CONTROL, encode_command(KEEP_ALIVE), response=False
                    )
                except expected_errors():
                    # It matters only if the headset goes; then it disconnects or falls silent.
                    continue
        with self._changed:
            self._receiver.flush()
            self._pass_on()
        raise StreamLost(
            f"{self.name} connected", "a disconnection", "charge it, and bring it near"
        )

    @property
    def _firmware(self) -> str:
        return f"firmware {self._replies.firmware or 'of unknown version'}"

    def _explain(self, error: Exception) -> DeviceNotFound:
        text = str(error)
        if any(part in text for part in BUSY):
            return DeviceNotFound(self.name, TAKEN, RELEASE)
        explained = explain_error(error, self.name)
        if type(error).__name__ in explained.found:  # not one of the system's
            return DeviceNotFound(self.name, f"no connection ({text or explained.found})", NEAR)
        return explained


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; False if it does not come within ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def _release(client: BleakClient) -> None:
    """Stop the samples and disconnect; a headset that does not answer is left alone."""
    with suppress(TimeoutError, *expected_errors()):
        if client.is_connected:
            async with asyncio.timeout(HALT_SECONDS):
                await client.write_gatt_char(CONTROL, encode_command(HALT), response=False)
    with suppress(TimeoutError, *expected_errors()):
        async with asyncio.timeout(DISCONNECT_SECONDS):
            await client.disconnect()  # after a disconnection, too: it leaves the D-Bus


async def _close_bus() -> None:
    """Leave the D-Bus. bleak would stay on it, unread, until another loop uses Bluetooth."""
    if not sys.platform.startswith("linux"):
        return
    from bleak.backends.bluezdbus import manager

    instance = manager._global_instances.pop(asyncio.get_running_loop(), None)
    if instance is not None and instance._bus is not None:
        instance._bus.disconnect()
