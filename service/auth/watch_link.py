"""Links with which another device of the network opens the page, as text and as QR codes."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import segno

QUIET_ZONE = 4
"""Light modules around a QR code (ISO/IEC 18004)."""
ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses of nobody (RFC 5737, RFC 3849), by family."""
UNREACHABLE = (
    "This service listens on its own machine only: start it with mimamba serve --host 0.0.0.0 and "
    "--ssl-certfile, or with --insecure-http in a private network. Behind a proxy, name the "
    "address that other devices use with --public-url."
)
NO_NETWORK = (
    "Expected an address of this machine in a network, but found none. Connect it to the network "
    "of the other device."
)


@dataclass(frozen=True)
class QRCode:
    """A QR code as an SVG path.

    Parameters
    ----------
    size
        Modules of a side, with the quiet zone.
    path
        Dark modules, one unit wide each, for the attribute ``d``.
    """

    size: int
    path: str


def draw_qr(text: str) -> QRCode:
    """Return the QR code of a text."""
    matrix = segno.make(text, micro=False).matrix
    path = []
    for row, modules in enumerate(matrix, QUIET_ZONE):
        column = QUIET_ZONE
        for dark, run in groupby(modules):
            width = len(list(run))
            if dark:
                path.append(f"M{column} {row}h{width}v1h-{width}z")
            column += width
    return QRCode(len(matrix) + 2 * QUIET_ZONE, "".join(path))


def watch_url(base: str, code: str) -> str:
    """Return a link; browsers do not send what stands behind the #, so no server logs it."""
    return f"{base}/#watch={code}"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address, such as 0.0.0.0, leads to this machine only."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return address.is_loopback or address.is_unspecified


def own_host(listening: str) -> str:
    """Return the host under which this machine reaches a service that listens at an address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listening, listening)


def network_host(listening: str, names: Sequence[str]) -> str | None:
    """Return the host under which other devices reach a service; None if there is no network.

    Parameters
    ----------
    listening
        Address on which the service listens, other than loopback.
    names
        Names of the service, the first of which is used.
    """
    if names:
        return names[0]
    if not ipaddress.ip_address(listening).is_unspecified:
        return listening
    families = [socket.AF_INET, socket.AF_INET6][: 2 if ":" in listening else 1]
    found = (_own_address(family) for family in families)
    return next((each for each in found if each is not None), None)


def _own_address(family: socket.AddressFamily) -> str | None:
    """Return this machine's address in the network of its default route. Nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((ELSEWHERE[family], 9))
            address: str = probe.getsockname()[0]
    except OSError:
        return None
    return None if is_loopback(address) else address


def base_url(scheme: str, host: str, port: int, root_path: str) -> str:
    """Return the address of a service without a slash at its end."""
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}{root_path}"
