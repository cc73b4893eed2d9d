"""One connection of an acquirer: it tells what it sends, sends it, and hears what has arrived."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from mimamba.drivers.push import Packet
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.acquire.clock_offset import OffsetEstimate
from mimamba.service.acquire.outbox import Outbox
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
from mimamba.service.protocol.push import Ack, Push, Pushing, Samples

SILENCE = 3.0
"""Seconds without any message, three heartbeats, after which a connection counts as dead."""
PINGS = 5
"""Answers to know the service's clock by before the first sample is sent."""
PING_PERIOD = 0.5
"""Seconds; a service calls an acquirer lost that is silent for four of them."""
BATCH = 32
"""Packets taken from the outbox at a time."""


class Delivery:
    """A conversation that empties the outbox as long as the connection lasts.

    Parameters
    ----------
    socket
        Speaks msgpack.
    push
        What to open, or to go on with.
    outbox
        What to send.
    on_open
        Told the session's id when the service has opened it.
    on_loss
        Told a line where the service refuses samples.

    Attributes
    ----------
    session
        The session's id, once the service has told it.
    refusal
        Why the service takes no more, where it does not.
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
        """There may be more to send."""
        self._news.set()

    async def run(self) -> None:
        """Deliver until all is acknowledged, the service refuses, or the connection is gone."""
        async with asyncio.TaskGroup() as tasks:
            ping = tasks.create_task(self._ping())
            send = tasks.create_task(self._send())
            await self._listen()
            ping.cancel()
            send.cancel()

    async def _listen(self) -> None:
        try:
            while not (self._outbox.delivered or self.refusal):
                async with asyncio.timeout(SILENCE):
                    frame = await self._socket.recv()
                try:
                    self._hear(decode_server(frame))
                except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                    self.refusal = f"Expected a service of protocol v1, but found: {error}."
        except ConnectionClosed as closed:
            self._leave(closed)
        except TimeoutError:
            pass  # the same as a lost connection

    def _leave(self, told: Hello | ConnectionClosed) -> None:
        """Give up where we are not let in."""
        refused = refusal_of(told, need="control")
        if refused:
            self.refusal = str(refused)

    def _hear(self, message: ServerMessage) -> None:
        match message:
            case Hello():
                self._leave(message)
            case Pong():
                self._estimate.note(message.t, local_clock(), message.clock.lsl)
                self._answered.set()
                if self._estimate.known >= PINGS:
                    self._timed.set()
            case Pushing():
                self.session, self._next = message.session, message.next
                self._outbox.acknowledge(message.next - 1)
                self._opened.set()
                self._on_open(message.session)
            case Ack():
                self._outbox.acknowledge(message.seq)
            case Error(code="bad_samples", id=int(seq)):
                lost = self._outbox.refuse(seq)
                self._on_loss(f"{lost} samples were refused: {message.message}")
            case Error():
                self.refusal = message.message

    async def _ping(self) -> None:
        """Ask for the service's clock; these are also the signs of life."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._answered.clear()
                await self._say(Ping(local_clock()))
                await self._answered.wait()
                if self._timed.is_set():
                    await asyncio.sleep(PING_PERIOD)

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._timed.wait()
            await self._say(self._push)
            await self._opened.wait()
            while True:
                self._news.clear()
                packets = self._outbox.read(self._next, BATCH)
                for packet in packets:
                    await self._say(self._message(packet))
                    self._next = packet.seq + 1
                if not packets:
                    await self._news.wait()

    async def _say(self, message: ClientMessage) -> None:
        await self._socket.send(encode(message, binary=True))

    def _message(self, packet: Packet) -> Samples:
        assert self.session is not None
        chunk = packet.chunk
        return Samples(
            self.session,
            packet.seq,
            chunk.first,
            np.ascontiguousarray(chunk.timestamps, "<f8").tobytes(),
            np.ascontiguousarray(chunk.data, "<f4").tobytes(),
            self._estimate.offset,
            chunk.epoch,
            list(chunk.markers),
            list(packet.changes),
            packet.ends,
        )
