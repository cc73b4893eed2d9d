"""A worker: it computes the sessions of the shards that it has."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from mimamba.models.detection.event_kinds import EventKind
from mimamba.models.inference.device import Device
from mimamba.service.bus.bus import Bus, Guard, NotStored, Overtaken, publish
from mimamba.service.cluster.computed_session import ComputedSession
from mimamba.service.cluster.placement import BEAT_SECONDS, LEASE_SECONDS, LiveWorkers, place
from mimamba.service.cluster.shard import Shard
from mimamba.service.cluster.subjects import (
    SHARDS,
    Lease,
    WorkerStatus,
    decode_or_none,
    lease_subject,
    pack,
    shard_of,
)
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.registry import SessionRegistry
from mimamba.service.sessions.session import Session

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""Seconds between two looks at the leases, and at the connections of the other workers."""
RESULTS_SECONDS = 0.25
"""Seconds between two bundles of a session without news: quality and bands come as often. What is
logged later than that after the bundle before does not wait: it has waited for its round."""
UNWATCHED_SECONDS = 0.6
"""The same where nobody watches: longer than from hop to hop of the shipped model, whose
predictions take all else with them."""
FAILED_SECONDS = 1.0
"""Seconds before a shard that failed is computed again."""
CPU_SECONDS = 2.0
"""Seconds over which the processor time is measured."""
CAPACITY = 200
"""Sessions of one worker by default."""


