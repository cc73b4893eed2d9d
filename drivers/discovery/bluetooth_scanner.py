"""The program that listens for Bluetooth headsets: an object of JSON a line, then it ends.

It is a process of its own. However it ends, the system stops the scan of whom it served; what else
a person's Bluetooth does (headsets' samples come over the same D-Bus) reaches nobody afterwards;
and on macOS, which ends programs that may not use Bluetooth, it ends this one alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mimamba.drivers.discovery.headsets import Advertisement, kinds
from mimamba.drivers.errors import DeviceNotFound

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

WANTED = "Bluetooth headsets"
ADAPTER = "an adapter "
"""How what was found begins where there is one, which does not serve."""
SILENT = "no answer from the system's Bluetooth"
UNKNOWN = -127
"""What bleak has for a strength that BlueZ does not tell, dBm."""

SWITCH = "switch Bluetooth on" + (
    " (bluetoothctl power on; where that fails: rfkill unblock bluetooth)"
    if sys.platform.startswith("linux")
    else ""
)
ALLOW = {
    "darwin": "allow the terminal Bluetooth in the system's settings for privacy",
    "win32": "allow programs Bluetooth in the system's settings for privacy",
}.get(
    sys.platform,
    "join the group bluetooth (sudo usermod -aG bluetooth $USER) and log in again; "
    "a container's user must be known to the host's D-Bus",
)
START = "start it: sudo systemctl start bluetooth"
AGAIN = "switch Bluetooth off and on"

UNAVAILABLE = {
    "NO_BLUETOOTH": ("no adapter", "plug one in, or use a board's own dongle"),
    "NO_BLE_CENTRAL_ROLE": (
        ADAPTER + "without Bluetooth Low Energy",
        "plug another one in, or use a board's own dongle",
    ),
    "POWERED_OFF": (ADAPTER + "that is off", SWITCH),
    "DENIED_BY_USER": ("no permission", ALLOW),
    "DENIED_BY_SYSTEM": ("no permission", ALLOW),
    "DENIED_BY_UNKNOWN": ("no permission", ALLOW),
}
"""bleak's reasons."""
DBUS_ERRORS = {
    "AccessDenied": ("no permission", ALLOW),
    "AuthFailed": ("no permission", ALLOW),
    "NotAuthorized": ("no permission", ALLOW),
    "NotPermitted": ("no permission", ALLOW),
    "NotReady": (ADAPTER + "that is off", SWITCH),
    "ServiceUnknown": ("no BlueZ, which does Linux's Bluetooth", START),
    "NameHasNoOwner": ("no BlueZ, which does Linux's Bluetooth", START),
    "NoSuchUnit": ("no BlueZ, which does Linux's Bluetooth", "install it, as the package bluez"),
}
"""The ends of the names of errors, of D-Bus, systemd and BlueZ."""


async def listen(until: float) -> None:
    """Print each headset that is heard until this time of ``time.monotonic``.

    Raises
    ------
    DeviceNotFound
        If there is no listening: no adapter, no BlueZ, no permission.
    """
    from bleak import BleakScanner

    scanner = BleakScanner(on_heard)
    try:
        async with asyncio.timeout(until - time.monotonic()):
            await scanner.start()
    except TimeoutError as error:
        raise DeviceNotFound(WANTED, SILENT, AGAIN) from error
    tell({"listening": True})
    try:
        await asyncio.sleep(until - time.monotonic())
    finally:
        await scanner.stop()


def on_heard(device: BLEDevice, advertised: AdvertisementData) -> None:
    """Print a headset; of other devices nothing leaves this process."""
    # The name that it tells itself; the other one a person may have given it.
    name, services = advertised.local_name or device.name, tuple(advertised.service_uuids)
    if kinds(name, services):
        rssi = None if advertised.rssi == UNKNOWN else advertised.rssi
        tell(asdict(Advertisement(device.address, name, services, rssi)))


def explain(error: Exception) -> DeviceNotFound:
    """Why there is no listening, and what to do."""
    from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError

    if isinstance(error, DeviceNotFound):
        return error
    if isinstance(error, BleakBluetoothNotAvailableError):
        known = UNAVAILABLE.get(error.reason.name)
    elif isinstance(error, BleakDBusError):
        known = DBUS_ERRORS.get(error.dbus_error.rpartition(".")[2])
    elif isinstance(error, OSError) and sys.platform.startswith("linux"):
        known = (
            f"no system D-Bus ({error.strerror or error})",
            "install and start dbus and bluez; into a container mount /run/dbus",
        )
    else:
        known = None
    found, remedy = known or (f"{type(error).__name__}: {error}", AGAIN)
    return DeviceNotFound(WANTED, found, remedy)


def foreseen_errors() -> tuple[type[Exception], ...]:
    """What can keep a system from listening; raises ImportError where a library is missing."""
    from bleak.exc import BleakError

    foreseen = (BleakError, OSError, EOFError, DeviceNotFound)
    if not sys.platform.startswith("linux"):
        return foreseen
    from dbus_fast.errors import DBusFastError  # bleak's, where BlueZ is spoken to

    return (*foreseen, DBusFastError)


def end_with_parent() -> None:
    """Waits for who started this program: its end of the pipe closes however it ends."""
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read, whose lock Python wants at its end
    os._exit(0)


def tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(until: str) -> None:
    """Listen, or print why that cannot be."""
    try:
        foreseen = foreseen_errors()
    except ImportError as error:
        tell({"expected": "bleak", "found": str(error), "remedy": "install it: pip install bleak"})
        return
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        asyncio.run(listen(float(until)))
    except foreseen as error:
        why = explain(error)
        tell({"expected": why.expected, "found": why.found, "remedy": why.remedy})


if __name__ == "__main__":
    main(*sys.argv[1:])
