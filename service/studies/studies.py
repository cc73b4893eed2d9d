"""All studies of a service: its protocols, and one run at a time in each session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.feedback.allocations import Allocations
from mimamba.service.feedback.feedback_runs import (
    BadFeedback,
    FeedbackRuns,
    KeptFeedback,
    PreparedFeedback,
)
from mimamba.service.feedback.session_runs import SessionRuns
from mimamba.service.protocol.feedback_state import FeedbackSource
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.recordings.recordings import Recordings, check_speed
from mimamba.service.sessions.session import Session
from mimamba.service.studies.electrode_contact import GOOD_SECONDS
from mimamba.service.studies.live_study import LiveStudy
from mimamba.service.studies.protocol_file import NoStudy, StudyProtocol
from mimamba.service.studies.study_folder import StudyFolder


class Studies(SessionRuns[LiveStudy, StudyEntry]):
    """The studies of a service's sessions. Calls block on the disk.

    Parameters
    ----------
    folder
        Folder of the protocols.
    recordings
        Records studies whose protocol asks for it.
    contact_seconds
        Seconds for which all electrodes must be good before a study that waits for them.
    feedback, allocations
        Give feedback in steps that ask for it, and draw whose values it shows.

    Attributes
    ----------
    protocols
        The protocols.
    """

    def __init__(
        self,
        folder: Path,
        recordings: Recordings,
        feedback: FeedbackRuns,
        allocations: Allocations,
        contact_seconds: float = GOOD_SECONDS,
    ) -> None:
        super().__init__("study", StudyEntry)
        self.protocols = StudyFolder(folder)
        self._recordings, self._contact_seconds = recordings, contact_seconds
        self._feedback, self._allocations = feedback, allocations

    def begin(self, session: Session, protocol: StudyProtocol) -> LiveStudy:
        """Begin a study in a session.

        Raises
        ------
        NotNow
            If a study, or for one that gives feedback other feedback, goes on in the session, or
            the service is shutting down.
        SessionOver
            If the session is not open.
        RecordingTaken, RecordingRefused
            If the study asks for a recording, and the session cannot be recorded now, or gives
            feedback, and another service records the session.
        BadFeedback, NoRecording, BadRecording, BadAllocation
            If the study gives feedback that is not possible in the session.
        """
        self._check_possible(session, protocol)
        prepared = self._prepare_feedback(session, protocol)
        with self._changing:
            self._check_possible(session, protocol)
            for ended in [each for each, run in self._live.items() if _is_over(each, run)]:
                del self._live[ended]
            live = self._keep_and_make(session, protocol, prepared)
            live.start()  # before others can find and stop it
            self._live[session] = live
        return live

    def _check_possible(self, session: Session, protocol: StudyProtocol) -> None:
        """Check all but the feedback, also before a draw: a refused study must spend none."""
        self._check_free(session)
        if self._closed:
            raise NotNow("The service is shutting down. Try again when it has restarted.")
        session.check_open()
        if protocol.record:
            check_speed(session)
            self._recordings.check_not_recorded(session)

    def _check_free(self, session: Session) -> None:
        """Raise NotNow if a study goes on in a session."""
        running = self._live.get(session)
        if running is not None and running.going_on:
            raise NotNow(
                f"The study {running.protocol.name} goes on in the session {session.name}. "
                "Finish or stop it first."
            )

    def _prepare_feedback(
        self, session: Session, protocol: StudyProtocol
    ) -> PreparedFeedback | None:
        """Choose whose values a study shows; None for one without feedback."""
        wanted = protocol.feedback
        if wanted is None:
            return None
        draw: Callable[[], FeedbackSource] | None = None
        if wanted.choice == "balanced":
            person = session.subject.person
            if person is None:
                raise BadFeedback(
                    f"a session with a person, for whom the study {protocol.name} draws",
                    "a session without one",
                    "choose a person and open it again",
                )

            def draw_arm() -> FeedbackSource:
                self._check_possible(session, protocol)  # reading recordings has taken a while
                return self._allocations.arm_of(protocol.name, person, wanted.block)

            draw = draw_arm
        return self._feedback.prepare(session, wanted, draw)

    def _keep_and_make(
        self, session: Session, protocol: StudyProtocol, prepared: PreparedFeedback | None
    ) -> LiveStudy:
        kept: KeptFeedback | None = None
        if prepared is not None:
            kept = self._feedback.keep(session, protocol.name, prepared)
        try:
            return self._make(session, protocol, kept)
        except Exception:
            if kept is not None:
                kept.release()
            raise

    def _make(
        self, session: Session, protocol: StudyProtocol, feedback: KeptFeedback | None
    ) -> LiveStudy:
        return LiveStudy(
            session, protocol, self._recordings, self._contact_seconds, feedback=feedback
        )

    def entry_of(self, session: Session) -> StudyEntry:
        """Return the progress of a session's newest study, also of another service.

        Raises NoStudy.
        """
        entry = super().entry_of(session)
        now, progress = session.now(), entry.progress
        if progress.phase != "step" or progress.left is None:
            return entry
        left = max(0.0, progress.left - (now - entry.timestamp))
        return replace(entry, timestamp=now, progress=replace(progress, left=left))

    def _none_in(self, session: Session) -> NoStudy:
        return NoStudy(f"The session {session.name} has had no study. Begin one.")


def _is_over(session: Session, live: LiveStudy) -> bool:
    """Return whether nobody asks for a study any more: its session has ended."""
    return session.state == "ended" and not live.going_on
