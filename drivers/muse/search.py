"""Search for a Muse by Bluetooth: the first one near, or one by its name or address."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mimamba.drivers.bluetooth_errors import NO_ANSWER, SWITCH_OFF_AND_ON
from mimamba.drivers.errors import DeviceNotFound
from mimamba.drivers.muse.protocol import CONTROL, MUSE_NAME, MUSE_SERVICE

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

NEAR = "switch it on, bring it near, and disconnect it from phones and other programs"
TAKEN = "another program that uses it"
RELEASE = "close that program, or disconnect the headset there"
ANSWER_SECONDS = 5.0
"""Time for the system's Bluetooth to answer, s."""


@dataclass(frozen=True)
class WantedHeadset:
    """The headset that is looked for; the first Muse near if nothing is given."""

    name: str | None = None
    address: str | None = None

    @property
    def title(self) -> str:
        """Name for messages."""
        if self.address is not None:
            return f"the Muse at {self.address}"
        return "a Muse" if self.name is None else f"the headset {self.name}"

    @property
    def any(self) -> bool:
        """True if any Muse will do."""
        return self.name is None and self.address is None

    def matches(self, address: str, name: str | None, services: list[str]) -> bool:
        """Return True if this is the headset."""
        if self.address is not None:
            return address.lower() == self.address.lower()
        if self.name is not None:
            return (name or "").lower() == self.name.lower()
        return bool(MUSE_NAME.fullmatch(name or "")) or MUSE_SERVICE in services


async def find_headset(
    wanted: WantedHeadset, seconds: float, answer: float = ANSWER_SECONDS
) -> BLEDevice:
    """Find the headset within ``seconds``; the system's Bluetooth must answer within ``answer`` s.

    Raises
    ------
    DeviceNotFound
        If it is not heard, another program uses it, or Bluetooth does not answer.
    BleakError, OSError
        If Bluetooth cannot be used; see ``explain_error``.
    """
    device, taken = None, False
    if sys.platform.startswith("linux"):
        async with _answer_in_time(wanted, answer):
            device, taken = await find_connected(wanted)
    if device is None and (wanted.any or not taken):
        device = await _scan(wanted, seconds, answer)
    if device is None:
        found = TAKEN if taken else f"none within {seconds:g} s"
        raise DeviceNotFound(wanted.title, found, RELEASE if taken else NEAR)
    return device


async def _scan(wanted: WantedHeadset, seconds: float, answer: float) -> BLEDevice | None:
    from bleak import BleakScanner

    heard: asyncio.Queue[BLEDevice] = asyncio.Queue()

    def on_advertisement(device: BLEDevice, advertised: AdvertisementData) -> None:
        # The name that the device sends; a person may have given it another one.
        name = advertised.local_name or device.name
        if wanted.matches(device.address, name, advertised.service_uuids):
            heard.put_nowait(device)

    scanner = BleakScanner(on_advertisement)
    async with _answer_in_time(wanted, answer):
        await scanner.start()
    try:
        async with asyncio.timeout(seconds):
            return await heard.get()
    except TimeoutError:
        return None
    finally:
        await scanner.stop()


@asynccontextmanager
async def _answer_in_time(wanted: WantedHeadset, seconds: float) -> AsyncIterator[None]:
    """Raise DeviceNotFound if the system's Bluetooth does not answer within the context."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise DeviceNotFound(wanted.title, NO_ANSWER, SWITCH_OFF_AND_ON) from error


async def find_connected(wanted: WantedHeadset) -> tuple[BLEDevice | None, bool]:
    """Find the headset among those that BlueZ holds connected; they are silent in a scan.

    BlueZ keeps the connection of a program that ended without disconnecting. If a program still
    receives from the headset, the second value is True and there is no device.

    Raises
    ------
    OSError
        If there is no D-Bus.
    """
    from bleak.backends.device import BLEDevice

    objects = await _bluez_objects()
    taken = False
    for path, interfaces in objects.items():
        device = interfaces.get("org.bluez.Device1")
        if not device or not device.get("Connected"):
            continue
        address, name = device["Address"], device.get("Name")
        if not wanted.matches(address, name, device.get("UUIDs", [])):
            continue
        if any(
            each.get("UUID") == CONTROL and each.get("Notifying")
            for at, all_of in objects.items()
            if at.startswith(f"{path}/")
            for each in [all_of.get("org.bluez.GattCharacteristic1", {})]
        ):
            taken = True
        else:
            return BLEDevice(address, name, {"path": path, "props": device}), False
    return None, taken


async def _bluez_objects() -> dict[str, dict[str, dict[str, Any]]]:
    """Return BlueZ's objects: interfaces by path, properties by interface.

    If BlueZ refuses there are none; the scan that follows tells why.
    """
    from dbus_fast import BusType, Message, MessageType
    from dbus_fast.aio import MessageBus
    from dbus_fast.unpack import unpack_variants

    bus = MessageBus(bus_type=BusType.SYSTEM)
    try:
        await bus.connect()
        reply = await bus.call(
            Message(
                destination="org.bluez",
                path="/",
                interface="org.freedesktop.DBus.ObjectManager",
                member="GetManagedObjects",
            )
        )
    finally:
        bus.disconnect()
    if reply is None or reply.message_type is MessageType.ERROR:
        return {}
    objects: dict[str, dict[str, dict[str, Any]]] = unpack_variants(reply.body[0])
    return objects
