"""A client of NATS that gives messages while it reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

REST_PER_RATE = 2.5e-6
"""Seconds between two readings, for each message that comes in a second."""
SHORTEST_REST, LONGEST_REST = 0.002, 0.004
"""Seconds; a rest that would be shorter is left out."""
WINDOW = 0.02
"""Seconds over which messages are counted at least: several come in one reading, or shortly after
another, though few come in a second."""


class ReadingPace:
    """Pace at which a connection is read, by how often messages come.

    Parameters
    ----------
    now
        Present time on the clock of all calls, s.
    """

    def __init__(self, now: float) -> None:
        self._since, self._count = now, 0
        self._rate = 0.0  # messages a second, in the window before

    def count(self) -> None:
        """Count a message."""
        self._count += 1

    def rest(self, now: float) -> float:
        """Return for how long nothing is read from now on, s; 0 where messages come seldom."""
        if (passed := now - self._since) >= WINDOW:
            self._rate = self._count / passed
            self._since, self._count = now, 0
        rest = min(REST_PER_RATE * self._rate, LONGEST_REST)
        return rest if rest >= SHORTEST_REST else 0.0


class PromptClient(Client):
    """A client that gives some messages while it reads them.

    The library puts each in a queue, and wakes a task for it, which takes longer than all else that
    is done with a packet. It also reads the connection for each message by itself, unless it is
    late; so where they come often, it rests between two readings.
    """

    def __init__(self) -> None:
        super().__init__()
        self._takers: dict[int, Callable[[Msg], None]] = {}
        self._resting = False
        self.heard = asyncio.Event()
        """Set whenever the server says anything."""
        self._pace = ReadingPace(asyncio.get_running_loop().time())

    async def subscribe_promptly(self, subject: str, take: Callable[[Msg], None]) -> Subscription:
        """Subscribe to a subject, and give each message to ``take`` as soon as it is read."""

        async def take_late(message: Msg) -> None:
            take(message)

        subscription = await self.subscribe(subject, cb=take_late)
        self._takers[subscription._id] = take
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        self._takers.pop(subscription._id, None)
        await subscription.unsubscribe()

    async def ask(self) -> None:
        """Ask the server for a sign of life, which it gives at once, whatever else it does."""
        await self._send_ping()

    @property
    def has_others(self) -> bool:
        """True if there is another server to connect to."""
        return len(self._server_pool) > 1

    async def leave_server(self) -> None:
        """Connect to another server, as one does whose server is gone."""
        self.options["dont_randomize"] = True  # else it could be the same one
        self._server_pool.sort(key=lambda each: each is self._current_server)
        await self._process_op_err(nats.errors.StaleConnectionError())

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        self.heard.set()
        if (take := self._takers.get(sid)) is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self._pace.count()
        if not self._resting:
            self._rest()
        read = await self._process_headers(headers) if headers else None
        try:
            take(Msg(self, subject.decode(), reply.decode(), data, read))
        except Exception as error:  # noqa: BLE001  as the library does with those of callbacks
            await self._error_cb(error)

    async def _process_pong(self) -> None:
        self.heard.set()
        await super()._process_pong()

    def _rest(self) -> None:
        """Read no more for a while, if messages come often."""
        loop = asyncio.get_running_loop()
        rest = self._pace.rest(loop.time())
        writer = getattr(self._transport, "_io_writer", None)
        if rest and writer is not None:
            self._resting = True
            writer.transport.pause_reading()
            loop.call_later(rest, self._read_on, writer.transport)

    def _read_on(self, transport: asyncio.Transport) -> None:
        self._resting = False
        transport.resume_reading()
