"""The acquirer: runs a source here and sends its samples to a service elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from mimamba.drivers.driver import LinkChange
from mimamba.drivers.errors import StreamLost, UserError
from mimamba.drivers.open import open_source
from mimamba.service.acquire.delivery import Delivery
from mimamba.service.acquire.outbox import SECONDS, Outbox
from mimamba.service.client.client import ServiceUnreachable, stream_url
from mimamba.service.client.credentials import NOTHING, Credentials, mend_of, refusal_of
from mimamba.service.protocol.messages import MSGPACK_SUBPROTOCOL, Hello, decode_server
from mimamba.service.protocol.push import Push

State: TypeAlias = Literal["connecting", "connected", "reconnecting"]

OPENING = 5.0
"""Seconds that an attempt to connect may take."""
CLOSING = 1.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
FOREIGN = (
    *(OSError, ConnectionClosed, InvalidHandshake, InvalidURI),
    *(msgspec.MsgspecError, UnicodeError, RecursionError),
)
"""What comes of an address where no service is, or one that will not talk to us."""
GOODBYE = 5.0
"""Seconds to deliver what is left when interrupted."""


class PushRefused(UserError):
    """The service does not take this stream; one clear line."""


class Acquirer:
    """Sends a source's samples, and again what was not acknowledged, over every reconnection.

    Parameters
    ----------
    source
        Its URL, as ``drivers.open_source`` takes it.
    to
        The service's address, e.g. ``wss://host``.
    session, model, memory
        What to ask of the service, as in ``Push``.
    buffer
        Seconds of signal kept while it cannot be sent.
    on_change
        Told what a person should know, a line each; called on the event loop.
    credentials
        The token to show, and the certificates to trust.

    Raises
    ------
    ServiceUnreachable
        If ``to`` is no address.
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
        credentials: Credentials = NOTHING,
    ) -> None:
        self.state: State = "connecting"
        self.session: str | None = None
        self.outbox: Outbox | None = None
        self._driver = open_source(source, self._link_changed)
        self._url = stream_url(to)
        self._stream = secrets.token_hex(16)
        self._wish, self._model, self._memory = session, model, memory
        self._buffer = buffer
        self._on_change = on_change
        self._credentials = credentials
        self._begun = asyncio.Event()
        self._delivery: Delivery | None = None
        self._refusal: str | None = None
        self._loop: asyncio.AbstractEventLoop

    async def run(self) -> None:
        """Send until the source ends; if cancelled, say so to the service and return.

        Raises
        ------
        ServiceUnreachable
            If no service answers at first; later it is tried again for ever.
        NotLetIn
            If it wants a token for control.
        DriverError
            If the source cannot be opened or read.
        PushRefused
            If the service does not take the stream.
        """
        self._loop = asyncio.get_running_loop()
        await self._greet()
        reading = asyncio.create_task(asyncio.to_thread(self._read))
        reading.add_done_callback(lambda _: self._begun.set())
        delivering = asyncio.create_task(self._deliver())
        try:
            await asyncio.shield(delivering)
        except asyncio.CancelledError:
            await self._say_goodbye(reading, delivering)
            return
        finally:
            self._stop()
        await reading
        if self._refusal is not None:
            raise PushRefused(self._refusal)

    async def _greet(self) -> None:
        """Ask whether the service is there and lets us in, before the headset is bothered."""
        try:
            refused = refusal_of(await self._hear_hello(), need="control")
        except FOREIGN as error:
            refused = refusal_of(error) if isinstance(error, ConnectionClosed) else None
            raise refused or ServiceUnreachable(
                f"Expected a mimamba service at {self._url}, but found: "
                f"{error or type(error).__name__}; {mend_of(error)}."
            ) from error
        if refused:
            raise refused

    async def _hear_hello(self) -> Hello:
        """What a service says first."""
        async with await self._dial() as socket, asyncio.timeout(OPENING):
            return msgspec.convert(decode_server(await socket.recv()), Hello)

    async def _say_goodbye(
        self, reading: asyncio.Task[None], delivering: asyncio.Task[None]
    ) -> None:
        """Interrupted: deliver what is there for a bounded time."""
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        self._stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(delivering, GOODBYE)
        with contextlib.suppress(StreamLost):  # closed while it was connecting
            await reading
        left = self.outbox.seconds if self.outbox else 0.0
        if left:
            self._on_change(f"{left:.1f} s of signal could not be delivered")

    def _stop(self) -> None:
        self._driver.close()
        if self.outbox is not None:
            self.outbox.end()

    # In the source's thread ----------------------------------------------------------------------

    def _read(self) -> None:
        with self._driver as driver:
            outbox = Outbox(driver.info, self._wake, self._buffer)
            self.outbox = outbox
            self._loop.call_soon_threadsafe(self._begun.set)
            try:
                for chunk in driver:
                    outbox.put(chunk)
            finally:
                outbox.end()

    def _link_changed(self, change: LinkChange) -> None:
        """From the source's supervisor."""
        assert self.outbox is not None
        self.outbox.tell(change)
        self._tell(f"{change.state}: {change.detail}")

    # From any thread -----------------------------------------------------------------------------

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._woken)

    def _tell(self, line: str) -> None:
        self._loop.call_soon_threadsafe(self._on_change, line)

    # On the event loop ---------------------------------------------------------------------------

    def _woken(self) -> None:
        if self._delivery is not None:
            self._delivery.wake()

    async def _deliver(self) -> None:
        """Connect, and again with longer and longer pauses, until nothing is left to send."""
        await self._begun.wait()
        pause = SHORTEST_PAUSE
        while self.outbox is not None:
            try:
                socket = await self._dial()
            except (OSError, InvalidHandshake) as error:
                self._lose(str(error) or type(error).__name__)
            else:
                if await self._converse(socket, self.outbox):
                    return
                if self.state == "connected":
                    pause = SHORTEST_PAUSE
                self._lose("the connection was lost")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _dial(self) -> ClientConnection:
        return await connect(
            self._url,
            subprotocols=[Subprotocol(MSGPACK_SUBPROTOCOL)],
            compression=None,  # EEG hardly shrinks
            additional_headers=self._credentials.headers,
            ssl=self._credentials.context(self._url),
            open_timeout=OPENING,
            close_timeout=CLOSING,
        )

    async def _converse(self, socket: ClientConnection, outbox: Outbox) -> bool:
        """Deliver over one connection; whether all is delivered, or refused."""
        push = Push(self._stream, outbox.info, self._wish, self._model, self._memory)
        self._delivery = delivery = Delivery(socket, push, outbox, self._opened, self._on_change)
        try:
            await delivery.run()
        finally:
            await socket.close()
            self._delivery = None
        self._refusal = delivery.refusal
        return outbox.delivered or self._refusal is not None

    def _opened(self, session: str) -> None:
        self.state, self.session = "connected", session
        self._on_change(f"session {session} is open at {self._url}")

    def _lose(self, reason: str) -> None:
        if self.state != "reconnecting":
            self._on_change(f"{reason}; samples are kept for {self._buffer:g} s")
        self.state = "reconnecting"
