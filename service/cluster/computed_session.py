"""A session that this worker computes: its packets from the bus, its results and states to it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import msgspec

from mimamba.drivers.driver import Driver, LinkChange
from mimamba.drivers.errors import DriverError, UserError
from mimamba.drivers.push_driver import SILENCE_TIMEOUT, Inbox, InboxState, PushDriver
from mimamba.models.checkpoints.checkpoint import CheckpointError
from mimamba.models.decoding.decoder_state import SnapshotError
from mimamba.service.bus.bus import Bus, BusMessage, Guard, NotStored, publish
from mimamba.service.cluster.request_messages import (
    Answer,
    BeginBaseline,
    CancelBaseline,
    Refusal,
    Request,
    UseBaseline,
    UseModel,
    WithdrawRest,
)
from mimamba.service.cluster.requests import ANSWER_SECONDS, fulfil, take_in_time
from mimamba.service.cluster.session_results import ResultsSender
from mimamba.service.cluster.subjects import (
    Announcement,
    Kind,
    Order,
    Packets,
    SavedState,
    View,
    Viewed,
    input_subject,
    output_subject,
    pack,
    session_key,
    unpack_input,
)
from mimamba.service.engine.engine import EngineStopped
from mimamba.service.people.carried_people import CarriedPeople
from mimamba.service.people.subject import Subject
from mimamba.service.protocol.push import Samples
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.registry import (
    NoSession,
    SessionFailed,
    SessionRegistry,
    choose_model,
)
from mimamba.service.sessions.remote_sources import ACQUIRER_TIMEOUT, read_packet
from mimamba.service.sessions.saved_session import SavedSession, pack_session, unpack_session
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.sessions.session_baseline import SessionBaseline

log = logging.getLogger(__name__)

SAVE_SECONDS = 2.0
"""Seconds between two states of a session on the bus."""
RETRY_SECONDS = 0.02
CHARGE_STEP = 0.5
"""Change of the device's charge, percent, with which the view is published again."""
Ordered: TypeAlias = Packets | Order | Request
"""Input whose place among the packets counts."""
NEVER = 1e9
"""Seconds of silence that a driver waits for: silence is an order in the input, as all else."""


