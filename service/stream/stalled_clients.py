"""WebSockets under uvicorn that disconnect clients that stop reading."""

from __future__ import annotations

import logging

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mimamba.service.monitoring.service_counters import ServiceCounters

log = logging.getLogger(__name__)

KEEPALIVE_TIMEOUT = 30.0
"""Seconds without reading: half of them until a ping, half for its answer."""


class KeepaliveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, with an end for clients that do not answer a ping.

    uvicorn closes such a connection, but waits forever until the client takes the frames that are
    already written.
    """

    async def send(self, message: ASGISendEvent) -> None:
        """Raise ClientDisconnected also after a failed write, before the loop reports the end.

        The rest of a batch would be written in vain, and asyncio would warn for each frame.
        """
        if message["type"] == "websocket.send" and self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)

    def keepalive_timeout(self) -> None:
        """Drop a connection that did not answer a ping, with all frames that wait."""
        counters: ServiceCounters = self.app_state["counters"]
        counters.errors["stalled"] += 1
        peer = self.client[0] if self.client else None
        log.warning("client does not read", extra={"peer": peer})
        self.transport.abort()
