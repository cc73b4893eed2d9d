"""Typed asyncio client of the stream, which reconnects and resumes automatically.

async with Client("http://127.0.0.1:8765") as client:
    await client.subscribe("simulate-1", ["prediction"])
    async for message in client:
        print(message)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from mimamba.drivers.errors import UserError
from mimamba.service.client.credentials import (
    NO_CREDENTIALS,
    Credentials,
    describe_unreachable,
    refusal_of,
)
from mimamba.service.client.prediction_table import load_pandas, make_table
from mimamba.service.client.signal_frames import SignalFrame, frame_maker
from mimamba.service.protocol.messages import (
    MSGPACK_SUBPROTOCOL,
    ClientMessage,
    Error,
    Hello,
    Position,
    PredictionMessage,
    ServerMessage,
    SessionState,
    SignalMessage,
    Skipped,
    Subscribe,
    Subscribed,
    TopicMessage,
    Unsubscribe,
    decode_server,
    encode,
)
from mimamba.service.topics import Topic

if TYPE_CHECKING:
    from pandas import DataFrame

log = logging.getLogger(__name__)

SILENCE = 5.0
"""Seconds without any message, five heartbeats, after which the connection counts as lost."""
LONGEST_PAUSE = 10.0


class ServiceUnreachable(UserError):
    """No service answers at this address."""


class SubscriptionRefused(UserError):
    """The service has no such session; the message is its own."""


def stream_url(url: str) -> str:
    """Return the stream's WebSocket address for a service's address, with or without scheme.

    Raises
    ------
    ServiceUnreachable
        If it is not an address.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        prefix = parts.path.rstrip("/").removesuffix("/v1/stream")
        made = urlunsplit((scheme, parts.netloc, f"{prefix}/v1/stream", "", ""))
        parse_uri(made).host.encode("idna")  # an invalid port or host name
    except (ValueError, InvalidURI) as error:
        raise ServiceUnreachable(
            f"Expected the address of a mimamba service, but found {url!r} ({error}). "
            "Use an address such as http://127.0.0.1:8765."
        ) from error
    return made


def topic_of(message: TopicMessage) -> Topic:
    """Return a message's topic, which is the name of its type."""
    return cast(Topic, message.__struct_config__.tag)