class ComputedSession:
    """One session of a shard that this worker has.

    Parameters
    ----------
    bus
        The bus.
    announcement
        Its source, and the model wanted.
    state
        Its state in the worker before; None begins it.
    sessions
        The worker's sessions.
    guard
        The shard's lease.
    worker
        The worker's name.
    """

    def __init__(
        self,
        bus: Bus,
        announcement: Announcement,
        state: SavedState | None,
        sessions: SessionRegistry,
        guard: Guard,
        worker: str,
    ) -> None:
        self.name = announcement.session
        self.after = state.sequence if state else announcement.after
        self._bus = bus
        self._push = announcement.push
        self._person = announcement.person
        self._state = state
        self._sessions = sessions
        self._guard = guard
        self._worker = worker
        self._inbox = Inbox(announcement.push.info, ordered=True)
        self._driver: PushDriver | None = None
        self._session: Session | None = None
        self._sender: ResultsSender | None = None
        self._messages: asyncio.Queue[tuple[int, float, Ordered]] = asyncio.Queue()
        self._idle = False  # waiting for the next message
        self._taken = self._newest = self.after
        self._packets = self.after  # number of the last message with packets
        if state is not None and state.packets is not None:
            self._packets = state.packets
        self._last_packet = time.monotonic()
        self._lost = False
        self._charge: float | None = None  # as the view has it
        self._unviewed: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._changing = asyncio.Lock()
        self._choice = state.choice if state else self._chosen()
        self._rest = state.rest if state else None

    @property
    def session(self) -> Session | None:
        """The session, once it is open."""
        return self._session

    def put(self, message: BusMessage) -> None:
        """Take a message of its input; one that comes again is dropped."""
        if message.sequence <= self._newest:
            return
        self._newest = message.sequence
        try:
            content = unpack_input(message.payload)
        except msgspec.MsgspecError as error:
            log.warning("a message was refused", extra={"reason": str(error)})
            return
        if isinstance(content, Viewed):
            self._note_viewed(content.seconds)
            return
        # To wake a task takes longer than all else that is done with a packet.
        if self._idle and self._messages.empty() and self._take_at_once(content):
            self._taken = self._packets = message.sequence
        else:
            self._messages.put_nowait((message.sequence, message.stored, content))

    def _note_viewed(self, seconds: float) -> None:
        """Let no chunk wait for a hop, as somebody at a gateway views the signal for so long."""
        if self._session is None:
            return  # it is told again
        if self._unviewed is not None:
            self._unviewed.cancel()
        self._session.watchers.add(self)
        loop = asyncio.get_running_loop()
        self._unviewed = loop.call_later(seconds, self._session.watchers.discard, self)

    def wake(self, news: bool) -> None:
        """Send its results, as the compute loop says; with ``news`` its view, too."""
        if self._sender is not None:
            self._sender.wake()
        if news:
            self._news.set()

    async def run(self) -> None:
        """Compute until cancelled; raises Overtaken. Its end on the bus stays with ``stop``."""
        try:
            await self._open()
        except (UserError, CheckpointError, SnapshotError, SessionFailed) as error:
            reason = str(error)
            log.warning("session failed", extra={"session": self.name, "reason": reason})
            await self._publish_failure(reason)
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch_silence())
                await self._take_until_closed()
                watching.cancel()
            await self._forget()
            return
        assert self._session is not None
        self._sender = ResultsSender(self._bus, self._session, self._guard)
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(each)
                for each in (
                    self._sender.run(),
                    self._publish_views(),
                    self._save_all(),
                    self._watch_silence(),
                )
            ]
            await self._take_until_closed()
            await self.stop()
            await self._sender.flush()
            for each in others:
                each.cancel()
        await self._forget()

    async def stop(self) -> None:
        """End the session here; what is on the bus stays."""
        with contextlib.suppress(NoSession):
            await self._sessions.close(self.name)

    async def _forget(self) -> None:
        """Remove the session from the bus."""
        kinds: tuple[Kind, ...] = ("view", "state")
        for kind in kinds:
            subject = output_subject(self.name, kind)
            await self._publish_surely(subject, guard=self._guard, only=True)
        await self._publish_surely(session_key(self.name))

    async def _publish_surely(
        self, subject: str, guard: Guard | None = None, only: bool = False
    ) -> None:
        """Publish an empty message, however often it takes; raises Overtaken."""
        while True:
            with contextlib.suppress(NotStored):
                await publish(self._bus, subject, b"", guard=guard, only=only)
                return
            await asyncio.sleep(RETRY_SECONDS)

    # Its input -----------------------------------------------------------------------------------

    async def _take_until_closed(self) -> None:
        """Take packets and orders, in order."""
        while True:
            self._idle = True
            sequence, stored, content = await self._messages.get()
            self._idle = False
            if isinstance(content, Packets):
                self._last_packet, self._lost = time.monotonic(), False
                for samples in content.packets:
                    await self._take(samples)
                self._packets = sequence
            elif isinstance(content, Request):
                async with self._changing:
                    await self._settle()
                    await self._fulfil(content, stored)
                    self._taken = sequence
            elif content.after is not None and content.after < self._packets:
                log.info("an order of a worker that was cut off", extra={"session": self.name})
            elif content.order == "lost":
                await self._settle()
                if self._driver is not None:
                    self._driver.report_silence(SILENCE_TIMEOUT)
                if self._session is not None:
                    self._session.place_markers(late=True)
            elif content.order == "close":
                return
            self._taken = sequence

    def _take_at_once(self, content: Ordered) -> bool:
        """Take packets that need not wait; False if they are to be taken in turn, or again."""
        if self._session is None or not isinstance(content, Packets):
            return False
        if any(each.changes or each.ends for each in content.packets):
            return False
        self._last_packet, self._lost = time.monotonic(), False
        return all(map(self._put, content.packets))

    async def _take(self, samples: Samples) -> None:
        if self._session is None:
            return
        if samples.changes or samples.ends:
            await self._settle()  # its place among the events of the signal before is then certain
        while not self._put(samples):
            await asyncio.sleep(RETRY_SECONDS)

    def _put(self, samples: Samples) -> bool:
        """Give samples to the session, those that come again once; False if it has no room."""
        try:
            if not self._inbox.put(read_packet(samples, self._inbox.info), samples.offset):
                return False
        except DriverError as error:
            log.warning("samples refused", extra={"session": self.name, "reason": str(error)})
        charge, shown = self._inbox.battery, self._charge
        if charge is not None and (shown is None or abs(charge - shown) >= CHARGE_STEP):
            self._charge = charge
            self._news.set()
        return True

    async def _fulfil(self, request: Request, stored: float) -> None:
        """Do what a request asks, and answer: also to one that comes again after a take-over.

        It was stored at ``stored``, Unix time on the bus's clock, s.
        """
        if not await take_in_time(self._bus, self.name, request, stored):
            extra = {"session": self.name, "request": type(request.asked).__name__}
            log.warning("a request is void", extra=extra)
            return
        asked = request.asked
        if isinstance(asked, WithdrawRest) and asked.request != self._rest:
            return  # it was not begun, or something else was since
        if self._session is None:
            refusal = Refusal(SessionOver.__name__, (f"Expected that {self.name} is open.",))
            answer = Answer(request.id, refusal)
        else:
            answer = await fulfil(request, self._session, self._sessions)
            if answer.refusal is None:
                self._note_done(request)
            await self._publish_view(self._view())
        subject, end = output_subject(self.name, "answers"), time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < end:  # then nobody waits for it any more
            with contextlib.suppress(NotStored):
                await publish(self._bus, subject, pack(answer), guard=self._guard)
                return
            await asyncio.sleep(RETRY_SECONDS)

    def _note_done(self, request: Request) -> None:
        """Note what a state has to say of a request that was carried out."""
        asked = request.asked
        if isinstance(asked, UseModel):
            self._choice = asked.choice
        if isinstance(asked, BeginBaseline):
            self._rest = request.id
        elif isinstance(asked, UseModel | UseBaseline | CancelBaseline | WithdrawRest):
            self._rest = None

    async def _settle(self) -> None:
        if self._session is not None:
            await asyncio.to_thread(self._session.settle)

    async def _watch_silence(self) -> None:
        """Say on the bus, in order with the packets, that none come; end a session left alone."""
        while True:
            await asyncio.sleep(SILENCE_TIMEOUT / 4)
            silence = time.monotonic() - self._last_packet
            live = self._inbox.info.live and self._session is not None
            if live and silence > SILENCE_TIMEOUT and not self._lost:
                self._lost = True  # at first: packets that come meanwhile end it
                if not await self._order(Order("lost", self._packets), f"lost-{self._taken}"):
                    self._lost = False
            if silence > ACQUIRER_TIMEOUT:
                await self._order(Order("close", self._packets), f"close-{self._taken}")

    async def _order(self, order: Order, name: str) -> bool:
        """Give an order; return whether it is stored: else the next round tries again."""
        subject = input_subject(self.name)
        with contextlib.suppress(NotStored):
            await publish(self._bus, subject, pack(order), name=f"{subject}-{name}")
            return True
        return False

    # The session ---------------------------------------------------------------------------------

    async def _open(self) -> None:
        saved: SavedSession | None = None
        if self._state is not None:
            saved = unpack_session(self._state.content, self._push.info)
            self._inbox.state = saved.inbox
            self._charge = saved.inbox.battery
        link = saved.inbox.link if saved else None

        def connect(_: str, on_change: Callable[[LinkChange], None]) -> Driver:
            self._driver = PushDriver(self._inbox, on_change, NEVER, link)
            return self._driver

        token = hashlib.blake2b(self._push.stream.encode(), digest_size=4).hexdigest()
        subject = Subject(CarriedPeople())
        if self._person is not None:
            subject.carry(self._person)
            subject.person = self._person.name
        self._session = await self._sessions.restore(
            self.name, self._choice, connect, saved, token, subject
        )
        await self._settle()

    def _chosen(self) -> ModelChoice:
        """Return the model that a session of this announcement begins with."""
        default = self._sessions.default
        if self._push.model is None and self._push.memory:
            return default
        return choose_model(self._push.model or default.name, self._push.memory)

    async def _save_all(self) -> None:
        """Put the session's state on the bus, again and again."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            with contextlib.suppress(SessionOver, EngineStopped, NotStored):
                await self.save()

    async def save(self) -> None:
        """Put the state on the bus, after all results before it."""
        session, sender = self._session, self._sender
        if session is None or sender is None:
            return
        # Packets that come meanwhile are in the state, and are dropped when they come again.
        # Requests would be done twice, so they wait.
        async with self._changing:
            sequence, choice, rest = self._taken, self._choice, self._rest
            packets = self._packets
            state = await asyncio.to_thread(self._pack, session)
        await sender.flush()
        await publish(
            self._bus,
            output_subject(self.name, "state"),
            pack(SavedState(sequence, state, choice, rest, packets)),
            guard=self._guard,
            only=True,
        )

    def _pack(self, session: Session) -> bytes:
        with self._inbox.held():
            saved = session.save()
            link = self._driver.link if self._driver else None
            inbox: InboxState = replace(self._inbox.state, link=link)
        return pack_session(replace(saved, inbox=inbox))

    # Its view ------------------------------------------------------------------------------------

    async def _publish_views(self) -> None:
        """Publish the session's view whenever it has changed."""
        before: View | None = None
        while True:
            self._news.clear()
            view = self._view()
            if view != before and await self._publish_view(view):
                before = view
            await self._news.wait()

    async def _publish_view(self, view: View) -> bool:
        try:
            subject = output_subject(self.name, "view")
            await publish(self._bus, subject, pack(view), guard=self._guard, only=True)
        except NotStored:
            self._news.set()
            await asyncio.sleep(RETRY_SECONDS)
            return False
        return True

    def _view(self) -> View:
        session = self._session
        assert session is not None
        assert session.info is not None
        assert session.logs is not None
        active = session.active_model
        return View(
            self.name,
            session.state,
            session.reason,
            "push://",
            session.logs.epoch,
            session.info,
            active.model,
            active.outputs,
            active.montage,
            active.delay,
            session.link,
            session.baseline,
            self._worker,
            active.head,
            session.subject.taken,
            self._charge,
            notes=True,
        )

    async def _publish_failure(self, reason: str) -> None:
        nothing = (None, None, None, None, None)
        info, baseline = self._push.info, SessionBaseline(0.0, 0.0, 0.0, 0.0, None)
        await self._publish_view(
            View(
                self.name,
                "ended",
                reason,
                "push://",
                "",
                info,
                *nothing,
                baseline,
                self._worker,
                notes=True,
            )
        )
