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

from mimamba.drivers.bluetooth_errors import (
    NO_ANSWER,
    SWITCH_OFF_AND_ON,
    expected_errors,
    explain_error,
)
from mimamba.drivers.discovery.nearby_headsets import Advertisement, match_kinds
from mimamba.drivers.errors import DeviceNotFound

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

EXPECTED = "Bluetooth headsets"
UNKNOWN_RSSI = -127
"""bleak's value for a signal strength that BlueZ does not report, dBm."""


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
        why = explain_error(error, EXPECTED)
        print_json({"expected": why.expected, "found": why.found, "remedy": why.remedy})


if __name__ == "__main__":
    main(*sys.argv[1:])
