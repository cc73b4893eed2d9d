"""Studies in sessions on the bus: when their gateway dies, another one goes on with the same step.

A study is a message on the bus with its protocol, its step and its newest marker, renewed before
each marker. So another gateway needs no file of the first one. The one that writes the study's
recording takes the study, too, as it has to stop it. With the study it takes the feedback of the
step that goes on, and later steps show the values of the same source, which the message says.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from mimamba.service.bus.bus import Bus, Overtaken
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.cluster.failover.bus_recordings import BusRecordings
from mimamba.service.cluster.failover.run_keys import RunKeys, RunState
from mimamba.service.cluster.failover.watched_keys import HeldLease, NotedKey
from mimamba.service.cluster.subjects import STUDY_KEYS, study_key
from mimamba.service.feedback.allocations import Allocations
from mimamba.service.feedback.feedback_runs import FeedbackRuns, KeptFeedback
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.studies.electrode_contact import GOOD_SECONDS
from mimamba.service.studies.live_study import LiveStudy, StudyEnded
from mimamba.service.studies.protocol_file import StudyProtocol
from mimamba.service.studies.studies import Studies
from mimamba.service.studies.study_position import StudyPosition

log = logging.getLogger(__name__)


class StudyState(RunState, frozen=True):
    """A study that goes on: its gateway, its session, and its place."""

    position: StudyPosition

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.position.id

    @property
    def recording(self) -> str | None:
        """Name of its recording, or of that with the log of its feedback; None without one."""
        given = self.position.given
        log_of_step = None if given is None else given.logged_in
        return self.position.progress.recording or log_of_step


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
    feedback, allocations, contact_seconds
        As for ``Studies``.
    """

    def __init__(
        self,
        folder: Path,
        recordings: BusRecordings,
        bus: Bus,
        gateway: str,
        find: Callable[[str], Awaitable[Session | None]],
        feedback: FeedbackRuns,
        allocations: Allocations,
        contact_seconds: float = GOOD_SECONDS,
    ) -> None:
        super().__init__(folder, recordings, feedback, allocations, contact_seconds)
        self._gateway = gateway
        self._keys: RunKeys[StudyState, LiveStudy] = RunKeys(
            bus,
            STUDY_KEYS,
            StudyState,
            study_key,
            gateway,
            recordings,
            find,
            lambda: list(self._live.values()),
        )

    async def run(self) -> None:
        """Go on with studies of gateways that are gone, until cancelled."""
        await self._keys.go_on(self._continue)

    # Beginning, in other threads -----------------------------------------------------------------

    def _check_free(self, session: Session) -> None:
        super()._check_free(session)
        self._find_place(session)
        self._keys.release(self._live.get(session))

    def _find_place(self, session: Session) -> int:
        """Return the number of a session's key; raises NotNow if a study goes on in it."""
        sequence, state = self._keys.ask(study_key(session.name))
        if state is not None:
            raise self._goes_on(state)
        return sequence

    def _make(
        self, session: Session, protocol: StudyProtocol, feedback: KeptFeedback | None
    ) -> LiveStudy:
        sequence = self._find_place(session)
        try:
            return self._lead(session, protocol, sequence, feedback)
        except (Overtaken, StudyEnded):
            raise NotNow(
                f"Another service begins a study in the session {session.name} now. "
                "Finish or stop it first."
            ) from None

    def _lead(
        self,
        session: Session,
        protocol: StudyProtocol,
        sequence: int,
        feedback: KeptFeedback | None,
        position: StudyPosition | None = None,
    ) -> LiveStudy:
        key, begins = self._keys.hold(study_key(session.name), sequence), position is None
        if begins:
            key.reserve()
        lease: HeldLease[StudyPosition] = HeldLease(
            key, lambda place: StudyState(self._gateway, session.name, place), held=begins
        )
        return LiveStudy(
            session, protocol, self._recordings, self._contact_seconds, lease, position, feedback
        )

    def of(self, session: Session) -> LiveStudy:
        """Return the newest study of a session; raises NoStudy, and NotNow if it is elsewhere."""
        state = self._keys.elsewhere(study_key(session.name), self._live.get(session))
        if state is not None:
            raise self._goes_on(state)
        return super().of(session)

    def _goes_on(self, state: StudyState) -> NotNow:
        name = state.position.protocol.name
        return NotNow(
            f"The study {name} goes on in the session {state.session}, at another service. "
            "Answer or stop it there."
        )

    # Going on, in another thread -----------------------------------------------------------------

    def _continue(self, noted: NotedKey[StudyState], session: Session | None) -> None:
        position = noted.state.position
        if self._closed or self._keys.is_here(noted.state):
            return
        if session is None or session.state != "open":
            log.warning("a study ended with its session", extra={"study": position.id})
            self._keys.hold(noted.subject, noted.sequence).store_if_possible(b"")
            return
        kept = self._prepare_again(session, position)
        with self._changing:  # a study that begins here is here
            live = self._take(noted, session, kept)
            if live is None:
                return
            if kept is not None:
                kept.hold()
            live.start()  # before others can find and stop it
            self._live[session] = live
        log.warning("study goes on", extra={"study": live.id})

    def _prepare_again(self, session: Session, position: StudyPosition) -> KeptFeedback | None:
        """Prepare the feedback of a study, which shows the values of the same source as before."""
        protocol, assignment = position.protocol, position.assignment
        if protocol.feedback is None or assignment is None:
            return None
        return self._feedback.prepare_again(
            session, protocol.name, protocol.feedback, assignment, position.shown
        )

    def _take(
        self, noted: NotedKey[StudyState], session: Session, kept: KeptFeedback | None
    ) -> LiveStudy | None:
        """Take a study over; return None if it is here, or has ended or gone on elsewhere."""
        if self._closed or self._keys.is_here(noted.state):
            return None
        position = noted.state.position
        try:
            return self._lead(session, position.protocol, noted.sequence, kept, position)
        except (StudyEnded, SessionOver):
            return None  # another gateway was first, or the next look finds that it has ended
