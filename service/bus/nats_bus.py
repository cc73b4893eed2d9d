"""The bus on NATS JetStream: streams in files, that outlive any process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError
from nats.js.errors import Error as JetStreamError

from mimamba.service.bus.bus import (
    ACK_SECONDS,
    KEPT,
    BusMessage,
    BusUnreachable,
    Guard,
    NotStored,
    Overtaken,
    stream_of,
)
from mimamba.service.bus.prompt_client import PromptClient

if TYPE_CHECKING:
    from mimamba.service.bus.user_credentials import UserCredentials

log = logging.getLogger(__name__)

LEAST_SERVER = (2, 11)
"""Version of the server from which a guard may name a subject, and a message its own end."""
CONNECT_SECONDS = 5
RECONNECT_SECONDS = 0.1
"""Pause between two attempts to connect again; attempts never end."""
HEARTBEAT_SECONDS = 1.0
"""Of a server that has nothing to deliver; after two missing ones a follower begins anew. It also
does once the connection is new, as a server forgets its followers when it ends."""
ANSWER_SECONDS = 0.15
"""Time for an answer. The server itself answers at once for a connection that is gone; a question
that reached it just before its end is answered by nobody, and is to be asked again soon."""
NAME_SECONDS = 60.0
"""As in the bus of one process."""
WRONG_SEQUENCE = 10071
"""JetStream's error code for a guard that does not hold."""
ACK_WORDS = 11
"""Least words of the subject of an acknowledgement with domain and account."""
MAX_WAITING = 8 << 20
"""Bytes that wait in memory while the server is away."""


class _Stored(msgspec.Struct):
    """JetStream's answer to a message."""

    class Problem(msgspec.Struct):
        """Its error."""

        err_code: int = 0
        description: str = ""

    seq: int = 0
    error: Problem | None = None


class _Follower:
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
        """Let it look at the connection, which is new or closed, or begin anew."""
        self._woken = True
        self._news.set()

    def check(self) -> None:
        """Let it begin anew if two signs of life are missing, though there is a connection."""
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

        present = self._subscription = await self._connection.subscribe_promptly(inbox, take)
        try:
            await self._js.add_consumer(stream_of(self._pattern).upper(), config)
        except BaseException:
            await self.unsubscribe()
            raise

    async def unsubscribe(self) -> None:
        """Ask for no more."""
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, JetStreamError):
                await self._connection.unsubscribe(self._subscription)

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
                await self._begin_anew()
                continue
            self._news.clear()
            self._idle = True
            try:
                await self._news.wait()
            finally:
                self._idle = False

    async def _begin_anew(self) -> None:
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
        sequence, delivered = 0, self._delivered
        if message.reply:
            sequence, delivered = numbers_of(message.reply)
            self._delivered += 1
        elif last := (message.headers or {}).get("Nats-Last-Consumer"):
            delivered = int(last)
        if delivered != self._delivered:  # some are missing
            self._broken = True
            self.wake()
        elif sequence > self._seen:  # else it came from the subscription before, too
            self._give(BusMessage(message.subject, sequence, message.data))

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


