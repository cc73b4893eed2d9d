"""Requests of a gateway to the worker of a session, in order, and the answers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine

from mimamba.service.bus.bus import Bus, BusMessage, NotStored, publish, start_on
from mimamba.service.cluster.request_messages import (
    Answer,
    Asked,
    BeginBaseline,
    Request,
    WithdrawRest,
)
from mimamba.service.cluster.requests import ANSWER_SECONDS, make_void, raise_refusal
from mimamba.service.cluster.subjects import (
    View,
    Viewed,
    decode_or_none,
    input_subject,
    output_subject,
    pack,
)

RETRY_SECONDS = 0.2
DRAIN_SECONDS = 1.0
"""For the bus to store what is still to be told, as the gateway ends."""


class WorkerRequests:
    """The way from a gateway to the worker of one session; made on the bus's event loop.

    Parameters
    ----------
    bus
        The bus.
    session
        Name of the session.
    show
        Called on the event loop with the session's newest view, after each answer.
    notes
        Returns whether the session's worker notes which requests it carries out.
    patience
        Seconds for a worker to carry a request out.
    """

    def __init__(
        self,
        bus: Bus,
        session: str,
        show: Callable[[View], None],
        notes: Callable[[], bool],
        patience: float = ANSWER_SECONDS,
    ) -> None:
        self._patience, self._notes = patience, notes
        self._bus, self._session, self._show = bus, session, show
        self._loop = asyncio.get_running_loop()
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, asked: Asked) -> Answer:
        """Ask for something, from any thread but the event loop's, and return the answer.

        Raises its refusal, or NotStored: then it is not carried out any more, or the error says
        what is not known.
        """
        return start_on(self._loop, self._ask(asked)).result()

    async def _ask(self, asked: Asked) -> Answer:
        request = Request(secrets.token_hex(8), asked, noted=True)
        async with self._bus.follow(output_subject(self._session, "answers"), "now") as messages:
            hearing = asyncio.create_task(self._hear(request, messages))
            sending = asyncio.create_task(self._send(request))
            try:
                await asyncio.wait([hearing], timeout=self._patience)
                if not hearing.done():
                    await self._give_up(request)
                    await asyncio.wait([hearing], timeout=self._patience)
                if not hearing.done():
                    raise self._unknown(request, "found none, though it has begun")
                answer = hearing.result()
            finally:
                for task in (hearing, sending):
                    task.cancel()
                await asyncio.gather(hearing, sending, return_exceptions=True)
        if answer.refusal is not None:
            raise_refusal(answer.refusal)
        for message in await self._bus.newest(output_subject(self._session, "view")):
            if (view := decode_or_none(message.payload, View)) is not None:
                self._show(view)
        return answer

    async def _hear(self, request: Request, messages: AsyncIterator[BusMessage]) -> Answer:
        async for message in messages:
            answer = decode_or_none(message.payload, Answer)
            if answer is not None and answer.id == request.id:
                return answer
        raise NotStored("the connection is closed")

    async def _give_up(self, request: Request) -> None:
        """Raise NotStored unless a worker carries a request out: it is void, or nobody knows."""
        try:
            if not await make_void(self._bus, self._session, request):
                return
        except NotStored:
            raise self._unknown(request, "the bus does not answer") from None
        if not self._notes():
            raise self._unknown(request, "found none, and the worker is of an older version")
        raise NotStored(
            f"Expected an answer of the worker of {self._session} within {self._patience:g} s, "
            "but found none. It is not carried out any more: try again."
        )

    def _unknown(self, request: Request, found: str) -> NotStored:
        """Make the error for a request of which is not known if it was carried out."""
        then = "It may have been carried out: look at the session before you try again."
        if isinstance(request.asked, BeginBaseline):
            self._tell(Request(secrets.token_hex(8), WithdrawRest(request.id)))
            then = (
                "It is withdrawn once the bus answers, unless it is complete by then: look at the "
                "session before you try again."
            )
        return NotStored(
            f"Expected an answer of the worker of {self._session} within {self._patience:g} s, "
            f"but {found}. {then}"
        )

    def tell(self, asked: Asked, name: str | None = None) -> None:
        """Ask for something, by its name once, without waiting for it; from any thread."""
        request = Request(name or secrets.token_hex(8), asked)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._tell, request)

    def _tell(self, request: Request) -> None:
        self.soon(self._send(request))

    def soon(self, work: Coroutine[None, None, None]) -> None:
        """Start work on the event loop, and keep it until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def tell_viewed(self, seconds: float) -> None:
        """Tell, if the bus answers, that somebody views the session's signal for so long."""
        with contextlib.suppress(NotStored):
            await publish(self._bus, input_subject(self._session), pack(Viewed(seconds)))

    async def _send(self, request: Request) -> None:
        """Send a request until it is stored, once, after those before it."""
        async with self._sending:
            while True:
                try:
                    subject = input_subject(self._session)
                    await publish(self._bus, subject, pack(request), name=request.id)
                except NotStored:
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    return

    async def drain(self) -> None:
        """Wait until what was told is on the bus."""
        await asyncio.sleep(0)  # until it is waited for
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS), self._sending:
                pass
