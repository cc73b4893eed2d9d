"""One subscriber's WebSocket: what it asks, and what it is sent.

Each connection has a sender of its own that waits for its own socket alone, so a subscriber that
stops reading stops itself and nobody else. Whatever it asks is answered by that same sender, in
order with the news.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from mimamba.drivers.timing.clock import local_clock
from mimamba.service.auth.permissions import ConnectionPermissions
from mimamba.service.protocol.auth import TOKEN_WANTED, Auth
from mimamba.service.protocol.decode import CLOSE_CODES, decode_frame
from mimamba.service.protocol.messages import (
    MSGPACK_SUBPROTOCOL,
    PROTOCOL,
    ClientMessage,
    Clock,
    Error,
    Heartbeat,
    Hello,
    Mark,
    Ok,
    Ping,
    Pong,
    ServerMessage,
    SessionState,
    Subscribe,
    Unsubscribe,
    encode,
)
from mimamba.service.protocol.push import Push, Pushing, Samples
from mimamba.service.sessions.markers import BadLabel, BadTimestamp, set_marker
from mimamba.service.sessions.remote_sources import RemoteInbox, RemoteSources
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.stream.hub import Hub
from mimamba.service.stream.reader import SessionReader

log = logging.getLogger(__name__)

Request: TypeAlias = Subscribe | Unsubscribe | Mark | Ping | Pushing | Hello | Error
"""A client's message that the sender answers, or the answer itself."""
MAX_PENDING_REQUESTS = 16
"""A client's messages that may wait for an answer; more wait in its own socket."""


def clock_now() -> Clock:
    """The present instant on both clocks."""
    return Clock(local_clock(), time.time())


