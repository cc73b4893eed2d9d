"""Headsets nearby: Bluetooth advertisements, and dongles that are plugged in.

Other Bluetooth devices are private; they are never listed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from mimamba.drivers.errors import LibraryMissing
from mimamba.drivers.muse.protocol import MUSE_NAME, MUSE_SERVICE


@dataclass(frozen=True)
class Headset:
    """A headset nearby, as one board. If it may be one of several boards, it is listed as each.

    Parameters
    ----------
    name
        The device's own name, e.g. ``Muse-3F2A``; its address or port if it has none.
    title
        Name of such boards, e.g. ``Muse 2``.
    way
        ``bluetooth``, or ``serial`` for a dongle. The board of a dongle may be off, or far away.
    rssi
        Signal strength, dBm; None if unknown.
    url
        Source for `mimamba serve --source`.
    note
        Remark about what is uncertain; None if nothing is.
    """

    name: str
    title: str
    way: str
    rssi: int | None
    url: str
    note: str | None


@dataclass(frozen=True)
class Advertisement:
    """A Bluetooth advertisement: address, name if there is one, services, strength in dBm."""

    address: str
    name: str | None
    services: tuple[str, ...]
    rssi: int | None


@dataclass(frozen=True)
class HeadsetKind:
    """A kind of headset: BrainFlow's name of the board, its title, and what is uncertain.

    ``board`` is None for this project's own driver of Muse headsets.
    """

    board: str | None
    title: str
    note: str | None = None


class Port(Protocol):
    """A serial port of pyserial; vendor and product ID are None if it is not a USB port."""

    device: str
    vid: int | None
    pid: int | None


_MUSE = HeadsetKind(
    None, "Muse", "not yet tried with every model; if it fails, choose the entry with brainflow://"
)
# One class of BrainFlow reads the EEG of all three (muse.cpp). They differ in the preset, as a Muse
# 2016 has no pulse sensor.
_MUSE_2 = HeadsetKind(
    "muse_2",
    "Muse 2",
    "may be an early Muse S, or a Muse 2016: for that one write muse_2016 in the URL",
)
# Both are named MuseS-.. (muse_athena.cpp); they differ only once connected.
_MUSE_S = HeadsetKind("muse_s", "Muse S", "may be a Muse S Athena: both have such names")
_ATHENA = HeadsetKind(
    "muse_s_athena", "Muse S Athena", "may be an older Muse S: both have such names"
)

NAME_PREFIXES = {
    "Ganglion": HeadsetKind("ganglion_native", "OpenBCI Ganglion"),
    "Simblee": HeadsetKind(
        "ganglion_native", "OpenBCI Ganglion", "has the name of the radio module in a Ganglion"
    ),
    "AAVAAv3": HeadsetKind("aavaa_v3", "AAVAA V3"),
    "BrainAlive": HeadsetKind("brainalive", "BrainAlive"),
}
"""Prefixes by which BrainFlow finds other headsets (ganglion_native.cpp, aavaa_v3.cpp,
brainalive.cpp)."""

_SHARED_CHIP = "is recognised by its USB chip, which other devices have, too"
DONGLES = {
    # FT231X (FTDI, DS_FT231X): the chip of OpenBCI's dongle, with or without a Daisy.
    (0x0403, 0x6015): (
        HeadsetKind("cyton", "OpenBCI Cyton", _SHARED_CHIP),
        HeadsetKind("cyton_daisy", "OpenBCI Cyton Daisy", _SHARED_CHIP),
    ),
    # BLED112 (Bluegiga; IDs as in pygatt's bgapi.py): the dongle that OpenBCI sells for a Ganglion.
    (0x2458, 0x0001): (HeadsetKind("ganglion", "OpenBCI Ganglion", _SHARED_CHIP),),
}


def match_kinds(name: str | None, services: Sequence[str]) -> tuple[HeadsetKind, ...]:
    """Return the kinds of headset that advertise this name and these services; empty if none."""
    label = name or ""
    if MUSE_NAME.fullmatch(label) or MUSE_SERVICE in services:
        if label.startswith("Muse-"):
            return (_MUSE, _MUSE_2)
        named_s = label.startswith("MuseS")
        return (_MUSE, _MUSE_S, _ATHENA) if named_s else (_MUSE, _MUSE_2, _MUSE_S, _ATHENA)
    return tuple(kind for prefix, kind in NAME_PREFIXES.items() if label.startswith(prefix))


def find_headsets(
    advertisements: Iterable[Advertisement], platform: str = sys.platform
) -> tuple[Headset, ...]:
    """Find the headsets among advertisements, the strongest first."""
    found = [
        Headset(
            seen.name or seen.address,
            kind.title,
            "bluetooth",
            seen.rssi,
            _headset_url(kind, seen, platform),
            kind.note,
        )
        for seen in advertisements
        for kind in match_kinds(seen.name, seen.services)
    ]
    return tuple(sorted(found, key=lambda headset: -(headset.rssi or -128)))


def find_dongles(ports: Iterable[Port] | None = None) -> tuple[Headset, ...]:
    """Find the dongles among serial ports, by default those of this machine.

    Raises
    ------
    LibraryMissing
        If pyserial is not installed.
    """
    found = list_ports() if ports is None else ports
    return tuple(
        Headset(
            port.device, kind.title, "serial", None, _url(kind, serial_port=port.device), kind.note
        )
        for port in sorted(found, key=lambda port: port.device)
        if port.vid is not None and port.pid is not None
        for kind in DONGLES.get((port.vid, port.pid), ())
    )


def list_ports() -> Iterable[Port]:
    """List the serial ports of this machine; raises LibraryMissing."""
    try:
        from serial.tools.list_ports import comports
    except ImportError as error:
        raise LibraryMissing("pyserial", str(error), "install it: pip install pyserial") from error
    found: Iterable[Port] = comports()
    return found


def _address(seen: Advertisement, platform: str) -> dict[str, str]:
    """Return the URL parameter by which BrainFlow finds the device.

    On Linux it is the address, which both programs have from BlueZ. macOS gives no address, and on
    Windows the programs differ in upper and lower case; there it is the name.
    """
    if platform.startswith("linux") or not seen.name:
        return {"mac_address": seen.address}
    return {"serial_number": seen.name}


def _headset_url(kind: HeadsetKind, seen: Advertisement, platform: str) -> str:
    if kind.board is None:  # the scan and the driver have their addresses from the same library
        return f"muse://?{urlencode({'address': seen.address}, safe=':')}"
    return _url(kind, **_address(seen, platform))


def _url(kind: HeadsetKind, **parameters: str) -> str:
    return f"brainflow://{kind.board}?{urlencode(parameters, safe=':/')}"
