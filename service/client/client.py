"""A typed asyncio client of the stream: it reconnects and resumes by itself.

async with Client("http://127.0.0.1:8765") as client:
    await client.subscribe("simulate-1", ["prediction"])
    async for message in client:
        print(message)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from mimamba.drivers.errors import UserError
from mimamba.service.client.credentials import NOTHING, Credentials, mend_of, refusal_of
from mimamba.service.protocol.messages import (
    MSGPACK_SUBPROTOCOL,
    Hello,
    Position,
    ServerMessage,
    SessionState,
    Skipped,
    Subscribe,
    Subscribed,
    TopicMessage,
    decode_server,
    encode,
)
from mimamba.service.topics import Topic

SILENCE = 5.0
"""Seconds without any message, five heartbeats, after which the connection counts as dead."""
LONGEST_PAUSE = 10.0


class ServiceUnreachable(UserError):
    """No service answers at this address; one clear line."""


def stream_url(url: str) -> str:
    """The stream's WebSocket address for a service's address, with or without scheme.

    Raises
    ------
    ServiceUnreachable
        If it is no address.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        made = urlunsplit((scheme, parts.netloc, "/v1/stream", "", ""))
        parse_uri(made).host.encode("idna")  # a port that is none, a host that has no name
    except (ValueError, InvalidURI) as error:
        raise ServiceUnreachable(
            f"Expected the address of a mimamba service, but found {url!r}: {error}. "
            "Give one such as http://127.0.0.1:8765."
        ) from error
    return made


def topic_of(message: TopicMessage) -> Topic:
    """The topic that a message belongs to, which is its type's name."""
    return cast(Topic, message.__struct_config__.tag)


class Client:
    """A connection to a service that outlives its drop-outs.

    Parameters
    ----------
    url
        The service, e.g. ``http://127.0.0.1:8765``.
    pause
        Seconds before the first try to reconnect; it doubles up to 10 s.
    credentials
        The token to show, and the certificates to trust.

    Raises
    ------
    ServiceUnreachable
        If ``url`` is no address; on entering, where no service answers.
    """

    def __init__(self, url: str, pause: float = 0.5, credentials: Credentials = NOTHING) -> None:
        self.url = stream_url(url)
        self._pause = pause
        self._credentials = credentials
        self._socket: ClientConnection | None = None
        self._wanted: dict[str, list[Topic]] = {}
        self._places: dict[str, Position] = {}
        self._asked: set[str] = set()

    async def __aenter__(self) -> Self:
        try:
            self._socket = await self._connect()
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
            raise ServiceUnreachable(
                f"Expected a mimamba service at {self.url}, but found: "
                f"{error or type(error).__name__}; {mend_of(error)}."
            ) from error
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
        """Follow topics of a session: from now on, or after ``since``; again at each reconnect."""
        if since is None and session in self._asked and self._wanted.get(session) == topics:
            return  # a reconnection has just asked for them, and knows where to go on
        self._wanted[session] = topics
        if since is not None:
            self._places[session] = since
        await self._ask(session)

    async def __aiter__(self) -> AsyncIterator[ServerMessage]:
        """All messages, over every reconnection; it ends only when the client is left.

        Raises
        ------
        ServiceUnreachable
            If what is there says something else than a service does.
        NotLetIn
            If the service wants a token, or another one.
        """
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
            message = self._read(frame)
            refused = refusal_of(message) if isinstance(message, Hello) else None
            if refused:
                raise refused
            await self._remember(message)
            yield message

    def _read(self, frame: bytes | str) -> ServerMessage:
        try:
            return decode_server(frame)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ServiceUnreachable(
                f"Expected a mimamba service of protocol v1 at {self.url}, but found: "
                f"{type(error).__name__}: {error}. Correct the address, or update one of the two."
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
        pause = self._pause
        while True:
            assert self._socket is not None
            await self._socket.close()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                self._socket = await self._connect()
            except (OSError, InvalidHandshake, TimeoutError):
                continue
            self._asked.clear()
            return

    async def _ask(self, session: str) -> None:
        """Subscribe on the present connection; one that is lost meanwhile is mended on reading."""
        assert self._socket is not None
        self._asked.add(session)
        asked = Subscribe(session, self._wanted[session], self._places.get(session))
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(encode(asked, binary=True))

    async def _remember(self, message: ServerMessage) -> None:
        """Note the last entry of each topic; go on there where a wanted session is back."""
        if isinstance(message, Subscribed):
            seq = {topic: at - 1 for topic, at in message.next.items()}
            self._places[message.session] = Position(message.epoch, seq)
        elif isinstance(message, Skipped):
            self._places[message.session].seq[message.topic] = message.last
        elif isinstance(message, TopicMessage):
            self._places[message.session].seq[topic_of(message)] = message.seq
        elif isinstance(message, SessionState):
            if message.state == "closed":
                self._asked.discard(message.session)
            elif message.state == "opened" and message.session in self._wanted.keys() - self._asked:
                await self._ask(message.session)
