"""Followers of messages on NATS JetStream, over all connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from mimamba.service.bus.bus import BusMessage, Result, stream_of
from mimamba.service.bus.prompt_client import PromptClient

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 0.1
"""Pause between two attempts to connect or to follow again; attempts never end."""
ACK_WORDS = 11
"""Least words of the subject of an acknowledgement with domain and account."""


async def cancellable(call: Awaitable[Result]) -> Result:
    """Return what a call of the library returns; raise CancelledError if it was cancelled.

    The library waits with ``asyncio.wait_for``, which before Python 3.12 hides a cancellation where
    the answer comes in the same moment: whoever cancelled would wait for ever.
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        return await call
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError


async def subscribed(
    connection: PromptClient, subscribing: Awaitable[Subscription]
) -> Subscription:
    """Return a subscription that the library makes; end it if the task was cancelled meanwhile.

    The library hides a cancellation while it writes, and waits until the server takes what it has.
    """
    made: list[Subscription] = []

    async def subscribe() -> None:
        made.append(await subscribing)

    try:
        await cancellable(subscribe())
    except asyncio.CancelledError:
        for each in made:
            await connection.unsubscribe(each)
        raise
    return made[0]


class NATSFollower:
    """A follower of messages, over all connections.

    The library has followers, too (`ordered_consumer`), but each has two timers of its own, and
    reads each message's number three times: that was a third of an idle worker's time.

    Parameters
    ----------
    connection, js
        The connection.
    pattern
        Of the subjects.
    heartbeat
        Seconds between signs of life from a server that has nothing to deliver.
    after
        Where it begins.
    seen
        Number of the last message that it is not to get; 0 for none.
    at_once
        As in ``Bus.follow``.
    """

    def __init__(
        self,
        connection: PromptClient,
        js: JetStreamContext,
        pattern: str,
        heartbeat: float,
        after: int | Literal["now", "newest"],
        seen: int,
        at_once: Callable[[BusMessage], bool] | None,
    ) -> None:
        self._connection, self._js = connection, js
        self._pattern, self._heartbeat = pattern, heartbeat
        self._newest, self._seen = after == "newest", seen
        self._at_once = at_once
        self._subscription: Subscription | None = None
        self._delivered = 0  # messages of this subscription
        self._broken = False  # it has missed some
        self._heard = 0.0
        self._arrived: deque[BusMessage] = deque()
        self._news = asyncio.Event()
        self._woken = False
        self._idle = False  # whoever follows has taken all messages
        self._failure: Exception | None = None

    def wake(self) -> None:
        """Let it look at the connection, which is new or closed, or start over."""
        self._woken = True
        self._news.set()

    def check(self) -> None:
        """Let it start over if two signs of life are missing, though there is a connection."""
        if time.monotonic() - self._heard > 2 * self._heartbeat:
            log.warning("bus", extra={"reason": f"nothing was heard of {self._pattern}"})
            self._heard = time.monotonic()
            self.wake()

    async def subscribe(self) -> None:
        """Ask for all messages after the last one that was seen; raises errors of the library."""
        config = ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT)
        if self._seen or not self._newest:
            config = ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self._seen + 1
            )
        inbox = self._connection.new_inbox()
        config = config.evolve(
            deliver_subject=inbox,
            filter_subject=self._pattern,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            mem_storage=True,
            num_replicas=1,
            idle_heartbeat=self._heartbeat,
        )
        self._delivered, self._heard, self._broken = 0, time.monotonic(), False
        present: Subscription | None = None

        def take(message: Msg) -> None:
            if present is self._subscription and not self._broken:  # else it is of one before
                self._take(message)

        subscribing = self._connection.subscribe_promptly(inbox, take)
        present = self._subscription = await subscribed(self._connection, subscribing)
        try:
            await cancellable(self._js.add_consumer(stream_of(self._pattern).upper(), config))
        except BaseException:
            await self.unsubscribe()
            raise

    async def unsubscribe(self) -> None:
        """Ask for no more."""
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, JetStreamError):
                await cancellable(self._connection.unsubscribe(self._subscription))

    async def messages(self) -> AsyncIterator[BusMessage]:
        """Return messages until the connection is closed."""
        while True:
            while self._arrived:
                message = self._arrived.popleft()
                if message.sequence > self._seen:  # else it came from the subscription before, too
                    self._seen = message.sequence
                    yield message
            if self._failure is not None:
                raise self._failure
            if self._connection.is_closed:
                return
            if self._woken:
                self._woken = False
                await self._start_over()
                continue
            self._news.clear()
            self._idle = True
            try:
                await self._news.wait()
            finally:
                self._idle = False

    async def _start_over(self) -> None:
        await self.unsubscribe()
        if self._connection.is_closed:
            return
        try:
            await self.subscribe()
        except (nats.errors.Error, JetStreamError):  # the server is not ready yet
            await asyncio.sleep(RECONNECT_SECONDS)
            self.wake()

    def _take(self, message: Msg) -> None:
        """Take a message, or a sign of life, which has the number of the last message before it."""
        self._heard = time.monotonic()
        sequence, delivered, stored = 0, self._delivered, 0.0
        if message.reply:
            sequence, delivered, stored = numbers_of(message.reply)
            self._delivered += 1
        elif last := (message.headers or {}).get("Nats-Last-Consumer"):
            delivered = int(last)
        if delivered != self._delivered:  # some are missing
            self._broken = True
            self.wake()
        elif sequence > self._seen:  # else it came from the subscription before, too
            self._give(BusMessage(message.subject, sequence, message.data, stored))

    def _give(self, message: BusMessage) -> None:
        if self._idle and not self._arrived and self._taken_at_once(message):
            self._seen = message.sequence
        else:
            self._arrived.append(message)
            self._news.set()

    def _taken_at_once(self, message: BusMessage) -> bool:
        try:
            return self._at_once is not None and self._at_once(message)
        except Exception as error:  # noqa: BLE001  raised for whoever follows
            self._failure = error
            return False


def numbers_of(reply: str) -> tuple[int, int, float]:
    """Return a message's number in its stream, among those delivered, and the time of its storing.

    They are in its reply subject, ``$JS.ACK.STREAM.CONSUMER.DELIVERED.NUMBER.DELIVERY.TIME...``,
    with domain and account before the stream where the server has these. The time is Unix time, s.
    """
    words = reply.split(".")
    at = 5 if len(words) < ACK_WORDS else 7
    return int(words[at]), int(words[at + 1]), int(words[at + 2]) / 1e9
