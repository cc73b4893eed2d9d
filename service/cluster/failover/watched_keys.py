"""Keys on the bus with a gateway each: their newest states, and those whose gateway is gone.

What a gateway does that another one may have to go on with has a key: a message that says who does
it, and how far it is. It is replaced on condition that nobody else has replaced it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from mimamba.service.bus.bus import (
    Bus,
    BusMessage,
    Guard,
    NotStored,
    Overtaken,
    Result,
    publish,
    start_on,
)
from mimamba.service.cluster.placement import LEASE_SECONDS
from mimamba.service.cluster.subjects import decode_or_none, pack

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Seconds between two looks for keys whose gateway is gone."""
PATIENCE = 5.0
"""Seconds for the bus to store a key."""


class HeldState(msgspec.Struct, frozen=True):
    """State of something that a gateway does; ``gateway`` is its name on the bus."""

    gateway: str


State = TypeVar("State", bound=HeldState)
Position = TypeVar("Position")


@dataclass(frozen=True)
class NotedKey(Generic[State]):
    """The newest message of a key: its subject, its number, what it says, and when it came.

    ``came`` is on the clock of ``time.monotonic``, s.
    """

    subject: str
    sequence: int
    state: State
    came: float = field(default_factory=time.monotonic)


class HeldKey:
    """A message on the bus that this gateway renews until another one has replaced it.

    Parameters
    ----------
    bus
        The bus.
    loop
        Its event loop; methods are called in other threads.
    subject, sequence
        The message, and its newest number; 0 before the first one.
    """

    def __init__(
        self, bus: Bus, loop: asyncio.AbstractEventLoop, subject: str, sequence: int
    ) -> None:
        self._bus, self._loop = bus, loop
        self._subject, self._sequence = subject, sequence
        self._unsure: list[bytes] = []  # sent with this number, and stored later or never

    def reserve(self) -> None:
        """Get ready to begin something; raises Overtaken if another gateway has, and NotStored.

        What is sent says nothing: if the bus stores it though it was not acknowledged, nobody goes
        on with what did not begin.
        """
        while True:
            try:
                self.store(b"")
            except Overtaken:
                newest = on_loop(self._loop, self._bus.newest(self._subject))
                if newest and newest[0].payload:
                    raise
                self._advance(newest[0].sequence if newest else 0)
            else:
                return

    def store(self, payload: bytes) -> None:
        """Replace the message; raises Overtaken if another has, and NotStored.

        A message that was not acknowledged may still be stored, once the bus is there again: it is
        replaced, too.
        """
        while True:
            guard = Guard(self._subject, self._sequence)
            sending = publish(self._bus, self._subject, payload, guard=guard, only=True)
            try:
                self._advance(on_loop(self._loop, sending))
            except NotStored:
                self._unsure.append(payload)
                raise
            except Overtaken:
                newest = on_loop(self._loop, self._bus.newest(self._subject))
                if not newest or newest[0].payload not in self._unsure:
                    raise
                self._advance(newest[0].sequence)
            else:
                return

    def _advance(self, sequence: int) -> None:
        """Take the number of a newer message: no earlier one can be stored any more."""
        self._sequence = sequence
        self._unsure.clear()

    def store_if_possible(self, payload: bytes) -> bool:
        """Replace the message, if the bus answers; return False if another has."""
        try:
            self.store(payload)
        except Overtaken:
            return False
        except NotStored:
            log.warning("bus", extra={"subject": self._subject})
        return True


class HeldLease(Generic[Position]):
    """The right to something that this gateway does; see ``RecorderLease`` and ``RunLease``.

    Parameters
    ----------
    key
        Its message.
    state_at
        Returns what it says at a position.
    held
        Whether the message is this gateway's already.
    """

    def __init__(self, key: HeldKey, state_at: Callable[[Position], HeldState], held: bool) -> None:
        self._key, self._state_at, self._held = key, state_at, held

    def renew(self, position: Position) -> bool:
        """Note a position; return False if another gateway has the key now.

        Raises NotStored where the bus does not answer the first time. Later it goes on without it.
        """
        payload = pack(self._state_at(position))
        if self._held:
            return self._key.store_if_possible(payload)
        try:
            self._key.store(payload)
        except Overtaken:
            return False
        self._held = True
        return True

    def give_up(self) -> None:
        """Note that it is over."""
        self._key.store_if_possible(b"")


