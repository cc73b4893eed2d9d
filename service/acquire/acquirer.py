"""Acquirer: reads a source here and sends its samples to a service elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from mimamba.service.acquire.delivery import Delivery
from mimamba.service.acquire.outbox import SECONDS, Outbox
from mimamba.service.acquire.source_acquirer import PushRefused, SourceAcquirer
from mimamba.service.client.client import ServiceUnreachable, stream_url
from mimamba.service.client.credentials import (
    NO_CREDENTIALS,
    Credentials,
    describe_unreachable,
    refusal_of,
)
from mimamba.service.protocol.messages import MSGPACK_SUBPROTOCOL, Hello, decode_server
from mimamba.service.protocol.push import Push

OPENING = 5.0
"""Seconds that an attempt to connect may take."""
CLOSING = 1.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
CONNECT_ERRORS = (
    *(OSError, ConnectionClosed, InvalidHandshake, InvalidURI),
    *(msgspec.MsgspecError, UnicodeError, RecursionError),
)
"""Errors if no service, or another program, answers at an address."""
MAX_DAMAGED = 5
"""Connections in succession that may end with a frame that cannot be read."""


class Acquirer(SourceAcquirer):
    """Sends a source's samples, and after a reconnection again those not acknowledged.

    Parameters
    ----------
    source
        Its URL, as for ``drivers.open_source``.
    to
        The service's address, e.g. ``wss://host``.
    session, model, memory
        As in ``Push``.
    buffer
        Seconds of signal to keep while the service is unreachable.
    on_change
        Gets messages for a person, a line each; called on the event loop.
    credentials
        The token to send, and the certificates to trust.

    Raises
    ------
    ServiceUnreachable
        If ``to`` is not an address.
    """

    def __init__(
        self,
        source: str,
        to: str,
        session: str | None = None,
        model: str | None = None,
        memory: bool = True,
        buffer: float = SECONDS,
        on_change: Callable[[str], None] = lambda _: None,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        super().__init__(source, buffer, on_change)
        self._url = stream_url(to)
        self._wish, self._model, self._memory = session, model, memory
        self._credentials = credentials
        self._delivery: Delivery | None = None
        self._refusal: str | None = None
        self._loss = "the connection was lost"
        self._damaged = 0  # connections in succession that ended with a frame not read

    async def run(self) -> None:
        """Send until the source ends; if cancelled, deliver the rest and return.

        Raises
        ------
        ServiceUnreachable
            If no service answers at first; later it reconnects without limit.
        Unauthorized
            If the service requires a token for control.
        DriverError
            If the source cannot be opened or read.
        PushRefused
            If the service refuses the stream.
        """
        await self._check_service()
        reading = self._start_reading()
        delivering = asyncio.create_task(self._deliver())
        try:
            await asyncio.shield(delivering)
        except asyncio.CancelledError:
            await self._finish(reading, delivering)
            return
        finally:
            self._stop()
        await reading
        if self._refusal is not None:
            raise PushRefused(self._refusal)

    async def _check_service(self) -> None:
        """Check that the service answers and accepts the token, before the headset is opened."""
        try:
            refused = refusal_of(await self._receive_hello(), required="control")
        except CONNECT_ERRORS as error:
            refused = refusal_of(error) if isinstance(error, ConnectionClosed) else None
            unreachable = ServiceUnreachable(describe_unreachable(self._url, error))
            raise refused or unreachable from error
        if refused:
            raise refused

    async def _receive_hello(self) -> Hello:
        """Return a service's first message."""
        async with await self._connect() as socket, asyncio.timeout(OPENING):
            return msgspec.convert(decode_server(await socket.recv()), Hello)

    # On the event loop ---------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._delivery is not None:
            self._delivery.wake()

    async def _deliver(self) -> None:
        """Connect, with longer and longer pauses, until everything is delivered."""
        await self._source_open.wait()
        pause = SHORTEST_PAUSE
        while self.outbox is not None:
            try:
                socket = await self._connect()
            except (OSError, InvalidHandshake) as error:
                self._note_loss(str(error) or type(error).__name__)
            else:
                if await self._run_delivery(socket, self.outbox):
                    return
                if self.state == "connected":
                    pause = SHORTEST_PAUSE
                self._note_loss(self._loss)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _connect(self) -> ClientConnection:
        return await connect(
            self._url,
            subprotocols=[Subprotocol(MSGPACK_SUBPROTOCOL)],
            compression=None,  # EEG can hardly be compressed
            additional_headers=self._credentials.headers,
            ssl=self._credentials.context(self._url),
            open_timeout=OPENING,
            close_timeout=CLOSING,
        )

    async def _run_delivery(self, socket: ClientConnection, outbox: Outbox) -> bool:
        """Deliver over one connection; returns whether everything is delivered or refused."""
        push = Push(self._stream, outbox.info, self._wish, self._model, self._memory)
        self._delivery = delivery = Delivery(socket, push, outbox, self._opened, self._on_change)
        try:
            await delivery.run()
        finally:
            await socket.close()
            self._delivery = None
        self._refusal = delivery.refusal
        self._loss = "the connection was lost"
        if delivery.damage is not None:
            self._loss = f"a message could not be read ({delivery.damage})"
            self._damaged = 1 if delivery.accepted else self._damaged + 1
            if self._damaged == MAX_DAMAGED:
                self._refusal = (
                    f"The service does not speak protocol v1 ({delivery.damage}). "
                    "Update one of the two."
                )
        else:
            self._damaged = 0
        return outbox.delivered or self._refusal is not None

    def _opened(self, session: str) -> None:
        self.state, self.session = "connected", session
        self._on_change(f"session {session} is open at {self._url}")

    def _note_loss(self, reason: str) -> None:
        if self.state != "reconnecting":
            self._on_change(f"{reason}; samples are kept for {self._buffer:g} s")
        self.state = "reconnecting"
