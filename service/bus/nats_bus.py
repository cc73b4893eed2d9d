"""The bus on NATS JetStream: streams in files, that outlive any process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import StorageType, StreamConfig
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
from mimamba.service.bus.nats_follower import (
    RECONNECT_SECONDS,
    NATSFollower,
    cancellable,
    subscribed,
)
from mimamba.service.bus.prompt_client import PromptClient

if TYPE_CHECKING:
    from mimamba.service.bus.user_credentials import UserCredentials

log = logging.getLogger(__name__)

LEAST_SERVER = (2, 11)
"""Version of the server from which a guard may name a subject, and a message its own end."""
CONNECT_SECONDS = 5
HEARTBEAT_SECONDS = 1.0
"""Of a server that has nothing to deliver; after two missing ones a follower starts over. It also
does once the connection is new, as a server forgets its followers when it ends."""
ANSWER_SECONDS = 0.15
"""Time for an answer. The server itself answers at once for a connection that is gone; a question
that reached it just before its end is answered by nobody, and is to be asked again soon."""
NAME_SECONDS = 60.0
"""As in the bus of one process."""
WRONG_SEQUENCE = 10071
"""JetStream's error code for a guard that does not hold."""
PING_SECONDS = 2.0
"""Between two questions to the server. After three without an answer its machine is taken for gone,
and another server is tried: nobody closes the connections of a machine that lost its power."""
STALLED_SECONDS = 5.0
"""Least time between two times that a server is left that stores and tells nothing: one that the
others cannot reach answers pings all the same."""
SILENT = 2
"""Questions in a row without an answer after which a server is left, if there is another."""
MAX_WAITING = 8 << 20
"""Bytes that wait in memory while the server is away, or takes nothing."""


class _Stored(msgspec.Struct):
    """JetStream's answer to a message."""

    class Problem(msgspec.Struct):
        """Its error."""

        err_code: int = 0
        description: str = ""

    seq: int = 0
    error: Problem | None = None


