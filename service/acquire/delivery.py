"""Delivery over one connection: announces the stream, sends packets, handles acknowledgements."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from mimamba.drivers.timing.clock import local_clock
from mimamba.service.acquire.clock_offset import OffsetEstimate
from mimamba.service.acquire.outbox import Outbox
from mimamba.service.acquire.packet_message import samples_message
from mimamba.service.client.credentials import refusal_of
from mimamba.service.protocol.messages import (
    ClientMessage,
    Error,
    Hello,
    Ping,
    Pong,
    ServerMessage,
    decode_server,
    encode,
)
from mimamba.service.protocol.push import Ack, Push, Pushing

SILENCE = 3.0
"""Seconds without any message, three heartbeats, after which a connection counts as lost."""
PINGS = 5
"""Answers for the clock offset before the first sample is sent."""
PING_PERIOD = 0.5
"""Seconds; after four without a ping the service counts an acquirer as lost."""
BATCH = 32
"""Packets read from the outbox at a time."""


class Delivery:
    """Empties the outbox while one connection lasts.

    Parameters
    ----------
    socket
        A connection with msgpack frames.
    push
        The stream to open or continue.
    outbox
        Packets to send.
    on_open
        Called with the session's id when the service has opened it.
    on_loss
        Called with a message when the service refuses samples.

    Attributes
    ----------
    session
        The session's id, once the service has opened it.
    refusal
        Reason why the service refuses the stream, if it does.
    damage
        Error in a frame that could not be read and ended the connection, if there was one.
    accepted
        Whether the service has accepted the stream or a part of it over this connection.
    """

    def __init__(
        self,
        socket: ClientConnection,
        push: Push,
        outbox: Outbox,
        on_open: Callable[[str], None],
        on_loss: Callable[[str], None],
    ) -> None:
        self.session: str | None = None
        self.refusal: str | None = None
        self.damage: str | None = None
        self.accepted = False
        self._socket = socket
        self._push = push
        self._outbox = outbox
        self._on_open = on_open
        self._on_loss = on_loss
        self._next = 0
        self._estimate = OffsetEstimate()
        self._answered = asyncio.Event()
        self._timed = asyncio.Event()
        self._opened = asyncio.Event()
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Look for new packets."""
        self._news.set()

    async def run(self) -> None:
        """Deliver until everything is acknowledged or refused, or the connection is lost."""
        async with asyncio.TaskGroup() as tasks:
            ping = tasks.create_task(self._ping())
            send = tasks.create_task(self._send())
            await self._receive()
            ping.cancel()
            send.cancel()

    async def _receive(self) -> None:
        try:
            while not (self._outbox.delivered or self.refusal or self.damage):
                async with asyncio.timeout(SILENCE):
                    frame = await self._socket.recv()
                try:
                    self._handle(decode_server(frame))
                except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                    # One frame may be damaged on its way: a new connection repeats what counts.
                    self.damage = str(error) or type(error).__name__
        except ConnectionClosed as closed:
            self._check_access(closed)
        except TimeoutError:
            pass  # the same as a lost connection

    def _check_access(self, answer: Hello | ConnectionClosed) -> None:
        """Stop if the token is not accepted."""
        refused = refusal_of(answer, required="control")
        if refused:
            self.refusal = str(refused)

    def _handle(self, message: ServerMessage) -> None:
        match message:
            case Hello():
                self._check_access(message)
            case Pong():
                self._estimate.note(message.t, local_clock(), message.clock.lsl)
                self._answered.set()
                if self._estimate.known >= PINGS:
                    self._timed.set()
            case Pushing():
                self.session, self._next = message.session, message.next
                self._outbox.acknowledge(message.next - 1)
                self.accepted = True
                self._opened.set()
                self._on_open(message.session)
            case Ack():
                self._outbox.acknowledge(message.seq)
            case Error(code="bad_samples", id=int(seq)):
                lost = self._outbox.refuse(seq)
                self._on_loss(f"{lost} samples were refused: {message.message}")
            case Error(code="bad_message" | "bad_frame"):
                self.damage = message.message
            case Error():
                self.refusal = message.message

    async def _ping(self) -> None:
        """Ask for the service's clock; these pings also show that the acquirer is alive."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._answered.clear()
                await self._send_message(Ping(local_clock()))
                await self._answered.wait()
                if self._timed.is_set():
                    await asyncio.sleep(PING_PERIOD)

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._timed.wait()
            await self._send_message(self._push)
            await self._opened.wait()
            assert self.session is not None
            while True:
                self._news.clear()
                packets = self._outbox.read(self._next, BATCH)
                for packet in packets:
                    message = samples_message(self.session, packet, self._estimate.offset)
                    await self._send_message(message)
                    self._next = packet.seq + 1
                if not packets:
                    await self._news.wait()

    async def _send_message(self, message: ClientMessage) -> None:
        await self._socket.send(encode(message, binary=True))
