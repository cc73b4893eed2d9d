"""What ``mimamba doctor`` looks at: the ways to headsets."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from uuid import uuid4

from mimamba.drivers.discovery.bluetooth import listening
from mimamba.drivers.discovery.discover import blocked, find_bluetooth
from mimamba.drivers.discovery.headsets import headsets
from mimamba.drivers.errors import LibraryMissing
from mimamba.drivers.lsl.discovery import find, liblsl
from mimamba.service.doctor.finding import LINUX, Finding, fail, not_asked, note, ok

LSL_SECONDS = 2.0
BLUETOOTH_SECONDS = 3.0
FTDI_BEST = 1
"""ms that an FTDI chip holds a byte back; 16 unless set, which is 4 samples of a Cyton."""


def check_brainflow() -> Finding:
    """The library that reaches Muse and OpenBCI headsets."""
    from mimamba.drivers.brainflow.boards import known_boards

    try:
        boards = known_boards()
    except LibraryMissing as error:
        return fail("BrainFlow", error.found, error.remedy)
    return ok("BrainFlow", f"{len(boards)} boards known")


def check_lsl() -> Finding:
    """Whether a stream that is sent out here is found here: the library, and the network."""
    try:
        lsl = liblsl()
    except LibraryMissing as error:
        return fail("LSL", error.found, error.remedy)
    name = f"mimamba doctor {uuid4()}"
    info = lsl.StreamInfo(name, "Doctor", 1, lsl.IRREGULAR_RATE, "float32", name)
    outlet = lsl.StreamOutlet(info)
    found = find(f"name='{name}'", LSL_SECONDS, 0)
    del outlet
    release = f"liblsl {lsl.library_version() / 100:.2f}"
    if not found:
        return fail(
            "LSL",
            f"{release}; a stream of this machine is not found on it within {LSL_SECONDS:g} s",
            "let multicast and UDP 16571 to 16604 through the firewall, or name the machines as "
            "KnownPeers in lsl_api.cfg",
        )
    return ok("LSL", f"{release}; a stream of this machine is found on it")


def check_bluetooth(classes: Path = Path("/sys/class")) -> Finding:
    """The adapter that Muse headsets need, and whether it can be listened with."""
    if not LINUX:
        return not_asked("Bluetooth")
    found = find_bluetooth(classes)
    if not found.present:
        return note("Bluetooth", "no adapter", "for a Muse plug one in; for a Ganglion, its dongle")
    if blocked(found):
        adapters, _, remedy = found.detail.partition("; ")
        return fail("Bluetooth", adapters, remedy)
    with listening(BLUETOOTH_SECONDS) as listened:
        heard = listened()
    if heard.trouble is not None:
        return fail("Bluetooth", f"{found.detail}; {heard.trouble.found}", heard.trouble.remedy)
    names = sorted({headset.name for headset in headsets(heard.sightings)})
    return ok("Bluetooth", f"{found.detail}; near: {', '.join(names) or 'no headset'}")


def check_serial(devices: Path = Path("/dev")) -> Finding:
    """Whether serial ports, which OpenBCI's dongles are, may be opened."""
    if not LINUX:
        return not_asked("serial ports")
    ports = sorted([*devices.glob("ttyUSB*"), *devices.glob("ttyACM*")])
    if not ports:
        return note("serial ports", "none", "for OpenBCI's boards plug the dongle in")
    closed = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    if closed:
        return fail(
            "serial ports",
            f"{_names(closed)} may not be opened by {getpass.getuser()}",
            f"sudo usermod -aG {_group(closed[0])} {getpass.getuser()}, then log in again",
        )
    return ok("serial ports", _names(ports))


def check_ftdi(devices: Path = Path("/sys/bus/usb-serial/devices")) -> Finding:
    """How long FTDI chips, as a Cyton's dongle has one, hold samples back."""
    if not LINUX:
        return not_asked("FTDI latency")
    times = {each.parent.name: int(each.read_text()) for each in devices.glob("*/latency_timer")}
    if not times:
        return ok("FTDI latency", "no such chip")
    found = ", ".join(f"{name}: {time} ms" for name, time in sorted(times.items()))
    slow = [name for name, time in sorted(times.items()) if time > FTDI_BEST]
    if slow:
        remedy = f"echo {FTDI_BEST} | sudo tee {devices / slow[0] / 'latency_timer'}"
        return note("FTDI latency", found, remedy)
    return ok("FTDI latency", found)


def _names(ports: list[Path]) -> str:
    return ", ".join(map(str, ports))


def _group(port: Path) -> str:
    """The group whose members may open a port; dialout where the system has no name for it."""
    try:
        return port.group()
    except KeyError:
        return "dialout"