class NATSBus:
    """One connection to a NATS server; see ``Bus``. Made by ``connect``."""

    def __init__(self, connection: PromptClient, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._connection = connection
        self._heartbeat = heartbeat
        self._js = connection.jetstream(timeout=ACK_SECONDS)
        self._inbox = connection.new_inbox()
        self._tokens = count()
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._followers: set[NATSFollower] = set()
        self._stalled = asyncio.Event()
        self._silent = 0
        """Questions in a row to which the server, though connected, has said nothing."""
        self._checking = [
            asyncio.create_task(each) for each in (self._check_followers(), self._check_server())
        ]
        self._stored = -math.inf  # when the server showed last that it stores messages
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
        ping: float = PING_SECONDS,
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
        ping
            Seconds between two questions to the server.

        Raises
        ------
        BusUnreachable
            If no server answers there, it is older than 2.11, or has no JetStream.
        """
        servers = [each.strip() for each in url.split(",")]
        errors: list[str] = []
        made: list[Self] = []
        connection = PromptClient()
        # The library says that these are int.
        pause: dict[str, Any] = {"reconnect_time_wait": RECONNECT_SECONDS, "ping_interval": ping}

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
                    pending_size=2 * MAX_WAITING,  # beyond it, each call would wait
                    max_outstanding_pings=2,
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
            bus._end_checks()
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
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[int] = loop.create_future()
        if self._connection.pending_data_size + len(payload) > MAX_WAITING:
            stored.set_exception(NotStored(f"{MAX_WAITING >> 20} MiB wait for the server"))
            return stored
        token = str(next(self._tokens))
        self._waiting[token] = stored
        patience = loop.call_later(ACK_SECONDS, self._give_up, token)
        stored.add_done_callback(lambda _: patience.cancel())
        try:
            reply = f"{self._inbox}.{token}"
            await cancellable(
                self._connection.publish(subject, payload, reply=reply, headers=headers or None)
            )
        except asyncio.CancelledError:
            self._waiting.pop(token, None)
            stored.cancel()
            raise
        except (nats.errors.Error, OSError) as error:
            self._waiting.pop(token, None)
            if not stored.done():
                stored.set_exception(NotStored(str(error) or type(error).__name__))
        return stored

    def _take_answer(self, message: Msg) -> None:
        stored = self._waiting.pop(message.subject.rpartition(".")[2], None)
        problem: Exception | None = None
        sequence = 0
        if not message.data:  # no stream answers
            problem = NotStored("no stream takes it")
        else:
            answer = msgspec.json.decode(message.data, type=_Stored)
            sequence = answer.seq
            if answer.error is not None:
                kind = Overtaken if answer.error.err_code == WRONG_SEQUENCE else NotStored
                problem = kind(answer.error.description)
        if not isinstance(problem, NotStored):
            self._stored = time.monotonic()  # also if it came too late for its message
        if stored is None or stored.done():
            return
        if problem is None:
            stored.set_result(sequence)
        else:
            stored.set_exception(problem)

    def _give_up(self, token: str) -> None:
        stored = self._waiting.pop(token, None)
        if stored is not None and not stored.done():
            stored.set_exception(NotStored(f"no answer within {ACK_SECONDS:g} s"))
            if time.monotonic() - self._stored > ACK_SECONDS / 2:
                self._stalled.set()  # other messages are not stored, either

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
            follower = NATSFollower(
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

    def _end_checks(self) -> None:
        for each in self._checking:
            each.cancel()

    async def _check_server(self) -> None:
        """Leave a server that seems to be cut off from the others, again and again."""
        while self._connection.has_others:
            try:
                async with asyncio.timeout(ACK_SECONDS / 2):
                    await self._stalled.wait()
            except TimeoutError:  # a program that only follows notices nothing
                if time.monotonic() - self._stored < ACK_SECONDS:
                    continue
                try:
                    await self.now()
                except NotStored:
                    self._stalled.set()
            if self._stalled.is_set() and self._connection.is_connected:
                log.warning("bus", extra={"reason": "the server stores nothing: another is tried"})
                await self._connection.leave_server()
                await asyncio.sleep(STALLED_SECONDS)
            self._stalled.clear()

    def _wake_followers(self) -> None:
        for each in self._followers:
            each.wake()

    async def _last_sequence(self, stream: str) -> int:
        return (await cancellable(self._js.stream_info(stream))).state.last_seq

    async def now(self) -> float:
        """Return the server's time; see ``Bus.now``."""
        try:
            asking = self._connection.request("$JS.API.STREAM.INFO.IN", timeout=ACK_SECONDS)
            answer = await cancellable(asking)
        except nats.errors.Error as error:
            raise NotStored(str(error) or type(error).__name__) from error
        told = json.loads(answer.data).get("ts")
        if told is None:
            raise NotStored("the server tells no time")
        return datetime.fromisoformat(told).timestamp()

    async def newest(self, pattern: str) -> list[BusMessage]:
        """Return the newest message of each subject; see ``Bus.newest``."""
        stream = stream_of(pattern).upper()
        inbox = self._connection.new_inbox()
        found: list[BusMessage] = []
        subscription: Subscription | None = None
        try:
            subscribing = self._connection.subscribe(inbox)
            subscription = await subscribed(self._connection, subscribing)
            request = json.dumps({"multi_last": [pattern]}).encode()
            get = f"$JS.API.DIRECT.GET.{stream}"
            await cancellable(self._connection.publish(get, request, reply=inbox))
            while True:
                message = await cancellable(subscription.next_msg(ACK_SECONDS))
                headers = message.headers or {}
                if status := headers.get("Status"):
                    if status in ("204", "404"):  # the end, or nothing at all
                        return found
                    raise NotStored(f"the server answers {status}: {headers.get('Description')}")
                subject, sequence = headers["Nats-Subject"], int(headers["Nats-Sequence"])
                stored = datetime.fromisoformat(headers["Nats-Time-Stamp"]).timestamp()
                found.append(BusMessage(subject, sequence, message.data, stored))
        except nats.errors.TimeoutError as error:
            raise NotStored(f"no answer within {ACK_SECONDS:g} s") from error
        except nats.errors.Error as error:
            raise NotStored(str(error) or type(error).__name__) from error
        finally:
            if subscription is not None:
                with contextlib.suppress(nats.errors.Error):
                    await cancellable(subscription.unsubscribe())

    async def answer(self, name: str) -> None:
        """Be there under a name."""

        async def reply(message: Msg) -> None:
            await message.respond(b"")

        subscribing = self._connection.subscribe(f"alive.{name}", cb=reply)
        await subscribed(self._connection, subscribing)
        # The library writes the ping of a flush before a subscription that waits in its own queue:
        # only the second one shows that the server knows the name.
        with contextlib.suppress(nats.errors.Error):  # else it knows once it is back
            await cancellable(self._connection.flush())
            await cancellable(self._connection.flush())

    async def is_there(self, name: str) -> bool:
        """Return whether a connection has this name: the server knows at once if none has."""
        try:
            asking = self._connection.request(f"alive.{name}", timeout=ANSWER_SECONDS)
            await cancellable(asking)
        except nats.errors.NoRespondersError:
            return False
        except nats.errors.Error:  # it is slow, or the server is away
            return True
        return True

    async def reaches_server(self, within: float) -> bool:
        """Ask the server for a sign of life; see ``Bus.reaches_server``.

        Whatever it says is one: an answer comes behind all that waits to be read. A server that
        says nothing is left, if there is another.
        """
        heard, connected = self._connection.heard, self._connection.is_connected
        heard.clear()
        try:
            async with asyncio.timeout(within):
                if connected:
                    with contextlib.suppress(nats.errors.Error, OSError):
                        await cancellable(self._connection.ask())
                await heard.wait()
        except TimeoutError:
            self._silent += connected
            if self._silent == SILENT and self._connection.has_others:
                self._stalled.set()
            return False
        self._silent = 0
        return True

    @property
    def only_server_ended(self) -> bool:
        """True while the connection to the only server is seen to be gone."""
        return not (self._connection.is_connected or self._connection.has_others)

    async def close(self) -> None:
        """End the connection."""
        if self._waiting:
            await asyncio.wait([*self._waiting.values()], timeout=ACK_SECONDS)
        self._end_checks()
        await self._connection.close()


def without_password(url: str) -> str:
    """Return an address as it may be shown."""
    return re.sub(r"//[^/@,]*@", "//", url)


def check_version(version: str) -> None:
    """Raise BusUnreachable for the version of a server that is too old."""
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_SERVER:
        raise BusUnreachable(
            f"Expected NATS server 2.11 or later, but found {version}. Update the server."
        )