class Client:
    """Connection to a service that survives interruptions.

    Parameters
    ----------
    url
        The service, e.g. ``http://127.0.0.1:8765``.
    pause
        Seconds before the first attempt to reconnect; doubles up to 10 s, until a message comes.
    credentials
        The token to send, and the certificates to trust.

    Raises
    ------
    ServiceUnreachable
        If ``url`` is not an address; on entering, if no service answers.
    """

    def __init__(
        self, url: str, pause: float = 0.5, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        self.url = stream_url(url)
        self._pause = self._next_pause = pause
        self._credentials = credentials
        self._socket: ClientConnection | None = None
        self._wanted: dict[str, list[Topic]] = {}
        self._positions: dict[str, Position] = {}
        self._subscribed: set[str] = set()
        self._ended: set[str] = set()  # sessions, closed ones included

    async def __aenter__(self) -> Self:
        try:
            self._socket = await self._connect()
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
            raise ServiceUnreachable(describe_unreachable(self.url, error)) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def subscribe(
        self, session: str, topics: list[Topic], since: Position | None = None
    ) -> None:
        """Subscribe to topics of a session, from now on or after ``since``."""
        if since is None and session in self._subscribed and self._wanted.get(session) == topics:
            return  # a reconnection has just subscribed, at the right position
        self._wanted[session] = topics
        if since is not None:
            self._positions[session] = since
        await self._subscribe(session)

    async def __aiter__(self) -> AsyncGenerator[ServerMessage, None]:
        """Iterate over all messages, across reconnections; never ends by itself.

        A refusal, such as of a session that does not exist, is a message of the type ``Error``, and
        a warning in the log for programs that look for other types.

        Raises
        ------
        ServiceUnreachable
            If another program answers.
        Unauthorized
            If the service requires a token, or another one.
        """
        async with contextlib.aclosing(self._messages()) as messages:
            async for message in messages:
                if isinstance(message, Error):
                    log.warning("the service refused a message: %s", message.message)
                yield message

    async def _messages(self) -> AsyncGenerator[ServerMessage, None]:
        """Iterate over all messages, as above, and log nothing."""
        while True:
            assert self._socket is not None
            try:
                async with asyncio.timeout(SILENCE):
                    frame = await self._socket.recv()
            except ConnectionClosed as closed:
                refused = refusal_of(closed)
                if refused:
                    raise refused from closed
                await self._reconnect()
                continue
            except TimeoutError:
                await self._reconnect()
                continue
            self._next_pause = self._pause  # one that sends us away at once has said nothing
            message = self._read(frame)
            refused = refusal_of(message) if isinstance(message, Hello) else None
            if refused:
                raise refused
            await self._remember(message)
            yield message

    async def frames(self, session: str, kept: bool = False) -> AsyncGenerator[SignalFrame, None]:
        """Iterate over a session's signal as NumPy arrays, across reconnections.

        It ends when the session ends. Messages of other subscriptions are dropped meanwhile.

        Parameters
        ----------
        session
            Id of an open session.
        kept
            Begin with what the service still has, up to five minutes, instead of now.

        Raises
        ------
        SubscriptionRefused
            If there is no such session.
        LibraryMissing
            If NumPy is not installed.
        ServiceUnreachable, Unauthorized
            As the iteration over all messages.
        """
        make = None
        async with contextlib.aclosing(self._follow(session, "signal", kept)) as messages:
            async for message in messages:
                if isinstance(message, Subscribed):
                    make = frame_maker(message.info)
                elif isinstance(message, SignalMessage):
                    assert make is not None
                    yield make(message)

    async def to_pandas(self, session: str, seconds: float | None = None) -> DataFrame:
        """Return a session's predictions as a table; messages of other subscriptions are dropped.

        Parameters
        ----------
        session
            Id of an open session.
        seconds
            Collect from now on for so long, or until the session ends. Default: return what the
            service still has, up to an hour.

        Returns
        -------
        DataFrame
            A row for each prediction: ``seq``, ``index`` (of the newest sample), ``timestamp`` (s
            on the LSL clock), ``status``, ``reason``, and a column for each label, such as
            ``valence/low``: its probability, NaN where the model abstains. Those of the person's
            own output, such as ``personal/calm``, are last.

        Raises
        ------
        SubscriptionRefused
            If there is no such session.
        LibraryMissing
            If pandas is not installed.
        ServiceUnreachable, Unauthorized
            As the iteration over all messages.
        """
        load_pandas()
        outputs: dict[str, list[str]] = {}
        predictions: list[PredictionMessage] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                kept = seconds is None
                follow = self._follow(session, "prediction", kept, to_end=not kept)
                async with contextlib.aclosing(follow) as messages:
                    async for message in messages:
                        if isinstance(message, Subscribed):
                            outputs |= message.outputs or {}
                        elif isinstance(message, PredictionMessage):
                            predictions.append(message)
        return make_table(predictions, outputs)

    async def _follow(
        self, session: str, topic: Topic, kept: bool, to_end: bool = True
    ) -> AsyncGenerator[Subscribed | TopicMessage, None]:
        """Iterate over one topic's messages alone, and unsubscribe afterwards.

        Parameters
        ----------
        session, topic
            To follow.
        kept
            Begin with the oldest entry that the service has.
        to_end
            Go on until the session ends, else to the last entry that there is now.
        """
        self._wanted[session] = [topic]
        self._positions.pop(session, None)  # from now on
        try:
            async with contextlib.aclosing(self._messages()) as messages:
                begun = await self._wait_for_subscription(messages, session)
                end = begun.next[topic]  # ``seq`` of the first entry that is not there yet
                if kept:
                    self._positions[session] = Position("")
                    begun = await self._wait_for_subscription(messages, session)
                yield begun
                while (to_end and session not in self._ended) or (
                    self._positions[session].seq[topic] < end - 1
                ):
                    message = await anext(messages)
                    if getattr(message, "session", None) != session:
                        continue
                    if isinstance(message, Subscribed):
                        if message.epoch != begun.epoch:
                            end = 0  # what was there at the beginning is gone
                        yield message
                    elif isinstance(message, TopicMessage) and topic_of(message) == topic:
                        yield message
        finally:
            if self._wanted.get(session) == [topic]:
                del self._wanted[session]
                self._subscribed.discard(session)
                await self._send(Unsubscribe(session, [topic]))

    async def _wait_for_subscription(
        self, messages: AsyncGenerator[ServerMessage, None], session: str
    ) -> Subscribed:
        """Subscribe, and drop what comes before the answer; raises SubscriptionRefused."""
        await self._subscribe(session)
        while True:
            message = await anext(messages)
            if isinstance(message, Error):
                raise SubscriptionRefused(message.message)
            if isinstance(message, Subscribed) and message.session == session:
                return message

    def _read(self, frame: bytes | str) -> ServerMessage:
        try:
            return decode_server(frame)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ServiceUnreachable(
                f"Expected a mimamba service of protocol v1 at {self.url}, but found another "
                f"({type(error).__name__}: {error}). Correct the address, or update one of the two."
            ) from error

    async def _connect(self) -> ClientConnection:
        # Frames are small and local: compression would only cost time.
        return await connect(
            self.url,
            subprotocols=[Subprotocol(MSGPACK_SUBPROTOCOL)],
            compression=None,
            open_timeout=SILENCE,
            additional_headers=self._credentials.headers,
            ssl=self._credentials.context(self.url),
        )

    async def _reconnect(self) -> None:
        while True:
            assert self._socket is not None
            await self._socket.close()
            await asyncio.sleep(self._next_pause)
            self._next_pause = min(2 * self._next_pause, LONGEST_PAUSE)
            try:
                self._socket = await self._connect()
            except (OSError, InvalidHandshake, TimeoutError):
                continue
            self._subscribed.clear()
            return

    async def _subscribe(self, session: str) -> None:
        """Subscribe on the present connection; reading reconnects if it is lost meanwhile."""
        self._subscribed.add(session)
        await self._send(Subscribe(session, self._wanted[session], self._positions.get(session)))

    async def _send(self, message: ClientMessage) -> None:
        """Send on the present connection, or not at all if it is lost."""
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(encode(message, binary=True))

    async def _remember(self, message: ServerMessage) -> None:
        """Note the last entry of each topic; resubscribe when a wanted session is back."""
        if isinstance(message, Subscribed):
            seq = {topic: at - 1 for topic, at in message.next.items()}
            self._positions[message.session] = Position(message.epoch, seq)
        elif isinstance(message, Skipped | TopicMessage):
            position = self._positions.get(message.session)  # None: on its way from before
            if position is not None and isinstance(message, Skipped):
                position.seq[message.topic] = message.last
            elif position is not None and isinstance(message, TopicMessage):
                position.seq[topic_of(message)] = message.seq
        elif isinstance(message, SessionState):
            if message.state == "opened":
                self._ended.discard(message.session)
            else:
                self._ended.add(message.session)
            if message.state == "closed":
                self._subscribed.discard(message.session)
            elif (
                message.state == "opened"
                and message.session in self._wanted.keys() - self._subscribed
            ):
                await self._subscribe(message.session)
