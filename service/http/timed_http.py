"""HTTP under uvicorn that knows how long a connection has waited for its client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

Awaited: TypeAlias = Literal["head", "body", "reading"]
"""Part that a client owes: a request's head, its body, or reading the answer."""

READ_SECONDS = 30.0
"""For a client to read on: as long as a subscriber may take."""
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
    """uvicorn's protocol, with ``is_overdue``. Parameters are those of uvicorn."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._received = 0
        self._wait: Wait | None = None

    def data_received(self, data: bytes) -> None:
        """Count what is received."""
        self._received += len(data)
        super().data_received(data)

    @property
    def idle(self) -> bool:
        """True if no request is there to answer."""
        return self._awaited == "head"

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
        if self.flow.write_paused:
            return "reading"
        if self.conn.their_state is h11.IDLE:
            return "head"
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            return "body"
        return None
