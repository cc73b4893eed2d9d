"""A bus within one process: the rules of the bus, in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

from mimamba.service.bus.bus import (
    KEPT,
    BusMessage,
    Guard,
    NotStored,
    Overtaken,
    matches,
    stream_of,
)

NAME_SECONDS = 60.0
"""Seconds for which a message of a name that was stored is not stored again."""


class _MemoryStream:
    """The messages of one stream, oldest first."""

    def __init__(self, seconds: float | None) -> None:
        self.sequence = 0
        self.messages: list[BusMessage] = []
        self._seconds = seconds
        self._times: dict[int, float] = {}
        self._names: dict[str, tuple[int, float]] = {}

    def newest(self, subject: str) -> int:
        """Return the number of the newest message of a subject; 0 where there is none."""
        found = (each.sequence for each in reversed(self.messages) if each.subject == subject)
        return next(found, 0)

    def store(self, subject: str, payload: bytes, name: str | None, only: bool) -> int:
        """Store a message, unless its name is known; return its number."""
        now = time.monotonic()
        if name is not None and name in self._names:
            sequence, stored = self._names[name]
            if now - stored < NAME_SECONDS:
                return sequence
        self._forget(now)
        if only or self._seconds is None:
            self.messages = [each for each in self.messages if each.subject != subject]
        self.sequence += 1
        self.messages.append(BusMessage(subject, self.sequence, payload, time.time()))
        if not only and self._seconds is not None:
            self._times[self.sequence] = now
        if name is not None:
            self._names[name] = self.sequence, now
        return self.sequence

    def _forget(self, now: float) -> None:
        """Drop what is too old."""
        if self._seconds is not None and self._times:
            old = {n for n, stored in self._times.items() if now - stored > self._seconds}
            if old:
                self.messages = [each for each in self.messages if each.sequence not in old]
                self._times = {n: at for n, at in self._times.items() if n not in old}
        self._names = {n: at for n, at in self._names.items() if now - at[1] < NAME_SECONDS}


class Exchange:
    """All that the connections of one process share."""

    def __init__(self) -> None:
        self.streams = {name: _MemoryStream(seconds) for name, seconds in KEPT.items()}
        self.names: dict[str, InProcessBus] = {}
        self.changed = asyncio.Condition()


class InProcessBus:
    """One connection to the exchange of a process; see ``Bus``."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._closed = False
        self.connected_since = time.monotonic()

    async def send(
        self,
        subject: str,
        payload: bytes,
        *,
        name: str | None = None,
        guard: Guard | None = None,
        only: bool = False,
    ) -> asyncio.Future[int]:
        """Store a message; see ``Bus.send``."""
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        stream = self._exchange.streams[stream_of(subject)]
        if self._closed:
            stored.set_exception(NotStored("the connection is closed"))
        elif guard is not None and stream.newest(guard.subject) != guard.sequence:
            stored.set_exception(Overtaken(f"{guard.subject} has a newer message"))
        else:
            stored.set_result(stream.store(subject, payload, name, only))
        async with self._exchange.changed:
            self._exchange.changed.notify_all()
        return stored

    @asynccontextmanager
    async def follow(
        self,
        pattern: str,
        after: int | Literal["now", "newest"],
        at_once: Callable[[BusMessage], bool] | None = None,
    ) -> AsyncIterator[AsyncIterator[BusMessage]]:
        """Follow messages; see ``Bus.follow``."""
        stream = self._exchange.streams[stream_of(pattern)]
        first = await self.newest(pattern) if after == "newest" else []
        seen = after if isinstance(after, int) else stream.sequence

        async def messages() -> AsyncIterator[BusMessage]:
            nonlocal seen
            for each in first:
                yield each
            while True:
                async with self._exchange.changed:
                    while stream.sequence <= seen and not self._closed:
                        await self._exchange.changed.wait()
                if self._closed:
                    return
                news = [each for each in stream.messages if each.sequence > seen]
                seen = stream.sequence
                for each in news:
                    taken = not matches(pattern, each.subject) or (at_once and at_once(each))
                    if not taken:
                        yield each

        running = messages()
        try:
            yield running
        finally:
            await running.aclose()  # type: ignore[attr-defined]

    async def now(self) -> float:
        """Return this machine's time; see ``Bus.now``."""
        return time.time()

    async def newest(self, pattern: str) -> list[BusMessage]:
        """Return the newest message of each subject; see ``Bus.newest``."""
        stream = self._exchange.streams[stream_of(pattern)]
        found = {each.subject: each for each in stream.messages if matches(pattern, each.subject)}
        return sorted(found.values(), key=lambda each: each.sequence)

    async def answer(self, name: str) -> None:
        """Be there under a name."""
        self._exchange.names[name] = self

    async def is_there(self, name: str) -> bool:
        """Return whether a connection has this name."""
        return name in self._exchange.names

    async def reaches_server(self, within: float) -> bool:
        """Return True: the bus is this process."""
        del within
        return True

    @property
    def only_server_ended(self) -> bool:
        """False: the bus is this process."""
        return False

    async def close(self) -> None:
        """End the connection."""
        self._closed = True
        names = self._exchange.names
        self._exchange.names = {name: each for name, each in names.items() if each is not self}
        async with self._exchange.changed:
            self._exchange.changed.notify_all()
