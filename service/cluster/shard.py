"""A shard that this worker has: it follows the input of all its sessions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from mimamba.service.bus.bus import Bus, BusMessage, Guard, NotStored, Overtaken, publish
from mimamba.service.cluster.computed_session import ComputedSession
from mimamba.service.cluster.subjects import (
    Announcement,
    Lease,
    SavedState,
    decode_or_none,
    lease_subject,
    pack,
    word_of,
)
from mimamba.service.sessions.registry import SessionRegistry

log = logging.getLogger(__name__)

UNKNOWN_SECONDS = 0.2
"""Seconds for which an id without an announcement is not looked up again."""
RETRY_SECONDS = 0.1
RELEASE_SECONDS = 2.0
"""For the states of the sessions of a shard that is given back."""


class Shard:
    """One shard, from the lease on.

    Parameters
    ----------
    bus
        The bus.
    number
        Number of the shard.
    guard
        Its lease.
    sessions
        The worker's sessions.
    worker
        The worker's name.
    """

    def __init__(
        self, bus: Bus, number: int, guard: Guard, sessions: SessionRegistry, worker: str
    ) -> None:
        self.number = number
        self._bus = bus
        self.guard = guard
        self._sessions = sessions
        self._worker = worker
        self._computed: dict[str, ComputedSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unknown: dict[str, float] = {}
        self._lost = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def computed(self) -> list[ComputedSession]:
        """The sessions of this shard."""
        return list(self._computed.values())

    def find(self, name: str) -> ComputedSession | None:
        """Return a session of this shard; None if it has none of this name."""
        return self._computed.get(word_of(name))

    async def run(self) -> None:
        """Compute until the lease is another's, or ``release``; then its sessions end here.

        Raises what ends the following of their input.
        """
        self._following = asyncio.create_task(self._follow())
        lost = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait([self._following, lost], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (lost, self._following):
                task.cancel()
            await asyncio.gather(lost, self._following, return_exceptions=True)
            await self._end_all()
        if not self._following.cancelled():
            self._following.result()

    def lose(self) -> None:
        """End its sessions here, as another worker has the lease."""
        self._lost.set()

    async def release(self) -> None:
        """Put the states of all sessions on the bus, and give the lease back."""
        if self._following is not None:
            self._following.cancel()
        saves = [asyncio.create_task(each.save()) for each in self.computed()]
        if saves:
            _, late = await asyncio.wait(saves, timeout=RELEASE_SECONDS)
            for each in late:  # the bus does not answer; the states before are there
                each.cancel()
            await asyncio.gather(*saves, return_exceptions=True)
        await self._end_all()
        with contextlib.suppress(NotStored, Overtaken):
            payload = pack(Lease(None))
            subject = lease_subject(self.number)
            await publish(self._bus, subject, payload, guard=self.guard, only=True)

    async def _follow(self) -> None:
        after: int | None = None

        def give(message: BusMessage) -> bool:
            nonlocal after
            known = self._computed.get(word_in(message))
            if known is None:
                return False
            known.put(message)
            after = message.sequence
            return True

        while True:
            try:
                after = await self._begin() if after is None else after
                pattern = f"in.{self.number}.*"
                async with self._bus.follow(pattern, after, give) as messages:
                    async for message in messages:
                        if give(message):
                            continue
                        after = await self._take(message)
                        if after < message.sequence:
                            break  # a session was announced late: its first packets come again
                    else:
                        return  # the connection was closed
            except NotStored as error:  # the server is away
                log.warning("bus", extra={"shard": self.number, "reason": str(error)})
                await asyncio.sleep(RETRY_SECONDS)

    async def _begin(self) -> int:
        """Begin all announced sessions; return the number in ``in`` after which to follow."""
        states = {
            word_in(each): each for each in await self._bus.newest(f"out.{self.number}.state.*")
        }
        for each in await self._bus.newest(f"keys.session.{self.number}.*"):
            word = word_in(each)
            if each.payload and word not in self._computed:
                self._start(word, each, states.get(word))
        return min((each.after for each in self._computed.values()), default=0)

    def _start(self, word: str, announced: BusMessage, state: BusMessage | None) -> None:
        announcement = decode_or_none(announced.payload, Announcement)
        if announcement is None:
            return
        saved = decode_or_none(state.payload, SavedState) if state and state.payload else None
        if saved is not None and saved.sequence < announcement.after:
            saved = None  # of an earlier session with this id
        computed = ComputedSession(
            self._bus, announcement, saved, self._sessions, self.guard, self._worker
        )
        self._computed[word] = computed
        task = asyncio.create_task(self._run_session(word, computed))
        self._tasks[word] = task

    async def _run_session(self, word: str, computed: ComputedSession) -> None:
        try:
            await computed.run()
        except Exception as error:  # an error of ours; the other sessions go on
            if is_overtaken(error):
                self._lost.set()
                return
            log.exception("a session failed", extra={"session": computed.name})
        await computed.stop()
        if self._computed.get(word) is computed:
            del self._computed[word]
            self._tasks.pop(word, None)

    async def _take(self, message: BusMessage) -> int:
        """Give a message to a new session; return the number after which to go on."""
        word = word_in(message)
        skipped = word in self._unknown
        if not await self._find(word):
            return message.sequence
        self._unknown.pop(word, None)
        if skipped:  # some of its packets, too: it was announced after the first of them
            return min(self._computed[word].after, message.sequence)
        self._computed[word].put(message)
        return message.sequence

    async def _find(self, word: str) -> bool:
        """Begin a session that was announced meanwhile; False if there is none."""
        now = time.monotonic()
        if now - self._unknown.get(word, -UNKNOWN_SECONDS) < UNKNOWN_SECONDS:
            return False
        for each in await self._bus.newest(f"keys.session.{self.number}.{word}"):
            if each.payload:
                states = await self._bus.newest(f"out.{self.number}.state.{word}")
                self._start(word, each, states[0] if states else None)
                return word in self._computed
        self._unknown[word] = now
        return False

    async def _end_all(self) -> None:
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(each.stop() for each in self.computed()), return_exceptions=True)
        self._computed.clear()
        self._tasks.clear()


def is_overtaken(error: BaseException) -> bool:
    """Return whether the shard is another's, by an error or a group of them."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_overtaken, error.exceptions))
    return isinstance(error, Overtaken)


def word_in(message: BusMessage) -> str:
    """Return the session's word in a message's subject."""
    return message.subject.rpartition(".")[2]
