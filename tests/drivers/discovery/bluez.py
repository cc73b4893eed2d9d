"""A system bus of its own, and on it a BlueZ with one adapter and whatever devices a test wants.

It does what bluetoothd does for who scans (org.bluez.Adapter.rst, org.bluez.Device.rst): one
session of discovery a client, which ends with the client; devices appear and change only while
there is one.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

ADAPTER = "/org/bluez/hci0"
BEAT = 0.05
"""Seconds between two advertisements."""

_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="signal"/><allow receive_type="signal"/>
    <allow receive_type="method_return"/><allow receive_type="error"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <{calls} send_destination="*"/><allow receive_type="method_call"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
  </policy>
</busconfig>
"""


@dataclass
class Device:
    """A device that advertises; ``name`` comes only with its third advertisement if ``late``."""

    address: str
    name: str | None = None
    rssi: int = -60
    uuids: tuple[str, ...] = ()
    late: bool = False

    @property
    def path(self) -> str:
        return f"{ADAPTER}/dev_{self.address.replace(':', '_')}"

    @property
    def silent(self) -> bool:
        """Whether it does not advertise now."""
        return False

    def objects(self) -> dict[str, Any]:
        """The objects that BlueZ has of it without a scan."""
        return {}

    def answer(self, message: Any, send: Callable[[Any], object]) -> Any:  # noqa: ARG002
        """Answers a call to it; None where it knows no such call."""
        return None

    def left(self, client: str) -> None:
        """A program left the bus."""


@dataclass
class Adapter:
    """What the double is like, and what it saw."""

    powered: bool = True
    roles: tuple[str, ...] = ("central", "peripheral")
    devices: list[Device] = field(default_factory=list)
    refusal: str | None = None
    """The error that StartDiscovery is answered with."""
    silent: bool = False
    """Whether it never answers."""
    scanning: set[str] = field(default_factory=set)
    starts: int = 0
    most: int = 0
    """How many clients scanned at once."""
    idle: threading.Event = field(default_factory=threading.Event)
    """Set while nobody scans, once somebody has."""
    busy: threading.Event = field(default_factory=threading.Event)


