"""Studies in sessions on the bus: when their gateway dies, another one goes on with the same step.

A study is a message on the bus with its protocol, its step and its newest marker, renewed before
each marker. So another gateway needs no file of the first one. The one that writes the study's
recording takes the study, too, as it has to stop it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from mimamba.service.bus.bus import Bus
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.cluster.continued.bus_recordings import BusRecordings
from mimamba.service.cluster.continued.run_keys import RunKeys, RunState
from mimamba.service.cluster.continued.watched_keys import HeldLease, NotedKey
from mimamba.service.cluster.subjects import study_key
from mimamba.service.feedback.feedback_runs import PreparedFeedback
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.studies.electrode_contact import GOOD_SECONDS
from mimamba.service.studies.live_study import LiveStudy, StudyEnded, StudyPosition
from mimamba.service.studies.protocol_file import StudyProtocol
from mimamba.service.studies.studies import Studies

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
        """Name of its recording; None without one."""
        return self.position.progress.recording


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
        self._gateway = gateway
        self._keys: RunKeys[StudyState, LiveStudy] = RunKeys(
            bus,
            study_key("*"),
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
        self._keys.release(self._live.get(session))

    def _make(
        self, session: Session, protocol: StudyProtocol, prepared: PreparedFeedback | None
    ) -> LiveStudy:
        assert prepared is None  # no session of a worker has feedback in a study
        sequence, state = self._keys.ask(study_key(session.name))
        if state is not None:
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
        key = self._keys.hold(study_key(session.name), sequence)
        lease: HeldLease[StudyPosition] = HeldLease(
            key, lambda place: StudyState(self._gateway, session.name, place), held=False
        )
        return LiveStudy(
            session, protocol, self._recordings, self._contact_seconds, lease, position
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
        with self._changing:  # a study that begins here is here
            if self._closed or self._keys.is_here(noted.state):
                return
            try:
                if session is None or session.state != "open":
                    log.warning("a study ended with its session", extra={"study": position.id})
                    self._keys.hold(noted.subject, noted.sequence).store_if_possible(b"")
                    return
                live = self._lead(session, position.protocol, noted.sequence, position)
            except (StudyEnded, SessionOver):
                return  # another gateway was first, or the next look finds that it has ended
            live.start()  # before others can find and stop it
            self._live[session] = live
        log.warning("study goes on", extra={"study": live.id})
