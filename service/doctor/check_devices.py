"""Checks of the connections to headsets: BrainFlow, LSL, Bluetooth, serial ports."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from uuid import uuid4

from mimamba.drivers.discovery.bluetooth_scan import scan_bluetooth
from mimamba.drivers.discovery.discover import (
    NO_WSL_DEVICES,
    WSL_REMEDY,
    find_adapters,
    is_blocked,
    is_wsl,
)
from mimamba.drivers.discovery.nearby_headsets import find_headsets
from mimamba.drivers.errors import LibraryMissing
from mimamba.drivers.lsl.discovery import load_pylsl, resolve_streams
from mimamba.service.doctor.finding import LINUX, Finding, fail, linux_only, note, ok

LSL_SECONDS = 2.0
BLUETOOTH_SECONDS = 3.0
FTDI_MS = 1
"""Best latency timer of an FTDI chip, ms. The default of 16 ms is 4 samples of a Cyton."""


def check_brainflow() -> Finding:
    """Check the library that connects Muse and OpenBCI headsets."""
    from mimamba.drivers.brainflow.boards import known_boards

    try:
        boards = known_boards()
    except LibraryMissing as error:
        return fail("BrainFlow", error.found, error.remedy)
    return ok("BrainFlow", f"supports {len(boards)} boards")


def check_lsl(seconds: float = LSL_SECONDS) -> Finding:
    """Send a stream and find it again within ``seconds``: checks liblsl and the network."""
    try:
        lsl = load_pylsl()
    except LibraryMissing as error:
        return fail("LSL", error.found, error.remedy)
    name = f"mimamba doctor {uuid4()}"
    info = lsl.StreamInfo(name, "Doctor", 1, lsl.IRREGULAR_RATE, "float32", name)
    outlet = lsl.StreamOutlet(info)
    found = resolve_streams(f"name='{name}'", seconds, 0)
    del outlet
    release = f"liblsl {lsl.library_version() / 100:.2f}"
    if not found:
        return fail(
            "LSL",
            f"{release}; this machine does not find its own test stream within {seconds:g} s",
            "allow multicast and UDP ports 16571 to 16604 in the firewall, or list the machines as "
            "KnownPeers in lsl_api.cfg",
        )
    return ok("LSL", f"{release}; this machine finds its own test stream")


def check_bluetooth(
    classes: Path = Path("/sys/class"),
    kernel: Path = Path("/proc/version"),
    seconds: float = BLUETOOTH_SECONDS,
) -> Finding:
    """Scan for ``seconds`` with the Bluetooth adapter that Muse headsets need."""
    if not LINUX:
        return linux_only("Bluetooth")
    found = find_adapters(classes, kernel)
    if not found.present and is_wsl(kernel):
        return note("Bluetooth", NO_WSL_DEVICES, WSL_REMEDY)
    if not found.present:
        return note(
            "Bluetooth", "no adapter", "for a Muse, plug in an adapter; for a Ganglion, its dongle"
        )
    if is_blocked(found):
        adapters, _, remedy = found.detail.partition("; ")
        return fail("Bluetooth", adapters, remedy)
    with scan_bluetooth(seconds) as scan_result:
        heard = scan_result()
    if heard.error is not None:
        return fail("Bluetooth", f"{found.detail}; {heard.error.found}", heard.error.remedy)
    names = sorted({headset.name for headset in find_headsets(heard.advertisements)})
    return ok("Bluetooth", f"{found.detail}; headsets nearby: {', '.join(names) or 'none'}")


def check_serial(devices: Path = Path("/dev"), kernel: Path = Path("/proc/version")) -> Finding:
    """Check the access to serial ports, which OpenBCI's dongles use."""
    if not LINUX:
        return linux_only("serial ports")
    ports = sorted([*devices.glob("ttyUSB*"), *devices.glob("ttyACM*")])
    if not ports and is_wsl(kernel):
        return note("serial ports", NO_WSL_DEVICES, WSL_REMEDY)
    if not ports:
        return note("serial ports", "none", "for an OpenBCI board, plug in its dongle")
    closed = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    if closed:
        return fail(
            "serial ports",
            f"{getpass.getuser()} may not open {_names(closed)}",
            f"sudo usermod -aG {_group(closed[0])} {getpass.getuser()}, then log in again",
        )
    return ok("serial ports", _names(ports))


def check_ftdi(devices: Path = Path("/sys/bus/usb-serial/devices")) -> Finding:
    """Check the latency timer of FTDI chips; the dongle of a Cyton has such a chip."""
    if not LINUX:
        return linux_only("FTDI latency")
    times = {each.parent.name: int(each.read_text()) for each in devices.glob("*/latency_timer")}
    if not times:
        return ok("FTDI latency", "no FTDI chip")
    found = ", ".join(f"{name}: {time} ms" for name, time in sorted(times.items()))
    slow = [name for name, time in sorted(times.items()) if time > FTDI_MS]
    if slow:
        remedy = f"echo {FTDI_MS} | sudo tee {devices / slow[0] / 'latency_timer'}"
        return note("FTDI latency", found, remedy)
    return ok("FTDI latency", found)


def _names(ports: list[Path]) -> str:
    return ", ".join(map(str, ports))


def _group(port: Path) -> str:
    """Name of the group whose members may open a port; dialout if it has no name."""
    try:
        return port.group()
    except KeyError:
        return "dialout"
