"""Studies in sessions on the bus: when their gateway dies, another one goes on with the same step.

A study is a message on the bus with its protocol, its step and its newest marker, renewed before
each marker. So another gateway needs no file of the first one. The one that writes the study's
recording takes the study, too, as it has to stop it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from mimamba.service.bus.bus import Bus, NotStored, Overtaken
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.cluster.bus_recordings import (
    LOOK_SECONDS,
    PATIENCE,
    BusRecordings,
    HeldKey,
    on_loop,
)
from mimamba.service.cluster.placement import LEASE_SECONDS
from mimamba.service.cluster.subjects import decode_or_none, pack, study_key
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.studies.electrode_contact import GOOD_SECONDS
from mimamba.service.studies.live_study import LiveStudy, StudyEnded, StudyPosition
from mimamba.service.studies.protocol_file import StudyProtocol
from mimamba.service.studies.studies import BeginFeedback, Studies

log = logging.getLogger(__name__)


class StudyState(msgspec.Struct, frozen=True):
    """A study that goes on: its gateway, its session, and its place."""

    gateway: str
    session: str
    position: StudyPosition


class HeldStudy:
    """The lease of one study that this gateway has; see ``StudyLease``.

    Parameters
    ----------
    key
        Its message.
    gateway, session
        The gateway, and the session.
    """

    def __init__(self, key: HeldKey, gateway: str, session: str) -> None:
        self._key, self._gateway, self._session = key, gateway, session
        self._held = False

    def renew(self, position: StudyPosition) -> bool:
        """Note how far the study is; return False if another gateway has it now.

        Raises NotStored where the bus does not answer the first time. Later it goes on, as its
        markers wait for the bus, too.
        """
        payload = pack(StudyState(self._gateway, self._session, position))
        if self._held:
            return self._key.store_if_possible(payload)
        try:
            self._key.store(payload)
        except Overtaken:
            return False
        self._held = True
        return True

    def give_up(self) -> None:
        """Note that the study is over."""
        self._key.store_if_possible(b"")


class BusStudies(Studies):
    """Studies of a gateway; others go on with those of one that died.

    Parameters
    ----------
    folder
        As for ``Studies``.
    recordings
        Of this gateway.
    bus
        The bus.
    gateway
        The name under which this gateway answers on the bus.
    find
        Returns a session with filled logs, or None.
    contact_seconds
        As for ``Studies``.
    """

    def __init__(
        self,
        folder: Path,
        recordings: BusRecordings,
        bus: Bus,
        gateway: str,
        find: Callable[[str], Awaitable[Session | None]],
        contact_seconds: float = GOOD_SECONDS,
    ) -> None:
        super().__init__(folder, recordings, contact_seconds)
        self._bus, self._gateway, self._find = bus, gateway, find
        self._written = recordings
        self._loop = asyncio.get_running_loop()
        self._states: dict[str, tuple[int, StudyState]] = {}
        self._waiting: dict[str, float] = {}

    async def run(self) -> None:
        """Go on with studies of gateways that are gone, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._take_over_all())

    async def _watch(self) -> None:
        async with self._bus.follow(study_key("*"), "newest") as messages:
            async for message in messages:
                self._note(message.subject, message.sequence, message.payload)

    def _note(self, subject: str, sequence: int, payload: bytes) -> StudyState | None:
        state = decode_or_none(payload, StudyState) if payload else None
        if state is None:
            self._states.pop(subject, None)
            return None
        self._states[subject] = sequence, state
        live = self._live_of(state)
        if state.gateway != self._gateway and live is not None:
            live.leave()  # this gateway was slow, and was taken for dead
        return state

    def _live_of(self, state: StudyState) -> LiveStudy | None:
        """Return a study if it was here last."""
        found = [each for each in list(self._live.values()) if each.id == state.position.id]
        return next((each for each in found if not each.elsewhere), None)

    # Beginning, in other threads -----------------------------------------------------------------

    def _make(
        self, session: Session, protocol: StudyProtocol, begin_feedback: BeginFeedback | None
    ) -> LiveStudy:
        assert begin_feedback is None  # no session of a worker has feedback
        subject, sequence = study_key(session.name), 0
        for message in on_loop(self._loop, self._bus.newest(subject)):
            sequence = message.sequence
            state = self._note(subject, sequence, message.payload)
            if state is not None and session.name == state.session:
                raise self._goes_on(state)
        try:
            return self._lead(session, protocol, sequence)
        except StudyEnded:
            raise NotNow(
                f"Another service begins a study in the session {session.name} now. "
                "Finish or stop it first."
            ) from None

    def _lead(
        self,
        session: Session,
        protocol: StudyProtocol,
        sequence: int,
        position: StudyPosition | None = None,
    ) -> LiveStudy:
        key = HeldKey(self._bus, self._loop, study_key(session.name), sequence)
        lease = HeldStudy(key, self._gateway, session.name)
        return LiveStudy(
            session, protocol, self._recordings, self._contact_seconds, lease, position
        )

    def of(self, session: Session) -> LiveStudy:
        """Return the newest study of a session; raises NoStudy, and NotNow if it is elsewhere."""
        live = self._live.get(session)
        _, state = self._states.get(study_key(session.name), (0, None))
        if state is not None and (live is None or live.id != state.position.id or live.elsewhere):
            raise self._goes_on(state)
        return super().of(session)

    def _goes_on(self, state: StudyState) -> NotNow:
        name = state.position.protocol.name
        return NotNow(
            f"The study {name} goes on in the session {state.session}, at another service. "
            "Answer or stop it there."
        )

    # Going on, on the event loop -----------------------------------------------------------------

    async def _take_over_all(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for subject, (sequence, state) in list(self._states.items()):
                with contextlib.suppress(NotStored):
                    if await self._is_left(state):
                        session = await self._find(state.session)
                        key = HeldKey(self._bus, self._loop, subject, sequence)
                        await asyncio.to_thread(self._continue, key, session, sequence, state)

    async def _is_left(self, state: StudyState) -> bool:
        """Return whether a study is to go on here."""
        if time.monotonic() - self._bus.connected_since < LEASE_SECONDS:
            return False  # after an outage of the server, all are given time to connect again
        if state.gateway == self._gateway:
            return self._live_of(state) is None
        if await self._bus.is_there(state.gateway):
            self._waiting.pop(state.position.id, None)
            return False
        recording = state.position.progress.recording
        writer = recording and self._written.writer_of(state.session, recording)
        if not recording or not writer or self._written.writes(recording):
            return True
        # Who writes the recording takes the study. If nobody has its file, the study goes on alone.
        since = self._waiting.setdefault(state.position.id, time.monotonic())
        return time.monotonic() - since > PATIENCE and not await self._bus.is_there(writer)

    def _continue(
        self, key: HeldKey, session: Session | None, sequence: int, state: StudyState
    ) -> None:
        with self._changing:  # a study that begins here is here
            if self._closed or self._live_of(state) is not None:
                return
            position = state.position
            try:
                if session is None or session.state != "open":
                    log.warning("a study ended with its session", extra={"study": position.id})
                    key.store_if_possible(b"")
                    return
                live = self._lead(session, position.protocol, sequence, position)
            except (StudyEnded, SessionOver):
                return  # another gateway was first, or the next look finds that it has ended
            live.start()  # before others can find and stop it
            self._live[session] = live
        log.warning("study goes on", extra={"study": live.id})
