"""The program that scans for Bluetooth headsets and prints one JSON object per line.

It runs in a process of its own. So the system stops the scan however the program ends; no other
Bluetooth traffic (headsets' samples come over the same D-Bus) reaches the service; and macOS, which
ends programs that may not use Bluetooth, ends only this one.
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

from mimamba.drivers.discovery.headsets import Advertisement, match_kinds
from mimamba.drivers.errors import DeviceNotFound

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

EXPECTED = "Bluetooth headsets"
ADAPTER = "an adapter "
"""Prefix of what was found if there is an adapter that cannot be used."""
NO_ANSWER = "no answer from the system's Bluetooth"
UNKNOWN_RSSI = -127
"""bleak's value for a signal strength that BlueZ does not report, dBm."""

SWITCH_ON = "switch Bluetooth on" + (
    " (bluetoothctl power on; where that fails: rfkill unblock bluetooth)"
    if sys.platform.startswith("linux")
    else ""
)
ALLOW = {
    "darwin": "allow Bluetooth for the terminal in the system's privacy settings",
    "win32": "allow Bluetooth for programs in the system's privacy settings",
}.get(
    sys.platform,
    "join the group bluetooth (sudo usermod -aG bluetooth $USER) and log in again; "
    "a container's user must be known to the host's D-Bus",
)
START_BLUEZ = "start BlueZ: sudo systemctl start bluetooth"
SWITCH_OFF_AND_ON = "switch Bluetooth off and on"

UNAVAILABLE = {
    "NO_BLUETOOTH": ("no adapter", "plug in an adapter, or use the board's own dongle"),
    "NO_BLE_CENTRAL_ROLE": (
        ADAPTER + "without Bluetooth Low Energy",
        "plug in another one, or use the board's own dongle",
    ),
    "POWERED_OFF": (ADAPTER + "that is off", SWITCH_ON),
    "DENIED_BY_USER": ("no permission", ALLOW),
    "DENIED_BY_SYSTEM": ("no permission", ALLOW),
    "DENIED_BY_UNKNOWN": ("no permission", ALLOW),
}
"""Found and remedy for each of bleak's reasons."""
DBUS_ERRORS = {
    "AccessDenied": ("no permission", ALLOW),
    "AuthFailed": ("no permission", ALLOW),
    "NotAuthorized": ("no permission", ALLOW),
    "NotPermitted": ("no permission", ALLOW),
    "NotReady": (ADAPTER + "that is off", SWITCH_ON),
    "ServiceUnknown": ("no BlueZ, Linux's Bluetooth service", START_BLUEZ),
    "NameHasNoOwner": ("no BlueZ, Linux's Bluetooth service", START_BLUEZ),
    "NoSuchUnit": ("no BlueZ, Linux's Bluetooth service", "install the package bluez"),
}
"""Found and remedy by the last part of an error's name, of D-Bus, systemd and BlueZ."""


async def scan(until: float) -> None:
    """Print each headset that advertises itself, until this time on ``time.monotonic``.

    Raises
    ------
    DeviceNotFound
        If scanning is impossible: no adapter, no BlueZ, no permission.
    """
    from bleak import BleakScanner

    scanner = BleakScanner(on_advertisement)
    try:
        async with asyncio.timeout(until - time.monotonic()):
            await scanner.start()
    except TimeoutError as error:
        raise DeviceNotFound(EXPECTED, NO_ANSWER, SWITCH_OFF_AND_ON) from error
    print_json({"listening": True})
    try:
        await asyncio.sleep(until - time.monotonic())
    finally:
        await scanner.stop()


def on_advertisement(device: BLEDevice, advertised: AdvertisementData) -> None:
    """Print a headset; nothing about other devices leaves this process."""
    # The name that the device sends; a person may have given it another one.
    name, services = advertised.local_name or device.name, tuple(advertised.service_uuids)
    if match_kinds(name, services):
        rssi = None if advertised.rssi == UNKNOWN_RSSI else advertised.rssi
        print_json(asdict(Advertisement(device.address, name, services, rssi)))


def explain_error(error: Exception) -> DeviceNotFound:
    """Describe why scanning failed."""
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
            "install and start dbus and bluez; in a container, mount /run/dbus",
        )
    else:
        known = None
    found, remedy = known or (f"{type(error).__name__}: {error}", SWITCH_OFF_AND_ON)
    return DeviceNotFound(EXPECTED, found, remedy)


def expected_errors() -> tuple[type[Exception], ...]:
    """Return the errors with which scanning may fail; raises ImportError."""
    from bleak.exc import BleakError

    expected = (BleakError, OSError, EOFError, DeviceNotFound)
    if not sys.platform.startswith("linux"):
        return expected
    from dbus_fast.errors import DBusFastError  # bleak uses it for BlueZ

    return (*expected, DBusFastError)


def end_with_parent() -> None:
    """End this program when its parent ends: the parent's end of the pipe closes then."""
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read: Python needs its lock to exit
    os._exit(0)


def print_json(what: dict[str, Any]) -> None:
    """Print one line and flush."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(until: str) -> None:
    """Scan, or print why scanning failed."""
    try:
        expected = expected_errors()
    except ImportError as error:
        print_json(
            {"expected": "bleak", "found": str(error), "remedy": "install it: pip install bleak"}
        )
        return
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        asyncio.run(scan(float(until)))
    except expected as error:
        why = explain_error(error)
        print_json({"expected": why.expected, "found": why.found, "remedy": why.remedy})


if __name__ == "__main__":
    main(*sys.argv[1:])
