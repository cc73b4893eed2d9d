"""Apps that send a Muse's samples by OSC, and what to set in them."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from mimamba.drivers.osc.layouts import LAYOUTS, PORT

ELSEWHERE = ("192.0.2.1", 9)
"""An address outside of any local network (RFC 5737, TEST-NET-1); nothing is sent to it."""
USED_BY = {
    "mindmonitor": "Mind Monitor, or Petal Metrics",
    "petal": "Petal, older version",
}
"""Apps by their layout; the present Petal Metrics sends what Mind Monitor sends."""


@dataclass(frozen=True)
class PhoneApp:
    """An app, usually on a phone, as a source.

    Parameters
    ----------
    name
        Name of its layout.
    title
        Name to show to people.
    url
        URL of the source, which listens at every address of this machine.
    address
        This machine's address in its network, for the app to send to; None if it has none.
    port
        UDP port for the app to send to.
    setup
        What to set in the app, in one sentence.
    """

    name: str
    title: str
    url: str
    address: str | None
    port: int
    setup: str


def list_phone_apps() -> tuple[PhoneApp, ...]:
    """List the apps that ``osc://`` understands."""
    address = find_own_address()
    target = f"the address {address}" if address else "the address of the service's computer"
    return tuple(
        PhoneApp(
            layout.name,
            USED_BY[layout.name],
            f"osc://:{PORT}?from={layout.name}",
            address,
            PORT,
            f"In the app's OSC settings, enter {target} and the port {PORT}, and start its stream "
            "with every raw sample.",
        )
        for layout in LAYOUTS.values()
    )


def find_own_address() -> str | None:
    """Return the address from which this machine reaches others; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)  # chooses the way, and sends nothing
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") or address == "0.0.0.0" else address
