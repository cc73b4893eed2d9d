"""A connection: one WebSocket, its requests, and the frames sent to it.

Each connection has a sender that waits for its own socket alone, so a subscriber that stops reading
delays no other. The same sender answers its requests, in order with the other messages.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

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
from mimamba.service.stream.reader import VIEWED, SessionReader

log = logging.getLogger(__name__)

Request: TypeAlias = Subscribe | Unsubscribe | Mark | Ping | Pushing | Hello | Error
"""A client's message for the sender to answer, or the answer."""
TRY_AGAIN_LATER = 1013
"""Close code of a connection that finds more at another service of the same address (IANA)."""
ACK_SECONDS = 0.2
"""Least time between two acknowledgements of samples: a headset sends 21 packets a second, and one
tells of all before it."""
MAX_PENDING_REQUESTS = 16
"""Messages of a client that may wait for an answer; more wait in its socket."""


def clock_now() -> Clock:
    """Read both clocks."""
    return Clock(local_clock(), time.time())


class Connection:
    """A subscriber's or an acquirer's connection.

    Parameters
    ----------
    socket
        The accepted WebSocket.
    permissions
        The requests that it may make.
    hub
        Wakes the connection.
    sessions
        Returns the present sessions.
    server
        Name and version of the service, for hello.
    remote_sources
        The push sessions, for an acquirer.
    ready
        Prepares the logs of a session, before they are subscribed to.
    """

    def __init__(
        self,
        socket: WebSocket,
        permissions: ConnectionPermissions,
        hub: Hub,
        sessions: Callable[[], dict[str, Session]],
        server: str,
        remote_sources: RemoteSources,
        ready: Callable[[str], Awaitable[None]],
    ) -> None:
        self._socket = socket
        self._send_frame: Callable[[bytes, bool], Awaitable[None]] = socket.state.send_frame
        self._permissions = permissions
        self._hub = hub
        self._sessions = sessions
        self._server = server
        self._ready = ready
        self._binary = MSGPACK_SUBPROTOCOL in socket.scope["subprotocols"]
        if self._binary:
            socket.state.give_at_once(self.take_at_once)
        self._inbox = RemoteInbox(remote_sources)
        self._readers: dict[Session, SessionReader] = {}
        self._fresh: dict[Session, None] = {}  # where readers may find something, in order
        self._requests: asyncio.Queue[Request] = asyncio.Queue(MAX_PENDING_REQUESTS)
        self._states = hub.states.next
        self._woken = asyncio.Event()
        self._beat = False
        self._acked = -math.inf  # when samples were acknowledged last
        self._acking: asyncio.TimerHandle | None = None
        self._id: str | None = None
        self._peer = socket.client.host if socket.client else None
        self._errors: set[str] = set()

    def wake(self, session: Session | None = None) -> None:
        """Wake the sender: there is something new, in a session if one is named."""
        if session is not None:
            self._fresh[session] = None
        self._woken.set()

    def beat(self) -> None:
        """Send a heartbeat; if the last one still waits, only one is sent."""
        self._beat = True
        self._woken.set()

    async def serve(self) -> None:
        """Serve until the client leaves, or its login ends."""
        self._id = self._hub.join(self)
        log.info("client came", extra={"client": self._id, "peer": self._peer})
        try:
            async with anyio.create_task_group() as tasks:
                # Either may wait for the other when the client leaves.
                for half in (self._send_all, self._receive_all):
                    tasks.start_soon(_run_then, half, tasks.cancel_scope.cancel)
        finally:
            if self._acking is not None:
                self._acking.cancel()
            self._hub.leave(self)
            log.info("client left", extra={"client": self._id})

    async def _receive_all(self) -> None:
        while True:
            frame = await self._socket.receive()
            if frame["type"] == "websocket.disconnect":
                if frame["code"] in CLOSE_CODES:
                    self._count_error(CLOSE_CODES[frame["code"]])
                return
            payload = frame.get("bytes") if self._binary else frame.get("text")
            message = decode_frame(payload, self._binary)
            self._inbox.touch()
            if isinstance(message, Error):  # it may have held samples, which are no gap
                self._inbox.reset()
            request = message if isinstance(message, Error) else await self._take(message)
            if request is not None:
                await self._requests.put(request)
            elif isinstance(message, Samples):
                self._owe_ack()
                continue
            self._woken.set()

    def _owe_ack(self) -> None:
        """Acknowledge samples now, or later those that come soon together with these."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._acked + ACK_SECONDS:
            self._acknowledge()
        elif self._acking is None:
            self._acking = loop.call_at(self._acked + ACK_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        self._acked, self._acking = asyncio.get_running_loop().time(), None
        self._woken.set()

    def take_at_once(self, payload: bytes) -> bool:
        """Take samples while the connection is read; False for all that is to wait its turn.

        To wake the receiver takes longer than all else that is done with samples.
        """
        if not self._inbox.pushes:
            return False
        message = decode_frame(payload, binary=True)
        if not isinstance(message, Samples) or self._permissions.refusal(message) is not None:
            return False
        if not self._inbox.take_at_once(message):
            return False
        self._owe_ack()
        return True

    async def _take(self, message: ClientMessage) -> Request | None:
        """Carry out a message; return it for the sender to answer, or the answer."""
        if isinstance(message, Auth):
            refusal = self._permissions.authenticate(message)
            if refusal is not None:
                return Error("unauthenticated", refusal.reason, message.id)
            return self._hello()
        refused = self._permissions.refusal(message)
        if refused is not None:
            return refused
        if isinstance(message, Subscribe):
            await self._ready(message.session)
        if isinstance(message, Push | Samples):
            # Samples for a busy session wait here, and so do those in the acquirer's socket.
            return await self._inbox.take(message)
        return message

    async def _send_all(self) -> None:
        try:
            if self._hub.farewell is None:  # else a client would take it for a service that works
                await self._send(self._greeting())
            while self._permissions.scope is not None:
                # What an acquirer sends is kept here for the bus, and in order.
                if self._hub.farewell is not None and not self._inbox.pushes:
                    await self._socket.close(TRY_AGAIN_LATER, self._hub.farewell)
                    return
                if frames := self._due():
                    await self._send(frames)
                else:
                    self._woken.clear()
                    await self._woken.wait()
            await self._socket.close(TOKEN_WANTED, "the login has ended; log in again")
        except (WebSocketDisconnect, ClientDisconnected):
            return

    async def _send(self, frames: list[bytes]) -> None:
        for frame in frames:
            await self._send_frame(frame, self._binary)
            self._hub.counters.on_sent(frame)

    def _greeting(self) -> list[bytes]:
        """Return hello and the state of each session."""
        self._states = self._hub.states.next
        messages: list[ServerMessage] = [self._hello()]
        for session in self._sessions().values():
            if session.logs is not None:
                messages.append(SessionState(session.name, "opened"))
            if session.state == "ended":
                messages.append(SessionState(session.name, "ended", session.reason))
        return [encode(message, self._binary) for message in messages]

    def _hello(self) -> Hello:
        may = self._permissions
        return Hello(PROTOCOL, self._server, clock_now(), may.scope, may.login, may.auth_id)

    def _due(self) -> list[bytes]:
        """Return the frames to send next; none if there is nothing new."""
        if not self._requests.empty():
            return self._answer(self._requests.get_nowait())
        acks = self._inbox.acks()
        if acks:
            return [encode(ack, self._binary) for ack in acks]
        if self._beat:
            self._beat = False
            return [encode(Heartbeat(clock_now()), self._binary)]
        return self._news() or self._next_state()

    def _news(self) -> list[bytes]:
        """Return a batch of each session in which there is something new."""
        news: list[bytes] = []
        fresh, self._fresh = self._fresh, {}
        for session in fresh:
            if session in self._readers and (frames := self._readers[session].take()):
                self._fresh[session] = None  # there may be more
                news += frames
        return news

    def _next_state(self) -> list[bytes]:
        """Return the next change of a session's state, once everything before it is sent."""
        if self._states == self._hub.states.next:
            return []
        seq, state = self._hub.states.read(self._states, self._hub.states.next)[0]
        self._states = seq + 1
        there = self._sessions()
        for gone in [each for each in self._readers if there.get(each.name) is not each]:
            self._unfollow(gone)
        return [encode(state, self._binary)]

    def _answer(self, request: Request) -> list[bytes]:
        if isinstance(request, Error | Pushing | Hello):
            return self._encode_answers(request)
        if isinstance(request, Ping):
            return self._encode_answers(Pong(request.t, clock_now(), request.id))
        session = self._sessions().get(request.session)
        if session is None or session.logs is None:
            there = ", ".join(sorted(self._sessions())) or "none"
            text = f"Expected an open session, but found {request.session!r}. There are: {there}."
            return self._encode_answers(Error("no_session", text, request.id))
        if isinstance(request, Subscribe):
            return [self._subscribe(session, request)]
        if isinstance(request, Mark):
            return self._encode_answers(*answer_mark(session, request))
        return self._unsubscribe(session, request)

    def _encode_answers(self, *answers: ServerMessage) -> list[bytes]:
        for each in answers:
            if isinstance(each, Error):
                self._count_error(each.code)
        return [encode(each, self._binary) for each in answers]

    def _count_error(self, code: str) -> None:
        """Count a client's error; log it once, as a flood of them would fill the log."""
        self._hub.counters.errors[code] += 1
        if code not in self._errors:
            self._errors.add(code)
            extra = {"client": self._id, "peer": self._peer, "code": code}
            log.warning("client erred", extra=extra)

    def _subscribe(self, session: Session, request: Subscribe) -> bytes:
        if session not in self._readers:
            self._readers[session] = SessionReader(session, self._hub.frames(session), self._binary)
        self._fresh[session] = None
        reader = self._readers[session]
        self._hub.follow(session, self, reader.views or not VIEWED.isdisjoint(request.topics))
        reader.subscribe(request.topics, request.since)
        return reader.describe(request.id)

    def _unsubscribe(self, session: Session, request: Unsubscribe) -> list[bytes]:
        if session in self._readers:
            self._readers[session].unsubscribe(request.topics)
            if self._readers[session].idle:
                self._unfollow(session)
            else:
                self._hub.follow(session, self, self._readers[session].views)
        return [] if request.id is None else [encode(Ok(request.id), self._binary)]

    def _unfollow(self, session: Session) -> None:
        del self._readers[session]
        self._hub.unfollow(session, self)


def answer_mark(session: Session, request: Mark) -> list[Ok | Error]:
    """Set a marker and return the answer."""
    try:
        set_marker(session, request.label, request.timestamp, "websocket")
    except BadLabel as error:
        return [Error("bad_label", str(error), request.id)]
    except BadTimestamp as error:
        return [Error("bad_timestamp", str(error), request.id)]
    except SessionOver as error:
        return [Error("session_over", str(error), request.id)]
    return [] if request.id is None else [Ok(request.id)]


async def _run_then(run: Callable[[], Awaitable[None]], end: Callable[[], None]) -> None:
    """Run one half of a connection, then end both."""
    await run()
    end()