@contextmanager
def system_bus(calls: str = "allow") -> Iterator[str]:
    """A bus of its own, as DBUS_SYSTEM_BUS_ADDRESS; with ``deny`` it refuses all calls."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip("there is no dbus-daemon on this machine")
    with TemporaryDirectory(prefix="mimamba-") as folder:  # a socket's path may have 107 letters
        settings = Path(folder) / "bus.conf"
        settings.write_text(_CONFIGURATION.format(path=Path(folder) / "bus", calls=calls))
        with subprocess.Popen(
            [daemon, f"--config-file={settings}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may not raise its limits in a container, and need not
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                address = process.stdout.readline().strip()  # it listens from here on
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
                    yield address
            finally:
                process.terminate()


@contextmanager
def bluez(adapter: Adapter | None) -> Iterator[None]:
    """A BlueZ on a bus of its own; one without any adapter where None is given."""
    with system_bus() as address:
        ready, over = threading.Event(), threading.Event()
        double = _Double(adapter)
        thread = threading.Thread(target=lambda: asyncio.run(double.run(address, ready, over)))
        thread.start()
        try:
            assert ready.wait(10)
            yield
        finally:
            over.set()
            thread.join()


class _Double:
    def __init__(self, adapter: Adapter | None) -> None:
        self._adapter = adapter
        self._beats: dict[str, int] = {}

    async def run(self, address: str, ready: threading.Event, over: threading.Event) -> None:
        from dbus_fast import Message, MessageType
        from dbus_fast.aio import MessageBus

        self._bus = bus = await MessageBus(bus_address=address).connect()
        bus.add_message_handler(self._handle)
        rule = "type='signal',member='NameOwnerChanged',sender='org.freedesktop.DBus'"
        told = await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="AddMatch",
                signature="s",
                body=[rule],
            )
        )
        assert told is not None
        assert told.message_type is MessageType.METHOD_RETURN
        await bus.request_name("org.bluez")
        ready.set()
        while not over.is_set():
            await asyncio.sleep(BEAT)
            if self._adapter is not None and self._adapter.scanning:
                self._advertise(self._adapter)
        bus.disconnect()

    def _handle(self, message: Any) -> Any:
        """Answers calls; the bus tells of who leaves."""
        from dbus_fast import Message, MessageType

        adapter = self._adapter
        if message.member == "NameOwnerChanged" and adapter is not None:
            name, _, owner = message.body
            if not owner:
                self._stop(adapter, name)
                for device in adapter.devices:
                    device.left(name)
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member == "GetManagedObjects":
            if adapter is not None and adapter.silent:
                return True  # handled, and never answered
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects()])
        if adapter is None:
            return None
        for device in adapter.devices:
            if message.path == device.path or message.path.startswith(f"{device.path}/"):
                return device.answer(message, self._bus.send)
        return self._answer(adapter, message) if message.path == ADAPTER else None

    def _answer(self, adapter: Adapter, message: Any) -> Any:
        """Does what the adapter is asked to."""
        from dbus_fast import Message

        if message.member == "StartDiscovery":
            if adapter.refusal is not None:
                return Message.new_error(message, adapter.refusal, "it is so")
            self._start(adapter, message.sender)
        elif message.member == "StopDiscovery":
            self._stop(adapter, message.sender)
        elif message.member != "SetDiscoveryFilter":
            return None
        return Message.new_method_return(message)

    def _start(self, adapter: Adapter, client: str) -> None:
        adapter.scanning.add(client)
        adapter.starts += 1
        adapter.most = max(adapter.most, len(adapter.scanning))
        adapter.idle.clear()
        adapter.busy.set()

    def _stop(self, adapter: Adapter, client: str) -> None:
        if client in adapter.scanning:
            adapter.scanning.remove(client)
            if not adapter.scanning:
                self._beats.clear()
                adapter.busy.clear()
                adapter.idle.set()

    def _objects(self) -> dict[str, Any]:
        from dbus_fast import Variant

        if self._adapter is None:
            return {}
        facts = {
            "Address": Variant("s", "00:11:22:33:44:55"),
            "Powered": Variant("b", self._adapter.powered),
            "Roles": Variant("as", list(self._adapter.roles)),
        }
        objects = {ADAPTER: {"org.bluez.Adapter1": facts}}
        for device in self._adapter.devices:
            objects |= device.objects()
        return objects

    def _advertise(self, adapter: Adapter) -> None:
        """One advertisement of each device: it appears, then its strength changes."""
        from dbus_fast import Message, Variant

        for device in adapter.devices:
            if device.silent:
                continue
            beat = self._beats[device.path] = self._beats.get(device.path, -1) + 1
            named = device.name is not None and (beat >= 2 or not device.late)
            told = {"RSSI": Variant("n", device.rssi - beat % 2)}
            if named:
                told |= {"Name": Variant("s", device.name), "Alias": Variant("s", device.name)}
            if beat == 0:
                told = {
                    "Address": Variant("s", device.address),
                    "Alias": Variant("s", device.address.replace(":", "-")),
                    "Adapter": Variant("o", ADAPTER),
                    "UUIDs": Variant("as", list(device.uuids)),
                    **told,
                }
                signal = Message.new_signal(
                    "/",
                    "org.freedesktop.DBus.ObjectManager",
                    "InterfacesAdded",
                    "oa{sa{sv}}",
                    [device.path, {"org.bluez.Device1": told}],
                )
            else:
                signal = Message.new_signal(
                    device.path,
                    "org.freedesktop.DBus.Properties",
                    "PropertiesChanged",
                    "sa{sv}as",
                    ["org.bluez.Device1", told, []],
                )
            self._bus.send(signal)