class NATSBus:
    """One connection to a NATS server; see ``Bus``. Made by ``connect``."""

    def __init__(self, connection: PromptClient, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._connection = connection
        self._heartbeat = heartbeat
        self._js = connection.jetstream(timeout=ACK_SECONDS)
        self._inbox = connection.new_inbox()
        self._tokens = count()
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._followers: set[_Follower] = set()
        self._checking = asyncio.create_task(self._check_followers())
        self.connected_since = time.monotonic()

    @classmethod
    async def connect(
        cls,
        url: str,
        name: str = "mimamba",
        user: str | None = None,
        password: str | None = None,
        trust: ssl.SSLContext | None = None,
        credentials: UserCredentials | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> Self:
        """Connect to a server, or to several with commas between; make the streams.

        Parameters
        ----------
        url
            ``nats://host:4222``, with user and password or a token if the server wants them, or
            ``tls://``. With three servers or more, three keep each message.
        name
            Name of the connection, in the server's own lists.
        user, password
            If the server wants them, and the address has none.
        trust
            Whose certificates to trust; the system's by default.
        credentials
            Those of a user, if the server has accounts instead of passwords.
        heartbeat
            Seconds between signs of life from a server that has nothing to deliver.

        Raises
        ------
        BusUnreachable
            If no server answers there, it is older than 2.11, or has no JetStream.
        """
        servers = [each.strip() for each in url.split(",")]
        errors: list[str] = []
        made: list[Self] = []
        connection = PromptClient()
        pause: dict[str, Any] = {"reconnect_time_wait": RECONNECT_SECONDS}  # the library says int

        async def reconnected() -> None:
            for each in made:
                each.connected_since = time.monotonic()
                each._wake_followers()

        async def closed() -> None:
            for each in made:
                each._wake_followers()

        async def report(error: Exception) -> None:
            errors.append(str(error) or type(error).__name__)
            log.warning("bus", extra={"reason": errors[-1]})
            del errors[:-1]

        try:
            # With a certificate that it does not trust it would try without end.
            async with asyncio.timeout(CONNECT_SECONDS * len(servers) + 1):
                await connection.connect(
                    servers,
                    name=name,
                    connect_timeout=CONNECT_SECONDS,
                    **pause,
                    max_reconnect_attempts=1,
                    pending_size=MAX_WAITING,
                    error_cb=report,
                    reconnected_cb=reconnected,
                    closed_cb=closed,
                    user=user,
                    password=password,
                    tls=trust,
                    user_jwt_cb=credentials.tell if credentials else None,
                    signature_cb=credentials.sign if credentials else None,
                )
        except (nats.errors.Error, OSError, ValueError, TimeoutError) as error:
            reason = errors[-1] if errors else str(error) or type(error).__name__
            raise BusUnreachable(
                f"Expected a NATS server at {without_password(url)}, but found none ({reason}). "
                "Start one, or correct the address, MIMAMBA_BUS_USER and MIMAMBA_BUS_PASSWORD, or "
                "MIMAMBA_BUS_CREDS."
            ) from error
        connection.options["max_reconnect_attempts"] = -1  # it was there: it may come back
        bus = cls(connection, heartbeat)
        made.append(bus)
        try:
            found = connection.connected_server_version
            check_version(f"{found.major}.{found.minor}.{found.patch}")
            await bus._make_streams(3 if len(servers) >= 3 else 1)
            await connection.subscribe_promptly(f"{bus._inbox}.*", bus._take_answer)
        except BaseException:
            bus._checking.cancel()
            await connection.close()
            raise
        return bus

    async def _make_streams(self, replicas: int) -> None:
        for name, seconds in KEPT.items():
            try:
                await self._js.stream_info(name.upper())
            except NotFoundError:
                await self._make_stream(name, seconds, replicas)
            except (JetStreamError, nats.errors.Error) as error:
                raise BusUnreachable(
                    f"Expected a NATS server with JetStream, but found none: {error}. "
                    "Start the server with -js."
                ) from error

    async def _make_stream(self, name: str, seconds: float | None, replicas: int) -> None:
        config = StreamConfig(
            name=name.upper(),
            subjects=[f"{name}.>"],
            storage=StorageType.FILE,
            num_replicas=replicas,
            max_age=seconds or 0,
            max_msgs_per_subject=-1 if seconds else 1,
            duplicate_window=NAME_SECONDS,
            allow_direct=True,
            allow_rollup_hdrs=True,
            allow_msg_ttl=True,
        )
        try:
            await self._js.add_stream(config)
        except (APIError, nats.errors.Error) as error:  # without permission nobody answers
            reason = error.description if isinstance(error, APIError) else str(error)
            raise BusUnreachable(
                f"Expected to make the stream {name.upper()}, but found: {reason}. "
                "Start a worker first, or let this user make it."
            ) from error

    async def send(
        self,
        subject: str,
        payload: bytes,
        *,
        name: str | None = None,
        guard: Guard | None = None,
        only: bool = False,
    ) -> asyncio.Future[int]:
        """Send a message; see ``Bus.send``."""
        stream_of(subject)
        headers: dict[str, str] = {}
        if name is not None:
            headers["Nats-Msg-Id"] = name
        if guard is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(guard.sequence)
            headers["Nats-Expected-Last-Subject-Sequence-Subject"] = guard.subject
        if only:
            headers["Nats-Rollup"] = "sub"
            headers["Nats-TTL"] = "never"
        token = str(next(self._tokens))
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[int] = loop.create_future()
        self._waiting[token] = stored
        patience = loop.call_later(ACK_SECONDS, self._give_up, token)
        stored.add_done_callback(lambda _: patience.cancel())
        try:
            await self._connection.publish(
                subject, payload, reply=f"{self._inbox}.{token}", headers=headers or None
            )
        except (nats.errors.Error, OSError) as error:
            self._waiting.pop(token, None)
            if not stored.done():
                stored.set_exception(NotStored(str(error) or type(error).__name__))
        return stored

    def _take_answer(self, message: Msg) -> None:
        stored = self._waiting.pop(message.subject.rpartition(".")[2], None)
        if stored is None or stored.done():
            return
        if not message.data:  # no stream answers
            stored.set_exception(NotStored("no stream takes it"))
            return
        answer = msgspec.json.decode(message.data, type=_Stored)
        if answer.error is None:
            stored.set_result(answer.seq)
        elif answer.error.err_code == WRONG_SEQUENCE:
            stored.set_exception(Overtaken(answer.error.description))
        else:
            stored.set_exception(NotStored(answer.error.description))

    def _give_up(self, token: str) -> None:
        stored = self._waiting.pop(token, None)
        if stored is not None and not stored.done():
            stored.set_exception(NotStored(f"no answer within {ACK_SECONDS:g} s"))

    @asynccontextmanager
    async def follow(
        self,
        pattern: str,
        after: int | Literal["now", "newest"],
        at_once: Callable[[BusMessage], bool] | None = None,
    ) -> AsyncIterator[AsyncIterator[BusMessage]]:
        """Follow messages; see ``Bus.follow``."""
        stream = stream_of(pattern).upper()
        seen = 0
        try:
            if after != "newest":
                seen = await self._last_sequence(stream) if after == "now" else after
            follower = _Follower(
                self._connection, self._js, pattern, self._heartbeat, after, seen, at_once
            )
            await follower.subscribe()
        except (nats.errors.Error, JetStreamError) as error:
            raise NotStored(str(error) or type(error).__name__) from error
        running = follower.messages()
        self._followers.add(follower)
        try:
            yield running
        finally:
            self._followers.discard(follower)
            await running.aclose()  # type: ignore[attr-defined]
            await follower.unsubscribe()

    async def _check_followers(self) -> None:
        while not self._connection.is_closed:
            await asyncio.sleep(self._heartbeat)
            if self._connection.is_connected:
                for each in self._followers:
                    each.check()

    def _wake_followers(self) -> None:
        for each in self._followers:
            each.wake()

    async def _last_sequence(self, stream: str) -> int:
        return (await self._js.stream_info(stream)).state.last_seq

    async def newest(self, pattern: str) -> list[BusMessage]:
        """Return the newest message of each subject; see ``Bus.newest``."""
        stream = stream_of(pattern).upper()
        inbox = self._connection.new_inbox()
        subscription = await self._connection.subscribe(inbox)
        found: list[BusMessage] = []
        try:
            request = json.dumps({"multi_last": [pattern]}).encode()
            await self._connection.publish(f"$JS.API.DIRECT.GET.{stream}", request, reply=inbox)
            while True:
                message = await subscription.next_msg(ACK_SECONDS)
                headers = message.headers or {}
                if status := headers.get("Status"):
                    if status in ("204", "404"):  # the end, or nothing at all
                        return found
                    raise NotStored(f"the server answers {status}: {headers.get('Description')}")
                subject, sequence = headers["Nats-Subject"], int(headers["Nats-Sequence"])
                found.append(BusMessage(subject, sequence, message.data))
        except nats.errors.TimeoutError as error:
            raise NotStored(f"no answer within {ACK_SECONDS:g} s") from error
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def answer(self, name: str) -> None:
        """Be there under a name."""

        async def reply(message: Msg) -> None:
            await message.respond(b"")

        await self._connection.subscribe(f"alive.{name}", cb=reply)
        # The library writes the ping of a flush before a subscription that waits in its own queue:
        # only the second one shows that the server knows the name.
        with contextlib.suppress(nats.errors.Error):  # else it knows once it is back
            await self._connection.flush()
            await self._connection.flush()

    async def is_there(self, name: str) -> bool:
        """Return whether a connection has this name: the server knows at once if none has."""
        try:
            await self._connection.request(f"alive.{name}", timeout=ANSWER_SECONDS)
        except nats.errors.NoRespondersError:
            return False
        except nats.errors.Error:  # it is slow, or the server is away
            return True
        return True

    async def close(self) -> None:
        """End the connection."""
        if self._waiting:
            await asyncio.wait([*self._waiting.values()], timeout=ACK_SECONDS)
        self._checking.cancel()
        await self._connection.close()


def numbers_of(reply: str) -> tuple[int, int]:
    """Return a message's number in its stream and among those delivered, from its reply subject.

    That is ``$JS.ACK.STREAM.CONSUMER.DELIVERED.NUMBER.DELIVERY...``, with domain and account before
    the stream where the server has these.
    """
    words = reply.split(".")
    at = 5 if len(words) < ACK_WORDS else 7
    return int(words[at]), int(words[at + 1])


def without_password(url: str) -> str:
    """Return an address as it may be shown."""
    return re.sub(r"//[^/@,]*@", "//", url)


def check_version(version: str) -> None:
    """Raise BusUnreachable for the version of a server that is too old."""
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_SERVER:
        raise BusUnreachable(
            f"Expected NATS server 2.11 or later, but found {version}. Update the server."
        )
