"""Feedback in sessions on the bus: when its gateway dies, another one goes on with it.

Feedback is a message on the bus with whose values are shown, and its newest entry, renewed before
each entry. The gateway that writes its recording takes it, and reads the values of a sham again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from mimamba.drivers.errors import UserError
from mimamba.service.bus.bus import Bus, Overtaken
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.cluster.failover.bus_recordings import BusRecordings
from mimamba.service.cluster.failover.bus_studies import StudyState
from mimamba.service.cluster.failover.run_keys import RunKeys, RunState
from mimamba.service.cluster.failover.watched_keys import (
    LOOK_SECONDS,
    PATIENCE,
    HeldLease,
    NotedKey,
    WatchedKeys,
)
from mimamba.service.cluster.subjects import (
    FEEDBACK_KEYS,
    STUDY_KEYS,
    feedback_key,
    study_key,
)
from mimamba.service.feedback.feedback_runs import CANNOT_READ, FeedbackRuns, study_gives
from mimamba.service.feedback.live_feedback import (
    FeedbackLeft,
    FeedbackPosition,
    LiveFeedback,
    ended_position,
    recording_ended,
)
from mimamba.service.feedback.sham_course import ShamCourse
from mimamba.service.feedback.wanted_feedback import feedback_rule
from mimamba.service.rules.rule_file import Rule
from mimamba.service.sessions.session import Session, SessionOver

log = logging.getLogger(__name__)


class BusFeedbackState(RunState, frozen=True):
    """Feedback that goes on: its gateway, its session, and its place."""

    position: FeedbackPosition

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.position.id

    @property
    def recording(self) -> str:
        """Name of its recording."""
        return self.position.entry.state.recording


class BusFeedback(FeedbackRuns):
    """Feedback of a gateway; others go on with that of one that died.

    Parameters
    ----------
    recordings
        Of this gateway.
    bus
        The bus.
    gateway
        The name under which this gateway answers on the bus.
    find
        Returns a session with filled logs, or None.
    """

    def __init__(
        self,
        recordings: BusRecordings,
        bus: Bus,
        gateway: str,
        find: Callable[[str], Awaitable[Session | None]],
    ) -> None:
        super().__init__(recordings)
        self._gateway, self._written = gateway, recordings
        self._keys: RunKeys[BusFeedbackState, LiveFeedback] = RunKeys(
            bus,
            FEEDBACK_KEYS,
            BusFeedbackState,
            feedback_key,
            gateway,
            recordings,
            find,
            lambda: list(self._live.values()),
        )
        self._study_keys = WatchedKeys(bus, STUDY_KEYS, StudyState)

    async def run(self) -> None:
        """Go on with feedback of gateways that are gone, until cancelled."""
        await self._keys.go_on(self._continue)

    def of(self, session: Session) -> LiveFeedback:
        """Return the newest feedback of a session.

        Raises NoFeedback, and NotNow if it is at another service.
        """
        if self._keys.elsewhere(feedback_key(session.name), self._live.get(session)) is not None:
            raise self._goes_on(session)
        return super().of(session)

    # Beginning, in other threads -----------------------------------------------------------------

    def _check_not_kept(self, session: Session) -> None:
        super()._check_not_kept(session)
        _, state = self._study_keys.ask(study_key(session.name))
        if state is None or state.position.ending:
            return
        if state.position.assignment is not None:
            raise study_gives(session, state.position.protocol.name)

    def _check_free(self, session: Session) -> None:
        super()._check_free(session)
        _, state = self._keys.ask(feedback_key(session.name))
        if state is not None:
            raise self._goes_on(session)
        self._keys.release(self._live.get(session))

    def _goes_on(self, session: Session) -> NotNow:
        return NotNow(
            f"Feedback goes on in the session {session.name}, at another service. Stop it there."
        )

    def _make(
        self, session: Session, rule: Rule, position: FeedbackPosition, course: ShamCourse | None
    ) -> LiveFeedback:
        sequence, state = self._keys.ask(feedback_key(session.name))
        if state is not None:
            raise self._goes_on(session)
        try:
            return self._lead(session, rule, position, course, sequence, begins=True)
        except (FeedbackLeft, Overtaken):
            raise NotNow(
                f"Another service begins feedback in the session {session.name} now. "
                "Stop it there first."
            ) from None

    def _lead(
        self,
        session: Session,
        rule: Rule,
        position: FeedbackPosition,
        course: ShamCourse | None,
        sequence: int,
        begins: bool = False,
    ) -> LiveFeedback:
        key = self._keys.hold(feedback_key(session.name), sequence)
        if begins:
            key.reserve()
        lease: HeldLease[FeedbackPosition] = HeldLease(
            key, lambda place: BusFeedbackState(self._gateway, session.name, place), held=begins
        )
        return LiveFeedback(session, rule, position, course, self._recordings, lease)

    # Going on, in another thread -----------------------------------------------------------------

    def go_on(self, session: Session, run: str) -> LiveFeedback | None:
        """Go on with a session's run of this name; return None if there is none, or it has ended.

        It is taken from a gateway that is gone or was slow, as its study was.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            live = self._live.get(session)
            if live is not None and live.id == run and not live.elsewhere:
                return live if live.going_on else None
            sequence, state = self._keys.ask(feedback_key(session.name))
            if state is None or state.id != run:
                return None
            if self._written.writes(state.recording, state.session):
                noted = NotedKey(feedback_key(session.name), sequence, state)
                self._continue(noted, session)
            else:  # it goes on where its recording does, or ends
                time.sleep(LOOK_SECONDS / 5)
        return None

    def _continue(self, noted: NotedKey[BusFeedbackState], session: Session | None) -> None:
        state = noted.state
        if session is None or session.state != "open":
            log.warning("feedback ended with its session", extra={"feedback": state.id})
            self._keys.hold(noted.subject, noted.sequence).store_if_possible(b"")
            return
        rule = feedback_rule(state.position.entry.state)
        assert rule is not None  # it was one when the feedback began
        position, course = self._prepare(state, rule, session)
        with self._changing:  # feedback that begins here is here
            if self._closed or self._keys.is_here(state):
                return
            try:
                live = self._lead(session, rule, position, course, noted.sequence)
            except (FeedbackLeft, SessionOver):
                return  # another gateway was first, or the next look finds that it has ended
            live.start()  # before others can find and stop it
            self._live[session] = live
        log.warning("feedback goes on", extra={"feedback": live.id})

    def _prepare(
        self, state: BusFeedbackState, rule: Rule, session: Session
    ) -> tuple[FeedbackPosition, ShamCourse | None]:
        """Return the place at which feedback goes on, or ends, and the values of a sham."""
        position = state.position
        if position.ending:
            return position, None
        if not self._written.writes(state.recording, state.session):
            reason = recording_ended(state.recording)
            return ended_position(position, reason, session.now()), None
        try:
            return position, self._load_course(position.assignment, rule)
        except UserError as error:
            log.warning("a sham cannot go on", extra={"reason": str(error)})
            return ended_position(position, CANNOT_READ, session.now()), None
