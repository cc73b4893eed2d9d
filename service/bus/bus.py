"""The bus: a log of messages by subject, that many processes write and follow.

A subject is words with dots between them, and its first word names the stream. A stream numbers its
messages, so a follower that was away goes on after the number that it had. A message may be sent on
condition that nothing newer stands under some subject (``Guard``): this is how a process that was
taken over is kept from publishing, and how two never take the same thing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeVar

from mimamba.drivers.errors import UserError

Result = TypeVar("Result")

IN_SECONDS: Final = 90.0
"""Seconds that packets of samples are kept: as long as an acquirer keeps those unacknowledged."""
OUT_SECONDS: Final = 300.0
"""Seconds that results are kept: as far back as the page looks."""
KEPT: Final[dict[str, float | None]] = {"in": IN_SECONDS, "out": OUT_SECONDS, "keys": None}
"""Streams, with the seconds that they keep messages; ``keys`` keeps the newest of each subject."""
ACK_SECONDS: Final = 2.0
"""Seconds after which a message without an acknowledgement is taken for unsent."""


class BusUnreachable(UserError):
    """No usable bus is at the address."""


class NotStored(Exception):
    """The bus has not said that it stored a message: it may be sent again, by the same name."""


class Overtaken(Exception):
    """The guard of a message does not hold: someone else has written there."""


@dataclass(frozen=True, eq=False)
class BusMessage:
    """A message on the bus.

    Parameters
    ----------
    subject
        Words with dots between them.
    sequence
        Its number in the stream, from 1; numbers of other subjects lie between.
    payload
        The content.
    stored
        When it was stored, Unix time on the bus's clock, s.
    """

    subject: str
    sequence: int
    payload: bytes
    stored: float = 0.0


@dataclass(frozen=True)
class Guard:
    """A condition for sending: the newest message under ``subject`` has this number, 0 for none.

    The subject is in the same stream as the message.
    """

    subject: str
    sequence: int


class Bus(Protocol):
    """A connection to the bus; used on one event loop."""

    @property
    def connected_since(self) -> float:
        """Begin of the present connection, ``time.monotonic``; it may be interrupted now."""
        ...

    async def send(
        self,
        subject: str,
        payload: bytes,
        *,
        name: str | None = None,
        guard: Guard | None = None,
        only: bool = False,
    ) -> asyncio.Future[int]:
        """Send a message, and return at once; messages of one connection stay in order.

        Parameters
        ----------
        subject
            Where; without ``*`` and ``>``.
        payload
            The content.
        name
            A second message of this name within a minute is not stored.
        guard
            The condition for storing it.
        only
            Whether it replaces all earlier ones of its subject, and is kept without limit of time.

        Returns
        -------
        future of int
            Its number, once it is stored, or ``NotStored`` or ``Overtaken``.
        """
        ...

    def follow(
        self,
        pattern: str,
        after: int | Literal["now", "newest"],
        at_once: Callable[[BusMessage], bool] | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[BusMessage]]:
        """Follow the messages of a pattern, in order and each once, until ``close``.

        Parameters
        ----------
        pattern
            A subject, where ``*`` is any word and a last ``>`` any words.
        after
            A number: those after it that are kept. ``now``: those from now on. ``newest``: first
            the newest one of each subject, then all that follow.
        at_once
            Called with a message that comes while whoever follows waits for the next one; returns
            whether it has taken it. To wake a task for each message takes longer.
        """
        ...

    async def now(self) -> float:
        """Return the time on the clock of ``BusMessage.stored``; raises NotStored."""
        ...

    async def newest(self, pattern: str) -> list[BusMessage]:
        """Return the newest message of each subject of a pattern, up to 1,000."""
        ...

    async def answer(self, name: str) -> None:
        """Be there under this name for as long as this connection lasts."""
        ...

    async def is_there(self, name: str) -> bool:
        """Return False as soon as the connection of this name is gone; True if that is not sure."""
        ...

    async def reaches_server(self, within: float) -> bool:
        """Ask the server for a sign of life; return whether one comes within so many seconds.

        Without one it takes all that time. A sign needs no stream, so it also comes while the
        servers choose a leader.
        """
        ...

    @property
    def only_server_ended(self) -> bool:
        """True while the connection has seen its end, and there is no other server to try."""
        ...

    async def close(self) -> None:
        """End the connection; messages on their way are stored before."""
        ...


async def publish(
    bus: Bus,
    subject: str,
    payload: bytes,
    *,
    name: str | None = None,
    guard: Guard | None = None,
    only: bool = False,
) -> int:
    """Send a message and wait until it is stored; see ``Bus.send``. Returns its number."""
    return await (await bus.send(subject, payload, name=name, guard=guard, only=only))


def start_on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result]) -> Future[Result]:
    """Start work on the bus's loop from another thread; raises NotStored if the loop has ended."""
    try:
        return asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:  # it is closed: a recorder's thread, for one, may outlive it
        work.close()
        raise NotStored("the service has ended") from None


def stream_of(subject: str) -> str:
    """Return the stream of a subject or pattern; raises ValueError where there is none."""
    stream = subject.partition(".")[0]
    if stream not in KEPT:
        raise ValueError(f"Expected a subject of {', '.join(KEPT)}, but found {subject!r}.")
    return stream


def matches(pattern: str, subject: str) -> bool:
    """Return whether a subject belongs to a pattern."""
    wanted, found = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, found = wanted[:-1], found[: len(wanted) - 1] if len(found) >= len(wanted) else []
    return len(wanted) == len(found) and all(
        w in ("*", f) for w, f in zip(wanted, found, strict=True)
    )
