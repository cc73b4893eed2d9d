"""The sessions of the bus, as a gateway offers them; it keeps nothing that another has not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial

from mimamba.drivers.open import Connect, open_source
from mimamba.drivers.url import parse_source
from mimamba.service.acquire.bus_acquirer import BusAcquirer, close_session
from mimamba.service.bus.bus import Bus, BusMessage, NotStored
from mimamba.service.cluster.mirrored_session import MirroredSession
from mimamba.service.cluster.placement import LiveWorkers
from mimamba.service.cluster.requests import ANSWER_SECONDS
from mimamba.service.cluster.subjects import View, WorkerStatus, decode_or_none, output_subject
from mimamba.service.people.carried_people import TakenBaseline, pack_person
from mimamba.service.people.people import (
    CannotKeep,
    DamagedPerson,
    NoPerson,
    People,
    Person,
    PersonRefused,
)
from mimamba.service.people.subject import RecordedBaseline
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.registry import RegistryObserver, SessionFailed, SessionRegistry
from mimamba.service.sessions.session import Session

log = logging.getLogger(__name__)

OPENING_SECONDS = 20.0
"""For a worker to open a session that was announced."""
CLOSING_SECONDS = 10.0
FILL_SECONDS = 0.5
"""Between two looks for sessions whose logs are to be filled."""
VIEWED_SECONDS = 3.0
"""For which a worker sends a session's signal promptly after it was told that somebody views it."""
VIEWED_LOOK = 0.5
"""Seconds between two looks for sessions that somebody views."""
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""Ids of sessions: others do not fit into a subject."""


class BusSessions(SessionRegistry):
    """All sessions of the bus; used on the event loop, while ``run`` runs.

    A session that is opened here is read here, and computed by a worker.

    Parameters
    ----------
    observer
        Notified of everything new in any session.
    default
        The model of a session that asks for none: the workers' own.
    bus
        The bus.
    people
        The people and their baselines; None stores nothing.
    opening
        Seconds for a worker to open a session that was announced.
    """

    def __init__(
        self,
        observer: RegistryObserver,
        default: ModelChoice,
        bus: Bus,
        people: People | None = None,
        opening: float = OPENING_SECONDS,
    ) -> None:
        super().__init__(observer, default, people=people)
        self._opening = opening
        self.name = secrets.token_hex(4)
        self.bus = bus
        self._workers = LiveWorkers()
        self._changed = asyncio.Condition()
        self._acquirers: dict[str, asyncio.Task[None]] = {}
        self._kept: dict[str, TakenBaseline] = {}
        self._keeping: set[asyncio.Task[None]] = set()
        self._withdrawing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Follow the sessions and the workers of the bus until cancelled."""
        await self.bus.answer(self.name)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_views())
            tasks.create_task(self._watch_workers())
            tasks.create_task(self._tell_viewed())

    def workers(self) -> list[WorkerStatus]:
        """The workers that are alive."""
        return sorted(self._workers.all().values(), key=lambda each: each.worker)

    async def ready(self, name: str, patience: float | None = ANSWER_SECONDS) -> None:
        """Fill the logs of a session from the bus, also of one that is not known here yet.

        Raises NotStored if that takes longer than ``patience``, s; None waits without end.
        """
        if name not in self._sessions and re.fullmatch(NAME, name):
            with contextlib.suppress(NotStored):
                for message in await self.bus.newest(output_subject(name, "view")):
                    self._take_view(message)
        session = self._sessions.get(name)
        if isinstance(session, MirroredSession):
            await session.watch(patience)

    async def catch_up(self) -> None:
        """Let all sessions follow the bus anew, after it was away."""
        there = list(self._sessions.values())
        await asyncio.gather(
            *(each.catch_up() for each in there if isinstance(each, MirroredSession))
        )

    async def fill_logs(self) -> None:
        """Fill the logs of all sessions from the bus until cancelled: outputs read them all."""
        while True:
            for name in list(self._sessions):
                with contextlib.suppress(NotStored):
                    await self.ready(name)
            await asyncio.sleep(FILL_SECONDS)

    async def find(self, name: str) -> Session | None:
        """Return a session with logs that hold what the bus has; None if there is none.

        Raises NotStored as ``ready``.
        """
        await self.ready(name)
        return self._sessions.get(name)

    async def open(
        self,
        url: str,
        name: str | None = None,
        choice: ModelChoice | None = None,
        connect: Connect = open_source,
        person: str | None = None,
        recorded: RecordedBaseline | None = None,
        notices: Sequence[str] = (),
    ) -> Session:
        """Read a source here, and let a worker compute it; as ``SessionRegistry.open``.

        Raises
        ------
        ClusterFull
            If no worker can take it.
        """
        del recorded, notices  # workers know no recordings, and tell the source's own remarks
        parse_source(url)
        carried = None
        if person is not None:
            known = await asyncio.to_thread(self._people.add, person) if self._people else Person()
            carried = pack_person(person, known)
        name = self._name(url, name)
        self._check_free(name)
        model = choice.name if choice is not None and choice.required else None
        memory = choice is None or choice.memory
        acquirer = BusAcquirer(url, self.bus, name, model, memory, connect=connect, person=carried)
        reading = asyncio.create_task(acquirer.run())
        self._acquirers[name] = reading
        reading.add_done_callback(lambda _: self._acquirers.pop(name, None))
        opened = asyncio.create_task(self._wait_for(lambda: name in self._sessions))
        try:
            async with asyncio.timeout(self._opening):
                await asyncio.wait([reading, opened], return_when=asyncio.FIRST_COMPLETED)
                if reading.done() and not opened.done():
                    reading.result()  # raises its error
                    await opened  # a short recording is over already
        except TimeoutError:
            withdrawing = asyncio.create_task(_withdraw(acquirer, reading))
            self._withdrawing.add(withdrawing)
            withdrawing.add_done_callback(self._withdrawing.discard)
            raise SessionFailed(
                f"Expected a worker to open {name!r} within {self._opening:g} s, but found none. "
                "See the workers' logs."
            ) from None
        finally:
            opened.cancel()
        session = self._sessions[name]
        if isinstance(session, MirroredSession):
            session.wearer = acquirer
        if session.state == "ended" and session.reason is not None:
            reason = session.reason
            await self.close(name)
            raise SessionFailed(reason)
        return session

    async def prepare_model(self, session: Session, choice: ModelChoice) -> Callable[[], None]:
        """Return the call, for another thread, by which the worker uses another model."""
        assert isinstance(session, MirroredSession)
        return partial(session.use_model, choice)

    async def close(self, name: str) -> None:
        """Let the worker end a session; returns once it is gone. Raises NoSession."""
        session = self.get(name)
        reading = self._acquirers.pop(name, None)
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await close_session(self.bus, name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._wait_for(lambda: self._sessions.get(name) is not session)

    async def close_all(self, within: float | None = None) -> list[str]:
        """End what is read here; the sessions of others go on."""
        self.ending = True
        reading = dict(self._acquirers)
        for task in reading.values():
            task.cancel()
        hanging: set[asyncio.Task[None]] = set()
        if reading:
            _, hanging = await asyncio.wait(reading.values(), timeout=within)
        for name, session in list(self._sessions.items()):
            self._remove(name)
            session.close()
            if isinstance(session, MirroredSession):
                await session.drain()
        await asyncio.gather(*self._keeping)
        for task in self._withdrawing:
            task.cancel()
        await asyncio.to_thread(self._loop.close)
        return sorted(name for name, task in reading.items() if task in hanging)

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    # From the bus --------------------------------------------------------------------------------

    async def _watch_views(self) -> None:
        async with self.bus.follow("out.*.view.*", "newest") as messages:
            async for message in messages:
                self._take_view(message)
                async with self._changed:
                    self._changed.notify_all()

    def _take_view(self, message: BusMessage) -> None:
        if not message.payload:
            self._remove(message.subject.rpartition(".")[2].replace("~", "."))
        elif (view := decode_or_none(message.payload, View)) is not None:
            self._show(view)

    def _show(self, view: View) -> None:
        if view.taken is not None and self._kept.get(view.session) != view.taken:
            self._kept[view.session] = view.taken
            keeping = asyncio.create_task(self._keep(view.taken))
            self._keeping.add(keeping)
            keeping.add_done_callback(self._keeping.discard)
        session = self._sessions.get(view.session)
        if isinstance(session, MirroredSession):
            session.show(view)
            return
        session = MirroredSession(self.bus, view, self._loop, self._observer, self._people)
        self._sessions[view.session] = session
        self._observer.add(session)
        self._observer.notify(session)

    async def _keep(self, taken: TakenBaseline) -> None:
        """Store a baseline that a worker has taken, if the person is known here."""
        if self._people is None:
            return
        try:
            await asyncio.to_thread(self._people.keep_newer, taken.person, taken.baseline)
        except NoPerson:
            pass  # another gateway has the person, or the person was deleted
        except (CannotKeep, DamagedPerson, PersonRefused) as error:
            log.warning("a baseline was not stored", extra={"reason": str(error)})

    def _remove(self, name: str) -> None:
        self._kept.pop(name, None)
        session = self._sessions.pop(name, None)
        if isinstance(session, MirroredSession):
            session.forget()
            self._observer.remove(session)

    async def _tell_viewed(self) -> None:
        """Tell workers whose signal somebody here views, again and again: else it may wait."""
        told: dict[Session, float] = {}
        while True:
            await asyncio.sleep(VIEWED_LOOK)
            now = time.monotonic()
            told = {each: at for each, at in told.items() if now - at < VIEWED_SECONDS / 2}
            due = [
                each
                for each in self._sessions.values()
                if isinstance(each, MirroredSession) and each.watched and each not in told
            ]
            told |= dict.fromkeys(due, now)
            await asyncio.gather(*(each.tell_viewed(VIEWED_SECONDS) for each in due))

    async def _watch_workers(self) -> None:
        async with self.bus.follow("keys.worker.*", "newest") as messages:
            async for message in messages:
                if not message.payload:
                    self._workers.forget(message.subject.rpartition(".")[2])
                elif (status := decode_or_none(message.payload, WorkerStatus)) is not None:
                    self._workers.note(status)


async def _withdraw(acquirer: BusAcquirer, reading: asyncio.Task[None]) -> None:
    """End the reading of a source that nobody computes, and the session that was announced."""
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await acquirer.withdraw()