class Connection:
    """A subscriber.

    Parameters
    ----------
    socket
        Accepted.
    rights
        What it may say.
    hub
        Wakes this connection.
    sessions
        The present sessions.
    server
        Name and version of the service, for hello.
    pushes
        The push sessions, for an acquirer.
    """

    def __init__(
        self,
        socket: WebSocket,
        rights: ConnectionPermissions,
        hub: Hub,
        sessions: Callable[[], dict[str, Session]],
        server: str,
        pushes: RemoteSources,
    ) -> None:
        self._socket = socket
        self._rights = rights
        self._hub = hub
        self._sessions = sessions
        self._server = server
        self._binary = MSGPACK_SUBPROTOCOL in socket.scope["subprotocols"]
        self._intake = RemoteInbox(pushes)
        self._readers: dict[Session, SessionReader] = {}
        self._fresh: dict[Session, None] = {}  # where readers may find something, in order
        self._asked: asyncio.Queue[Request] = asyncio.Queue(MAX_PENDING_REQUESTS)
        self._states = hub.states.next
        self._woken = asyncio.Event()
        self._beat = False
        self._id: str | None = None
        self._errors: set[str] = set()

    def wake(self, session: Session | None = None) -> None:
        """There is something new to send, of a session where one is named."""
        if session is not None:
            self._fresh[session] = None
        self._woken.set()

    def beat(self) -> None:
        """A heartbeat is due; one that is late is not sent twice."""
        self._beat = True
        self._woken.set()

    async def serve(self) -> None:
        """Talk until the client goes, or its login ends."""
        self._id = self._hub.join(self)
        peer = self._socket.client.host if self._socket.client else None
        log.info("client came", extra={"client": self._id, "peer": peer})
        try:
            async with anyio.create_task_group() as tasks:
                # Either may be waiting for the other when the client goes.
                for half in (self._speak, self._listen):
                    tasks.start_soon(_then, half, tasks.cancel_scope.cancel)
        finally:
            self._hub.leave(self)
            log.info("client left", extra={"client": self._id})

    async def _listen(self) -> None:
        while True:
            frame = await self._socket.receive()
            if frame["type"] == "websocket.disconnect":
                if frame["code"] in CLOSE_CODES:
                    self._erred(CLOSE_CODES[frame["code"]])
                return
            payload = frame.get("bytes") if self._binary else frame.get("text")
            message = decode_frame(payload, self._binary)
            self._intake.hear()
            heard = message if isinstance(message, Error) else await self._take(message)
            if heard is not None:
                await self._asked.put(heard)
            self._woken.set()

    async def _take(self, message: ClientMessage) -> Request | None:
        """What is to be answered, or the answer."""
        if isinstance(message, Auth):
            refusal = self._rights.show(message)
            if refusal is not None:
                return Error("unauthenticated", refusal.reason, message.id)
            return self._hello()
        refused = self._rights.refusal(message)
        if refused is not None:
            return refused
        if isinstance(message, Push | Samples):
            # What a busy session has no room for waits here, and so in the acquirer's socket.
            return await self._intake.take(message)
        return message

    async def _speak(self) -> None:
        try:
            for frame in self._greeting():
                await self._send(frame)
            while self._rights.scope is not None:
                frames = self._due()
                for frame in frames:
                    await self._send(frame)
                if not frames:
                    self._woken.clear()
                    await self._woken.wait()
            await self._socket.close(TOKEN_WANTED, "the login has ended; log in again")
        except WebSocketDisconnect:
            return

    async def _send(self, frame: bytes) -> None:
        if self._binary:
            await self._socket.send_bytes(frame)
        else:
            await self._socket.send_text(frame.decode())
        self._hub.counters.sent(frame)

    def _greeting(self) -> list[bytes]:
        """Hello, and each session as it stands."""
        self._states = self._hub.states.next
        messages: list[ServerMessage] = [self._hello()]
        for session in self._sessions().values():
            if session.logs is not None:
                messages.append(SessionState(session.name, "opened"))
            if session.state == "ended":
                messages.append(SessionState(session.name, "ended", session.reason))
        return [encode(message, self._binary) for message in messages]

    def _hello(self) -> Hello:
        rights = self._rights
        clock, scope = clock_now(), rights.scope
        return Hello(PROTOCOL, self._server, clock, scope, rights.login, rights.shown)

    def _due(self) -> list[bytes]:
        """The frames to send next; empty where there is nothing to say."""
        if not self._asked.empty():
            return self._answer(self._asked.get_nowait())
        acks = self._intake.acks()
        if acks:
            return [encode(ack, self._binary) for ack in acks]
        if self._beat:
            self._beat = False
            return [encode(Heartbeat(clock_now()), self._binary)]
        return self._news() or self._next_state()

    def _news(self) -> list[bytes]:
        """A batch of each session in which there is something new."""
        news: list[bytes] = []
        fresh, self._fresh = self._fresh, {}
        for session in fresh:
            if session in self._readers and (frames := self._readers[session].take()):
                self._fresh[session] = None  # there may be more
                news += frames
        return news

    def _next_state(self) -> list[bytes]:
        """What became of a session; told when all that it said before is sent."""
        if self._states == self._hub.states.next:
            return []
        seq, state = self._hub.states.read(self._states, self._hub.states.next)[0]
        self._states = seq + 1
        there = self._sessions()
        for gone in [each for each in self._readers if there.get(each.name) is not each]:
            self._unfollow(gone)
        return [encode(state, self._binary)]

    def _answer(self, asked: Request) -> list[bytes]:
        if isinstance(asked, Error | Pushing | Hello):
            return self._say(asked)
        if isinstance(asked, Ping):
            return self._say(Pong(asked.t, clock_now(), asked.id))
        session = self._sessions().get(asked.session)
        if session is None or session.logs is None:
            there = ", ".join(sorted(self._sessions())) or "none"
            text = f"Expected an open session, but found {asked.session!r}. There are: {there}."
            return self._say(Error("no_session", text, asked.id))
        if isinstance(asked, Subscribe):
            return [self._subscribe(session, asked)]
        if isinstance(asked, Mark):
            return self._say(*answer_mark(session, asked))
        return self._unsubscribe(session, asked)

    def _say(self, *answers: ServerMessage) -> list[bytes]:
        for each in answers:
            if isinstance(each, Error):
                self._erred(each.code)
        return [encode(each, self._binary) for each in answers]

    def _erred(self, code: str) -> None:
        """Count a client's error; told once, or a flood of them would fill the log."""
        self._hub.counters.errors[code] += 1
        if code not in self._errors:
            self._errors.add(code)
            log.warning("client erred", extra={"client": self._id, "code": code})

    def _subscribe(self, session: Session, asked: Subscribe) -> bytes:
        if session not in self._readers:
            self._readers[session] = SessionReader(session, self._hub.frames(session), self._binary)
            self._hub.follow(session, self)
        self._fresh[session] = None
        reader = self._readers[session]
        reader.subscribe(asked.topics, asked.since)
        return reader.describe(asked.id)

    def _unsubscribe(self, session: Session, asked: Unsubscribe) -> list[bytes]:
        if session in self._readers:
            self._readers[session].unsubscribe(asked.topics)
            if self._readers[session].idle:
                self._unfollow(session)
        return [] if asked.id is None else [encode(Ok(asked.id), self._binary)]

    def _unfollow(self, session: Session) -> None:
        del self._readers[session]
        self._hub.unfollow(session, self)


def answer_mark(session: Session, asked: Mark) -> list[Ok | Error]:
    """Set a marker; what is answered."""
    try:
        set_marker(session, asked.label, asked.timestamp, "websocket")
    except BadLabel as error:
        return [Error("bad_label", str(error), asked.id)]
    except BadTimestamp as error:
        return [Error("bad_timestamp", str(error), asked.id)]
    except SessionOver as error:
        return [Error("session_over", str(error), asked.id)]
    return [] if asked.id is None else [Ok(asked.id)]


async def _then(run: Callable[[], Awaitable[None]], end: Callable[[], None]) -> None:
    """Run one half of a connection; then end both."""
    await run()
    end()
