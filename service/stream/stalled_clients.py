"""The stream's WebSocket under uvicorn: one who does not read is cut off, one who is gone is told
nothing more.
"""

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
    """uvicorn's, which asks by a ping whether its client reads, but would wait for ever for one
    that does not to take what is written to it already.
    """

    async def send(self, message: ASGISendEvent) -> None:
        """Raise ClientDisconnected also where a write has failed, and the end is told a turn later.

        The rest of a batch would be written in vain, and asyncio would warn of each frame.
        """
        if message["type"] == "websocket.send" and self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)

    def keepalive_timeout(self) -> None:
        """No answer to a ping: drop the connection with all that is still to be sent."""
        counters: ServiceCounters = self.app_state["counters"]
        counters.errors["stalled"] += 1
        peer = self.client[0] if self.client else None
        log.warning("client does not read", extra={"peer": peer})
        self.transport.abort()
