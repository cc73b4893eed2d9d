"""A client of NATS that gives messages while it reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

REST_PER_RATE = 2.5e-6
"""Seconds between two readings, for each message that comes in a second."""
SHORTEST_REST, LONGEST_REST = 0.002, 0.004
"""Seconds; a rest that would be shorter is left out."""


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
        self._taken, self._rested = 0, 0.0

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

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        if (take := self._takers.get(sid)) is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self._taken += 1
        if not self._resting:
            self._rest()
        read = await self._process_headers(headers) if headers else None
        try:
            take(Msg(self, subject.decode(), reply.decode(), data, read))
        except Exception as error:  # noqa: BLE001  as the library does with those of callbacks
            await self._error_cb(error)

    def _rest(self) -> None:
        """Read no more for a while, if messages came often since the last time."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        rest = min(REST_PER_RATE * self._taken / max(now - self._rested, 1e-3), LONGEST_REST)
        self._taken, self._rested = 0, now
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None and rest >= SHORTEST_REST:
            self._resting = True
            writer.transport.pause_reading()
            loop.call_later(rest, self._read_on, writer.transport)

    def _read_on(self, transport: asyncio.Transport) -> None:
        self._resting = False
        transport.resume_reading()
