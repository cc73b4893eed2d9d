"""Headsets that are near: what tells of itself by Bluetooth, and the dongles that are plugged in.

Nothing else is ever listed: what other Bluetooth devices a person has is nobody's business.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from mimamba.drivers.errors import LibraryMissing


@dataclass(frozen=True)
class Headset:
    """A headset that is there, as one board; a name that leaves several open is listed as each.

    Parameters
    ----------
    name
        What it calls itself, e.g. ``Muse-3F2A``; its address or port where it has no name.
    title
        What a person calls such a board.
    way
        ``bluetooth``, or ``serial`` for a dongle: its board may be off, or far away.
    rssi
        Strength of its signal here, dBm; None where that is not known.
    url
        The source, as ``mimamba serve --source`` takes it.
    note
        What is not certain of it; None where nothing is left open.
    """

    name: str
    title: str
    way: str
    rssi: int | None
    url: str
    note: str | None


@dataclass(frozen=True)
class Advertisement:
    """One that was heard by Bluetooth: address, name if it told one, strength in dBm."""

    address: str
    name: str | None
    services: tuple[str, ...]
    rssi: int | None


@dataclass(frozen=True)
class HeadsetKind:
    """A board by BrainFlow's name, as a person calls it, and what is not certain of it."""

    board: str
    title: str
    note: str | None = None


class Port(Protocol):
    """What pyserial tells of a serial port; vendor and product are None where it is no USB's."""

    device: str
    vid: int | None
    pid: int | None


MUSE_SERVICE = "0000fe8d-0000-1000-8000-00805f9b34fb"
"""The service that every Muse advertises: 0xFE8D is InteraXon's (Bluetooth SIG, Assigned Numbers,
member UUIDs)."""
MUSE_NAME = re.compile(r"MuseS?-[0-9A-F]{4}", re.IGNORECASE)
"""What is printed inside of the band, too. A name alone that only begins so is not taken."""

# One class of BrainFlow reads the EEG of all three (muse.cpp). What sets them apart is the pulse,
# which a Muse 2016 does not have, and which is taken only where it is.
_MUSE_2 = HeadsetKind(
    "muse_2", "Muse 2", "may be a Muse 2016 or an early Muse S: all are read alike"
)
# Both call themselves MuseS-.. (muse_athena.cpp); they differ only once connected.
_MUSE_S = HeadsetKind("muse_s", "Muse S", "may be a Muse S Athena: both have such names")
_ATHENA = HeadsetKind(
    "muse_s_athena", "Muse S Athena", "may be an older Muse S: both have such names"
)

NAMES = {
    "Ganglion": HeadsetKind("ganglion_native", "OpenBCI Ganglion"),
    "Simblee": HeadsetKind(
        "ganglion_native", "OpenBCI Ganglion", "has the name of the radio module in a Ganglion"
    ),
    "AAVAAv3": HeadsetKind("aavaa_v3", "AAVAA V3"),
    "BrainAlive": HeadsetKind("brainalive", "BrainAlive"),
}
"""How the names of others begin by which BrainFlow itself finds them (ganglion_native.cpp,
aavaa_v3.cpp, brainalive.cpp)."""

_SHARED = "is known by its USB chip, which other devices have, too"
DONGLES = {
    # FT231X (FTDI, DS_FT231X): the chip of OpenBCI's dongle, which does not tell of a Daisy.
    (0x0403, 0x6015): (
        HeadsetKind("cyton", "OpenBCI Cyton", _SHARED),
        HeadsetKind("cyton_daisy", "OpenBCI Cyton Daisy", _SHARED),
    ),
    # BLED112 (Bluegiga; its identity as in pygatt's bgapi.py): what OpenBCI sells for a Ganglion.
    (0x2458, 0x0001): (HeadsetKind("ganglion", "OpenBCI Ganglion", _SHARED),),
}


def kinds(name: str | None, services: Sequence[str]) -> tuple[HeadsetKind, ...]:
    """What this may be that advertises such a name and such services; empty if no headset."""
    told = name or ""
    if MUSE_NAME.fullmatch(told) or MUSE_SERVICE in services:
        if told.startswith("Muse-"):
            return (_MUSE_2,)
        return (_MUSE_S, _ATHENA) if told.startswith("MuseS") else (_MUSE_2, _MUSE_S, _ATHENA)
    return tuple(kind for prefix, kind in NAMES.items() if told.startswith(prefix))


def headsets(
    sightings: Iterable[Advertisement], platform: str = sys.platform
) -> tuple[Headset, ...]:
    """The headsets among what was heard, the strongest first."""
    found = [
        Headset(
            seen.name or seen.address,
            kind.title,
            "bluetooth",
            seen.rssi,
            _url(kind, **_reached(seen, platform)),
            kind.note,
        )
        for seen in sightings
        for kind in kinds(seen.name, seen.services)
    ]
    return tuple(sorted(found, key=lambda headset: -(headset.rssi or -128)))


def find_dongles(ports: Iterable[Port] | None = None) -> tuple[Headset, ...]:
    """The dongles among these serial ports, of this machine where none are given.

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
    """The serial ports of this machine; raises LibraryMissing."""
    try:
        from serial.tools.list_ports import comports
    except ImportError as error:
        raise LibraryMissing("pyserial", str(error), "install it: pip install pyserial") from error
    found: Iterable[Port] = comports()
    return found


def _reached(seen: Advertisement, platform: str) -> dict[str, str]:
    """What BrainFlow, which compares letter by letter, finds it by.

    On Linux both have the address from BlueZ. macOS tells none, and Windows' is written in capitals
    by some and in small letters by others; there it is the name.
    """
    if platform.startswith("linux") or not seen.name:
        return {"mac_address": seen.address}
    return {"serial_number": seen.name}


def _url(kind: HeadsetKind, **parameters: str) -> str:
    return f"brainflow://{kind.board}?{urlencode(parameters, safe=':/')}"
