"""A Muse at the tests' BlueZ: characteristics, answers to commands, and notifications.

It does what bluetoothd does for a connected device (org.bluez.Device.rst,
org.bluez.GattCharacteristic.rst), and what a Muse does by the sources that
``drivers/muse/protocol.py`` names.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mimamba.drivers.muse.protocol import (
    ACCELEROMETER,
    ATHENA,
    CONTROL,
    EEG,
    GYROSCOPE,
    MUSE_SERVICE,
    PPG,
    TELEMETRY,
    THERMISTOR,
)
from tests.drivers.discovery.bluez import ADAPTER, Device
from tests.drivers.muse.notifications import Notification

_MOTION = (ACCELEROMETER, GYROSCOPE, TELEMETRY)
TABLES = {
    "Muse 2016": (CONTROL, *EEG, *_MOTION),
    "Muse 2": (CONTROL, *EEG, *_MOTION, *PPG),
    "Muse S": (CONTROL, *EEG, *_MOTION, *PPG, THERMISTOR),
    "Muse S Athena": (CONTROL, *ATHENA),
    "too old": (CONTROL, TELEMETRY),
}
"""The characteristics of each model."""
STARTS = ("d", "dc001")
DEVICE, CHARACTERISTIC = "org.bluez.Device1", "org.bluez.GattCharacteristic1"
Send = Callable[[Any], object]


@dataclass
class MusePeripheral(Device):
    """A Muse: what it is like, and what it saw."""

    uuids: tuple[str, ...] = (MUSE_SERVICE,)
    model: str = "Muse 2"
    script: Iterable[Notification] = ()
    """What it sends, once started."""
    speed: float = 1.0
    firmware: str = "1.2.13"
    bootloader: bool = False
    deaf: int = 0
    """How many starts it does not follow."""
    refusal: tuple[str, str] | None = None
    """The error and its text that Connect is answered with."""
    answers_connect: bool = True
    answers_disconnect: bool = True
    answers_commands: bool = True
    drop_after: int | None = None
    """After how many notifications it disconnects by itself, the first time."""
    held_by: str | None = None
    """Another program that is connected and receives; empty for one that crashed."""

    commands: list[str] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    free: threading.Event = field(default_factory=threading.Event)
    """Set while nobody is connected, once somebody was."""

    def __post_init__(self) -> None:
        self._connected = self.held_by is not None
        self._notifying: dict[str, set[str]] = {}
        if self.held_by:
            self._notifying[CONTROL] = {self.held_by}
        self._playing: asyncio.Task[None] | None = None

    @property
    def silent(self) -> bool:
        """A Muse that is connected does not advertise."""
        return self._connected

    def objects(self) -> dict[str, Any]:
        return {self.path: self._device(), **self._tree()} if self._connected else {}

    def left(self, client: str) -> None:
        for clients in self._notifying.values():
            clients.discard(client)

    def answer(self, message: Any, send: Send) -> Any:
        from dbus_fast import Message

        if message.path == self.path:
            return self._answer_device(message, send)
        uuid = TABLES[self.model][int(message.path.rpartition("char")[2], 16) - 1]
        if message.member == "StartNotify":
            self._notifying.setdefault(uuid, set()).add(message.sender)
        elif message.member == "StopNotify":
            self._notifying.get(uuid, set()).discard(message.sender)
        elif message.member == "WriteValue":
            data = bytes(message.body[0])
            assert data[0] == len(data) - 1
            assert data[-1:] == b"\n"
            self._obey(data[1:-1].decode(), send)
        else:
            return None
        return Message.new_method_return(message)

    def _answer_device(self, message: Any, send: Send) -> Any:
        from dbus_fast import Message

        if message.member == "Connect":
            if not self.answers_connect:
                return True  # handled, and never answered
            if self.refusal is not None:
                return Message.new_error(message, *self.refusal)
            self._connect(send)
        elif message.member == "Disconnect":
            if not self.answers_disconnect:
                return True
            self._disconnect(send)
        else:
            return None
        return Message.new_method_return(message)

    def _connect(self, send: Send) -> None:
        self._connected = True
        self.connections += 1
        self.free.clear()
        self._change(send, Connected=("b", True))
        for path, interfaces in self._tree().items():
            self._signal(
                send, "/", "ObjectManager", "InterfacesAdded", "oa{sa{sv}}", path, interfaces
            )
        self._change(send, ServicesResolved=("b", True))

    def _disconnect(self, send: Send) -> None:
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None
        self._notifying.clear()
        self._connected = False
        self._change(send, ServicesResolved=("b", False))
        self._change(send, Connected=("b", False))
        for path, interfaces in self._tree().items():
            names = list(interfaces)
            self._signal(send, "/", "ObjectManager", "InterfacesRemoved", "oas", path, names)
        self.free.set()

    def _obey(self, command: str, send: Send) -> None:
        self.commands.append(command)
        if command in STARTS:
            self.deaf -= 1
            if self.deaf < 0 and self._playing is None:
                self._playing = asyncio.get_running_loop().create_task(self._play(send))
        elif command == "h" and self._playing is not None:
            self._playing.cancel()
            self._playing = None
        if command == "*1":
            self._disconnect(send)
        if not self.answers_commands:
            return
        facts: dict[str, Any] = {"rc": 0}
        if command.startswith("v"):
            part = "bootloader" if self.bootloader else "headset"
            facts |= {"ap": part, "fw": self.firmware, "tp": "consumer"}
        elif command == "s":
            facts |= {"hn": self.name, "bp": 81.5, "ps": 33}
        text = json.dumps(facts)
        for start in range(0, len(text), 19):
            piece = text[start : start + 19]
            padding = b"\xff" * (19 - len(piece))
            self._notify(send, CONTROL, bytes([len(piece)]) + piece.encode() + padding)

    async def _play(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for each in self.script:
            rest = began + each.at / self.speed - loop.time()
            if rest > 0:
                await asyncio.sleep(rest)
            self._notify(send, each.characteristic, each.data)
            if self.sent == self.drop_after:
                self._playing = None
                self._disconnect(send)
                return

    def _notify(self, send: Send, uuid: str, data: bytes) -> None:
        if self._notifying.get(uuid):
            self.sent += uuid != CONTROL
            path = self._path(uuid)
            from dbus_fast import Variant

            changed = {"Value": Variant("ay", data)}
            self._properties(send, path, CHARACTERISTIC, changed)

    def _change(self, send: Send, **facts: tuple[str, Any]) -> None:
        from dbus_fast import Variant

        changed = {name: Variant(*fact) for name, fact in facts.items()}
        self._properties(send, self.path, DEVICE, changed)

    def _properties(self, send: Send, path: str, interface: str, changed: dict[str, Any]) -> None:
        self._signal(
            send, path, "Properties", "PropertiesChanged", "sa{sv}as", interface, changed, []
        )

    def _signal(
        self, send: Send, path: str, interface: str, member: str, signature: str, *body: Any
    ) -> None:
        from dbus_fast import Message

        interface = f"org.freedesktop.DBus.{interface}"
        send(Message.new_signal(path, interface, member, signature, list(body)))

    def _path(self, uuid: str) -> str:
        return f"{self.path}/service0001/char{TABLES[self.model].index(uuid) + 1:04x}"

    def _device(self) -> dict[str, Any]:
        from dbus_fast import Variant

        facts = {
            "Address": Variant("s", self.address),
            "Alias": Variant("s", self.name or ""),
            "Name": Variant("s", self.name or ""),
            "Adapter": Variant("o", ADAPTER),
            "UUIDs": Variant("as", list(self.uuids)),
            "Connected": Variant("b", self._connected),
            "ServicesResolved": Variant("b", self._connected),
        }
        return {DEVICE: facts}

    def _tree(self) -> dict[str, Any]:
        """The service and its characteristics."""
        from dbus_fast import Variant

        service = f"{self.path}/service0001"
        facts = {
            "UUID": Variant("s", MUSE_SERVICE),
            "Device": Variant("o", self.path),
            "Primary": Variant("b", True),
            "Includes": Variant("ao", []),
        }
        tree = {service: {"org.bluez.GattService1": facts}}
        for uuid in TABLES[self.model]:
            flags = ["notify"] + ["write-without-response"] * (uuid == CONTROL)
            tree[self._path(uuid)] = {
                CHARACTERISTIC: {
                    "UUID": Variant("s", uuid),
                    "Service": Variant("o", service),
                    "Value": Variant("ay", b""),
                    "Notifying": Variant("b", bool(self._notifying.get(uuid))),
                    "Flags": Variant("as", flags),
                    "MTU": Variant("q", 247),
                }
            }
        return tree
