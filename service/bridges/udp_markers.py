"""UDP markers: stimulus programs send one datagram per marker.

The datagram's text is the label, for every open session; ``SESSION<tab>LABEL`` is for one session.
A line break at its end is ignored. The timestamp is the time of arrival.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping

from mimamba.drivers.errors import UserError
from mimamba.service.sessions.markers import BadLabel, set_marker
from mimamba.service.sessions.session import Session, SessionOver

HOST = "127.0.0.1"
"""Datagrams have no token, so only programs on this machine can send them."""

_log = logging.getLogger(__name__)


class CannotListen(UserError):
    """The port for markers cannot be used."""


def bind_datagrams(port: int) -> socket.socket:
    """Return a socket for datagrams of this machine; raises CannotListen."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    try:
        made.bind((HOST, port))
    except OSError as error:
        made.close()
        raise CannotListen(
            f"Cannot receive markers at UDP port {port} of {HOST}: {error.strerror}. "
            "Stop the program that uses the port, or choose another with --udp-markers."
        ) from None
    return made


class UDPMarkers(asyncio.DatagramProtocol):
    """Sets a marker for each datagram.

    Parameters
    ----------
    sessions
        Returns the sessions by id.

    Attributes
    ----------
    refused
        Number of datagrams without a valid marker or open session; the first one is logged.
    """

    def __init__(self, sessions: Callable[[], Mapping[str, Session]]) -> None:
        self._sessions = sessions
        self.refused = 0

    async def listen(self, port: int) -> asyncio.DatagramTransport:
        """Start to listen, until the transport is closed. Raises CannotListen."""
        loop = asyncio.get_running_loop()
        made = bind_datagrams(port)
        transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=made)
        return transport

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        try:
            self._mark(data.decode())
        except (UnicodeDecodeError, BadLabel, SessionOver) as error:
            self.refused += 1
            if self.refused == 1:
                _log.warning(
                    "a datagram from port %d is not a marker (later ones are only counted): %s",
                    addr[1],
                    error,
                )

    def _mark(self, text: str) -> None:
        """Set the marker of a datagram."""
        name, tab, label = text.removesuffix("\n").removesuffix("\r").rpartition("\t")
        if tab:
            chosen = [self._sessions()[name]] if name in self._sessions() else []
        else:
            chosen = [each for each in self._sessions().values() if each.state == "open"]
        if not chosen:
            raise SessionOver(f"No session {name!r} is open." if name else "No session is open.")
        for session in chosen:
            set_marker(session, label, None, "udp")