class WorkerSessions:
    """Observes the sessions of a worker, and wakes those that send their results.

    Parameters
    ----------
    find
        Returns the computed session of a name, if this worker has it.
    """

    def __init__(self, find: Callable[[str], ComputedSession | None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._find = find
        self._opened: dict[Session, asyncio.Event] = {}
        self._due: dict[Session, asyncio.TimerHandle] = {}
        self._sent: dict[Session, float] = {}
        """When each was woken last, on the event loop's clock, s."""

    # From any thread -----------------------------------------------------------------------------

    def notify(self, session: Session) -> None:
        """Send what is new now."""
        self._soon(self._on_news, session)

    def notify_round(self, signal: Sequence[Session], news: Sequence[Session]) -> None:
        """Send what is new in sessions, and when it is due the new signal of others."""
        self._soon(self._on_round, signal, news)

    def _soon(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call, *arguments)

    # On the event loop ---------------------------------------------------------------------------

    def add(self, session: Session) -> None:
        """Observe a session that is about to start."""
        self._opened[session], self._sent[session] = asyncio.Event(), 0.0

    async def opened(self, session: Session) -> None:
        """Wait until a session is open, or has failed to open."""
        await self._opened[session].wait()

    def remove(self, session: Session) -> None:
        """Forget a session that has ended."""
        self._opened.pop(session, None)
        self._sent.pop(session, None)
        self._cancel_due(session)

    def _on_round(self, signal: Sequence[Session], news: Sequence[Session]) -> None:
        for session in news:
            self._on_news(session)
        for session in signal:
            if session in self._opened and session not in self._due:
                seconds = RESULTS_SECONDS if session.watched else UNWATCHED_SECONDS
                due = self._sent[session] + seconds  # at once if that is over
                self._due[session] = self._loop.call_at(due, self._on_due, session)

    def _on_due(self, session: Session) -> None:
        del self._due[session]
        self._wake(session, news=False)

    def _cancel_due(self, session: Session) -> None:
        if (waiting := self._due.pop(session, None)) is not None:
            waiting.cancel()

    def _on_news(self, session: Session) -> None:
        self._cancel_due(session)
        if session.opened.is_set() and session in self._opened:
            self._opened[session].set()
        self._wake(session, news=True)

    def _wake(self, session: Session, news: bool) -> None:
        if session in self._sent:
            self._sent[session] = self._loop.time()
        computed = self._find(session.name)
        if computed is not None:
            computed.wake(news)


class CpuMeter:
    """Meter of the processor time that this process uses."""

    def __init__(self) -> None:
        self._before = time.monotonic(), time.process_time()
        self._share = 0.0

    def share(self) -> float:
        """Return the share of one core since some seconds ago."""
        (since, used), now = self._before, (time.monotonic(), time.process_time())
        if now[0] - since >= CPU_SECONDS:
            self._before, self._share = now, round((now[1] - used) / (now[0] - since), 3)
        return self._share


class Worker:
    """One process that computes sessions of the bus.

    Parameters
    ----------
    bus
        The bus.
    default
        The model of a session that asks for none.
    models
        The folder of one's own checkpoints.
    device
        The device that steps models.
    capacity
        Sessions that it computes at most; beyond them nobody begins a new one.
    detect
        Kinds of events to find in sessions that begin here.
    """

    def __init__(
        self,
        bus: Bus,
        default: ModelChoice,
        models: Path | None = None,
        device: Device | None = None,
        capacity: int = CAPACITY,
        detect: Sequence[EventKind] = (),
    ) -> None:
        self.name = secrets.token_hex(4)
        observer = WorkerSessions(self._find)
        self.sessions = SessionRegistry(observer, default, models, None, device, detect)
        self._bus = bus
        self._capacity = capacity
        self._live = LiveWorkers()
        self._leases: dict[int, tuple[int, str | None]] = {}
        self._shards: dict[int, Shard] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._releasing: dict[int, asyncio.Task[None]] = {}
        self._taken = self._moved = 0
        self._cpu = CpuMeter()

    async def run(self) -> None:
        """Compute until cancelled; then give all shards back, with their states."""
        await self.sessions.warm_up()  # who takes over has no time to load a model
        await self._bus.answer(self.name)
        try:
            async with asyncio.TaskGroup() as tasks:
                for each in (self._beat, self._watch_workers, self._watch_leases):
                    tasks.create_task(each())
                tasks.create_task(self._watch_connections())
                tasks.create_task(self._place())
        finally:
            await asyncio.shield(self._end())

    def status(self) -> WorkerStatus:
        """Describe this worker."""
        sessions = sum(len(shard.computed()) for shard in self._shards.values())
        return WorkerStatus(
            self.name,
            socket.gethostname(),
            sessions,
            self._capacity,
            len(self._shards),
            self._taken,
            self._moved,
            self._cpu.share(),
        )

    def _find(self, name: str) -> ComputedSession | None:
        shard = self._shards.get(shard_of(name))
        return None if shard is None else shard.find(name)

    # Signs of life -------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            with contextlib.suppress(NotStored):
                await publish(self._bus, f"keys.worker.{self.name}", pack(self.status()))
            await asyncio.sleep(BEAT_SECONDS)

    async def _watch_workers(self) -> None:
        async for payload, subject in self._newest("keys.worker.*"):
            name = subject.rpartition(".")[2]
            if not payload:
                self._live.forget(name)
            elif (status := decode_or_none(payload, WorkerStatus)) is not None:
                self._live.note(status)

    async def _watch_connections(self) -> None:
        """Ask the other workers whether they are there; the server knows whose connection ended."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            others = [name for name in self._live.all() if name != self.name]
            there = await asyncio.gather(*map(self._bus.is_there, others))
            # After an outage of the server, all are given time to connect again.
            if time.monotonic() - self._bus.connected_since > LEASE_SECONDS:
                for name, answers in zip(others, there, strict=True):
                    if not answers:
                        log.warning("a worker is gone", extra={"worker": name})
                        self._live.forget(name)
                        with contextlib.suppress(NotStored):
                            await publish(self._bus, f"keys.worker.{name}", b"")

    async def _watch_leases(self) -> None:
        async with self._bus.follow("out.*.lease", "newest") as messages:
            async for message in messages:
                if (lease := decode_or_none(message.payload, Lease)) is not None:
                    shard = int(message.subject.split(".")[1])
                    self._leases[shard] = message.sequence, lease.worker
                    held = self._shards.get(shard)
                    if held is not None and held.guard.sequence < message.sequence:
                        held.lose()  # this worker was cut off from the bus
                        if lease.worker is not None:
                            extra = {"shard": shard, "worker": lease.worker}
                            log.warning("a shard was taken over", extra=extra)

    async def _newest(self, pattern: str) -> AsyncIterator[tuple[bytes, str]]:
        async with self._bus.follow(pattern, "newest") as messages:
            async for message in messages:
                yield message.payload, message.subject

    # Placement -----------------------------------------------------------------------------------

    async def _place(self) -> None:
        """Take the shards that are ours, and give back those that are another's."""
        placed: frozenset[str] = frozenset()
        wanted: set[int] = set()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            live = self._live.all()
            if self.name not in live:
                continue  # the bus does not hear us
            if live.keys() != placed:  # to place all shards takes a while
                placed = frozenset(live)
                wanted = {shard for shard in range(SHARDS) if place(shard, live) == self.name}
            free = [
                shard
                for shard in wanted - self._shards.keys()
                if self._leases.get(shard, (0, None))[1] not in live.keys() - {self.name}
            ]
            await asyncio.gather(*map(self._take, free), self._clear_leases(wanted))
            for shard in self._shards.keys() - wanted - self._releasing.keys():
                self._releasing[shard] = asyncio.create_task(self._give_back(shard))

    async def _clear_leases(self, wanted: set[int]) -> None:
        """Give back leases that the bus has stored too late for this worker to begin."""
        for shard, (sequence, holder) in list(self._leases.items()):
            there = shard in self._shards or shard in wanted
            if holder == self.name and not there:
                subject = lease_subject(shard)
                guard = Guard(subject, sequence)
                with contextlib.suppress(NotStored, Overtaken):
                    await publish(self._bus, subject, pack(Lease(None)), guard=guard, only=True)
                    log.warning("a lease came too late", extra={"shard": shard})

    async def _take(self, number: int) -> None:
        sequence, holder = self._leases.get(number, (0, None))
        subject = lease_subject(number)
        guard = Guard(subject, sequence)
        lease = pack(Lease(self.name))
        try:
            taken = await publish(self._bus, subject, lease, guard=guard, only=True)
        except (NotStored, Overtaken):
            return  # the next look sees who has it
        self._leases[number] = taken, self.name
        if holder is not None:
            self._taken += 1
        shard = Shard(self._bus, number, Guard(subject, taken), self.sessions, self.name)
        self._shards[number] = shard
        self._running[number] = asyncio.create_task(self._run_shard(number, shard))

    async def _run_shard(self, number: int, shard: Shard) -> None:
        try:
            await shard.run()
        except Exception:
            log.exception("a shard failed", extra={"shard": number})
            await asyncio.sleep(FAILED_SECONDS)
        finally:
            if self._shards.get(number) is shard:
                del self._shards[number]
                self._running.pop(number, None)

    async def _give_back(self, number: int) -> None:
        try:
            shard, running = self._shards[number], self._running[number]
            await shard.release()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._moved += 1
        finally:
            self._releasing.pop(number, None)

    async def _end(self) -> None:
        await asyncio.gather(*map(self._give_back, [*self._shards]), return_exceptions=True)
        with contextlib.suppress(NotStored):
            await publish(self._bus, f"keys.worker.{self.name}", b"")
        await self.sessions.close_all()
