"""A gateway's way to the bus: without it, clients are sent to another gateway.

Nobody closes the connection of a gateway that is cut off, so its clients would wait. Another
gateway may reach the bus, and they go on there after what they have.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mimamba.service.bus.bus import Bus
from mimamba.service.stream.hub import Hub

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Between two questions to the server, and time for an answer."""
SILENT_LOOKS = 4
"""Questions without an answer after which clients are sent away: 2 s, as long as a lease."""
RESTART_LOOKS = 20
"""The same, 10 s, where the only server has ended the connection: it is restarted, or gone for all
gateways, and its clients would gain nothing."""
FAREWELL = "this gateway does not reach the bus; another one may"


class BusContact:
    """Watches a gateway's way to the bus; used on the event loop.

    The clock does not count, but unanswered questions: a process that was stopped for a while finds
    the answer to its last one, and keeps its clients.

    Parameters
    ----------
    bus
        The bus.
    hub
        Of the clients.
    catch_up
        Lets the sessions follow the bus anew before clients come back: one may have heard more at
        another gateway, and would be told that again.
    """

    def __init__(self, bus: Bus, hub: Hub, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._bus, self._hub, self._catch_up = bus, hub, catch_up

    async def run(self) -> None:
        """Watch until cancelled."""
        unanswered, ended = 0, False
        while True:
            if await self._bus.reaches_server(LOOK_SECONDS):
                unanswered, ended = 0, False
                if self._hub.farewell is not None:
                    await self._come_back()
                await asyncio.sleep(LOOK_SECONDS)
                continue
            was_away, ended = ended, self._bus.only_server_ended
            # A server that is back has not been asked yet.
            unanswered = 0 if was_away and not ended else unanswered + 1
            patience = RESTART_LOOKS if ended else SILENT_LOOKS
            if unanswered >= patience and self._hub.farewell is None:
                extra = {"clients": self._hub.subscribers}
                log.warning("the bus does not answer: clients are sent away", extra=extra)
                self._hub.dismiss_all(FAREWELL)

    async def _come_back(self) -> None:
        await self._catch_up()
        self._hub.welcome()
        log.info("the bus answers again")