class WatchedKeys(Generic[State]):
    """All keys of a pattern, as the bus has them. Used on the event loop, but for some methods.

    Parameters
    ----------
    bus
        The bus.
    pattern
        Of their subjects.
    kind
        What they say.
    on_change
        Called with each state that comes, in any thread.
    """

    def __init__(
        self,
        bus: Bus,
        pattern: str,
        kind: type[State],
        on_change: Callable[[State], None] = lambda _: None,
    ) -> None:
        self._bus, self._pattern, self._kind, self._on_change = bus, pattern, kind, on_change
        self._loop = asyncio.get_running_loop()
        self._noted: dict[str, NotedKey[State]] = {}
        self._newest: dict[str, int] = {}  # number of the newest message of each key
        self._noting = threading.Lock()

    async def load(self) -> None:
        """Learn which keys there are."""
        for message in await self._bus.newest(self._pattern):
            self._note(message)

    async def run(
        self,
        is_left: Callable[[State], Awaitable[bool]],
        take_over: Callable[[NotedKey[State]], Awaitable[None]],
    ) -> None:
        """Watch the keys, and take over those that are left behind, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._look(is_left, take_over))

    async def _watch(self) -> None:
        async with self._bus.follow(self._pattern, "newest") as messages:
            async for message in messages:
                self._note(message)

    async def _look(
        self,
        is_left: Callable[[State], Awaitable[bool]],
        take_over: Callable[[NotedKey[State]], Awaitable[None]],
    ) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for noted in list(self._noted.values()):
                # After an outage of the server, all are given time to connect again.
                if time.monotonic() - self._bus.connected_since < LEASE_SECONDS:
                    break
                with contextlib.suppress(NotStored, Overtaken):
                    if await is_left(noted.state):
                        await take_over(noted)

    def _note(self, message: BusMessage) -> None:
        """Note what a message says, unless a newer one of its key was noted, in any thread."""
        state = decode_or_none(message.payload, self._kind) if message.payload else None
        with self._noting:
            if message.sequence <= self._newest.get(message.subject, 0):
                return
            self._newest[message.subject] = message.sequence
            if state is None:
                self._noted.pop(message.subject, None)
                return
            self._noted[message.subject] = NotedKey(message.subject, message.sequence, state)
        self._on_change(state)

    async def take(self, noted: NotedKey[State], mine: State) -> HeldKey:
        """Replace what a key says; raises Overtaken if another gateway has, and NotStored."""
        guard = Guard(noted.subject, noted.sequence)
        payload = pack(mine)
        sequence = await publish(self._bus, noted.subject, payload, guard=guard, only=True)
        self._note(BusMessage(noted.subject, sequence, payload))
        return self.hold(noted.subject, sequence)

    async def clear(self, noted: NotedKey[State]) -> None:
        """Note that a key is over; raises as ``take``."""
        guard = Guard(noted.subject, noted.sequence)
        await publish(self._bus, noted.subject, b"", guard=guard, only=True)

    # From any thread -----------------------------------------------------------------------------

    def of(self, subject: str) -> State | None:
        """Return what a key says; None if there is none."""
        noted = self._noted.get(subject)
        return None if noted is None else noted.state

    def silence(self, subject: str) -> float:
        """Return for how long a key has not been renewed while this gateway was connected, s."""
        noted = self._noted.get(subject)
        came = -math.inf if noted is None else noted.came
        return time.monotonic() - max(came, self._bus.connected_since)

    def all(self) -> list[State]:
        """Return what all keys say."""
        return [noted.state for noted in list(self._noted.values())]

    def hold(self, subject: str, sequence: int) -> HeldKey:
        """Return a key whose newest message has this number, to be renewed."""
        return HeldKey(self._bus, self._loop, subject, sequence)

    # From any other thread than the event loop's -------------------------------------------------

    def ask(self, subject: str) -> tuple[int, State | None]:
        """Ask the bus for a key: its number, 0 without one, and what it says, if anything.

        Raises NotStored if the bus does not answer.
        """
        newest = on_loop(self._loop, self._bus.newest(subject))
        for message in newest:
            self._note(message)
        return (newest[0].sequence if newest else 0), self.of(subject)

    def is_there(self, gateway: str) -> bool:
        """Return whether a gateway is connected, or that is not sure; raises as ``ask``."""
        return on_loop(self._loop, self._bus.is_there(gateway))


def on_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of work on an event loop; raises NotStored where it takes too long."""
    doing = start_on(loop, work)
    try:
        return doing.result(PATIENCE)
    except NoAnswer:
        doing.cancel()
        raise NotStored(f"no answer within {PATIENCE:g} s") from None
