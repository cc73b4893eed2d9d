"""Markers of stimulus programs by UDP, which each of them can send: one datagram, one marker.

The datagram's text is the label, for every open session; ``SESSION<tab>LABEL`` is for one alone.
One line break at its end is left out. The time is that of reception.
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
"""Datagrams know no passwords: only programs of this machine are heard."""

_log = logging.getLogger(__name__)


class CannotListen(UserError):
    """The port for markers cannot be had; one clear line."""


def bind_datagrams(port: int) -> socket.socket:
    """A socket for datagrams of this machine; raises CannotListen."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    try:
        made.bind((HOST, port))
    except OSError as error:
        made.close()
        raise CannotListen(
            f"Expected markers at UDP port {port} of {HOST}, but found: {error.strerror}. "
            "Stop the program that uses it, or choose another with --udp-markers."
        ) from None
    return made


class UDPMarkers(asyncio.DatagramProtocol):
    """Sets a marker for each datagram.

    Parameters
    ----------
    sessions
        Gives the sessions by id.

    Attributes
    ----------
    refused
        Datagrams that were no markers, or for no open session; the first one is logged.
    """

    def __init__(self, sessions: Callable[[], Mapping[str, Session]]) -> None:
        self._sessions = sessions
        self.refused = 0

    async def listen(self, port: int) -> asyncio.DatagramTransport:
        """Begin; closing the transport ends it. Raises CannotListen."""
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
                    "a datagram from port %d is no marker, and further ones are only counted: %s",
                    addr[1],
                    error,
                )

    def _mark(self, text: str) -> None:
        """Set the marker that a datagram tells of."""
        name, tab, label = text.removesuffix("\n").removesuffix("\r").rpartition("\t")
        if tab:
            chosen = [self._sessions()[name]] if name in self._sessions() else []
        else:
            chosen = [each for each in self._sessions().values() if each.state == "open"]
        if not chosen:
            raise SessionOver(f"Expected an open session, but found {name or 'none'!r}.")
        for session in chosen:
            set_marker(session, label, None, "udp")
