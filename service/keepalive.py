"""The stream's WebSocket under uvicorn: one who does not read is cut off."""

from __future__ import annotations

import logging

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from service.tally import Totals

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds without reading: half of them until a ping, half for its answer."""


class KeptAlive(WebSocketsSansIOProtocol):
    """uvicorn's, which asks by a ping whether its client reads, but would wait for ever for one
    that does not to take what is written to it already.
    """

    def keepalive_timeout(self) -> None:
        """No answer to a ping: drop the connection with all that is still to be sent."""
        totals: Totals = self.app_state["totals"]
        totals.errors["stalled"] += 1
        peer = self.client[0] if self.client else None
        log.warning("client does not read", extra={"peer": peer})
        self.transport.abort()
