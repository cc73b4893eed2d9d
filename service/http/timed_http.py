"""HTTP under uvicorn that knows how long a connection has waited for its client.

A client that asks too often is held: nothing is read from its connection for a while. A request
that is none is answered as by uvicorn, but counted and limited instead of logged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from mimamba.service.http.allowance import StrangerAllowances
from mimamba.service.monitoring.service_counters import ServiceCounters

Awaited: TypeAlias = Literal["head", "body", "reading"]
"""Part that a client owes: a request's head, its body, or reading the answer."""

READ_SECONDS = 30.0
"""For a client to read on: as long as a subscriber may take."""
MAX_HEAD = 1 << 14
"""Bytes of a request's head: to read one of 60 KiB takes 20 ms, and anyone may send one."""
BLANK_LINE = re.compile(rb"\n\r?\n")
PROGRESS = 4096
"""Bytes that count as progress; a client that moves fewer in its time is as good as silent."""


@dataclass
class Wait:
    """A wait for a client: the part, its request, the start (s), and the bytes moved until then."""

    part: Awaited
    request: object
    since: float
    moved: int


class TimedHTTPProtocol(H11Protocol):
    """uvicorn's protocol, with ``is_overdue`` and ``hold``. Parameters are those of uvicorn.

    The application may call ``state.hold`` of its scope.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._received = 0
        self._wait: Wait | None = None
        self._held = False
        self._application = self.app
        self.app = self._run

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, which can call ``hold``."""
        scope["state"]["hold"] = self.hold
        await self._application(scope, receive, send)

    def data_received(self, data: bytes) -> None:
        """Count what is received."""
        self._received += len(data)
        super().data_received(data)

    def handle_events(self) -> None:
        """Read on, but no head that is too long: h11 notices that only while it is not complete."""
        if self.conn.their_state is h11.IDLE:
            read, _ = self.conn.trailing_data
            if len(read) > MAX_HEAD and not BLANK_LINE.search(read, 0, MAX_HEAD):
                self.send_400_response("The head of the request is too long.")
                return
        super().handle_events()

    def hold(self, held: bool) -> None:
        """Read nothing from the client for a while, or read on."""
        self._held = held
        if self.transport.is_closing():
            return
        if held:
            self.flow.pause_reading()
        else:
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request and close; where many come from an address, only later."""
        counters: ServiceCounters = self.app_state["counters"]
        strangers: StrangerAllowances = self.app_state["strangers"]
        counters.errors["invalid_request"] += 1
        wait = strangers.requests.take(self.client[0] if self.client else "")
        if wait:
            self.hold(True)
            self.loop.call_later(wait, self._answer_invalid, msg)
        else:
            self._answer_invalid(msg)

    def _answer_invalid(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the client alone is to blame, and gets an answer over HTTP."""

    @property
    def idle(self) -> bool:
        """True if no request is there to answer, or one is held."""
        return self._held or self._awaited == "head"

    def is_overdue(self, now: float, seconds: float) -> bool:
        """Return whether the client has made no progress for too long; call it every second.

        Parameters
        ----------
        now
            On any clock, s.
        seconds
            For a request's head, and for each 4 KiB of its body; reading the answer may take 30 s.
        """
        part = self._awaited
        if part is None:
            self._wait = None
            return False
        reading = part == "reading"
        moved = self.transport.get_write_buffer_size() if reading else self._received
        wait = self._wait
        if wait is None or wait.part != part or wait.request is not self.cycle:
            self._wait = Wait(part, self.cycle, now, moved)
            return False
        if part != "head" and abs(moved - wait.moved) >= PROGRESS:
            wait.since, wait.moved = now, moved
        return now - wait.since >= (READ_SECONDS if reading else seconds)

    @property
    def _awaited(self) -> Awaited | None:
        if self._held:
            return None
        if self.flow.write_paused:
            return "reading"
        if self.conn.their_state is h11.IDLE:
            return "head"
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            return "body"
        return None
