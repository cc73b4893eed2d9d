"""All feedback for studies of a service: one run at a time in each session."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mimamba.drivers.errors import Mismatch, UserError
from mimamba.models.signal.measures import BANDS
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.feedback.live_feedback import (
    Assignment,
    FeedbackPosition,
    LiveFeedback,
    first_position,
)
from mimamba.service.feedback.session_runs import SessionRuns, new_name
from mimamba.service.feedback.sham_course import ShamCourse, load_course
from mimamba.service.feedback.wanted_feedback import (
    MOST_RECORDINGS,
    WantedFeedback,
    feedback_rule,
)
from mimamba.service.protocol.feedback_state import FeedbackEntry, FeedbackSource
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.rules.rule_file import Rule
from mimamba.service.sessions.session import Session

log = logging.getLogger(__name__)

FEEDBACK: Final = "feedback"
"""First part of the names of runs, and of recordings that begin with one."""
CANNOT_READ: Final = "another service could not read the recordings that were given for a sham"
"""Reason of an end that is the same whosever values were shown."""
SOURCES: Final[tuple[FeedbackSource, ...]] = ("real", "sham")


class NoFeedback(UserError, LookupError):
    """The session has had no feedback."""


class BadFeedback(Mismatch):
    """The feedback that was asked for is not possible."""


class CannotGoOn(UserError):
    """Another service cannot go on with the feedback of a study."""


@dataclass(frozen=True)
class PreparedFeedback:
    """Feedback that can begin at once, and again: its threshold, and whose values it shows."""

    rule: Rule
    assignment: Assignment
    course: ShamCourse | None


class KeptFeedback:
    """Feedback that a study gives in its steps; no other begins in the session before its release.

    Parameters
    ----------
    runs
        The feedback of the service.
    session, study
        The study's session, and its name.
    assignment
        Whose values the steps show.
    prepared
        What the steps give; None if it could not be read again.
    """

    def __init__(
        self,
        runs: FeedbackRuns,
        session: Session,
        study: str,
        assignment: Assignment,
        prepared: PreparedFeedback | None,
    ) -> None:
        self._runs, self._session, self.study = runs, session, study
        self.assignment, self._prepared = assignment, prepared

    @property
    def shown(self) -> float:
        """Seconds of a sham that were shown so far."""
        course = None if self._prepared is None else self._prepared.course
        return 0.0 if course is None else course.shown

    def begin(self, run: str) -> LiveFeedback:
        """Begin it under a name of ``new_name``; raises as ``FeedbackRuns.begin_prepared``.

        Raises CannotGoOn if the recordings for a sham could not be read again.
        """
        if self._prepared is None:
            raise CannotGoOn(
                "Expected the recordings that were given for a sham, but another service that goes "
                "on with the study could not read them. Put them back, and begin the study again."
            )
        return self._runs.begin_kept(self._session, self._prepared, run)

    def go_on(self, run: str) -> LiveFeedback | None:
        """Go on with a run that another service has begun; see ``FeedbackRuns.go_on``."""
        live = self._runs.go_on(self._session, run)
        if live is not None and live.course is not None and self._prepared is not None:
            # The next step goes on where this one leaves it.
            self._prepared = replace(self._prepared, course=live.course)
        return live

    def hold(self) -> None:
        """Let no other feedback begin in the session; it goes on from another service."""
        self._runs.hold(self._session, self)

    def release(self) -> None:
        """Let other feedback begin in the session."""
        self._runs.release(self._session, self)


class FeedbackRuns(SessionRuns[LiveFeedback, FeedbackEntry]):
    """The feedback of a service's sessions. Calls block on the disk.

    Parameters
    ----------
    recordings
        The recordings: those whose values are shown, and those that get the log.
    """

    def __init__(self, recordings: Recordings) -> None:
        super().__init__("feedback", FeedbackEntry)
        self._recordings = recordings
        self._kept: dict[Session, KeptFeedback] = {}

    def begin(self, session: Session, wanted: WantedFeedback) -> LiveFeedback:
        """Begin feedback in a session; raises as ``prepare`` and ``begin_prepared``."""
        return self.begin_prepared(session, self.prepare(session, wanted))

    def prepare(
        self,
        session: Session,
        wanted: WantedFeedback,
        draw: Callable[[], FeedbackSource] | None = None,
    ) -> PreparedFeedback:
        """Check what is wanted, read the recordings, and choose whose values are shown.

        ``draw`` chooses between own values and a sham; without it, each has an equal chance.

        Raises
        ------
        BadFeedback
            If the quantity or the recordings do not fit.
        NoRecording, RecordingRefused, BadRecording
            If a recording is not there, not complete, too short, or has no such values.
        NotNow
            If feedback, or a study that gives it, goes on in the session, or the service is
            shutting down.
        SessionOver
            If the session is not open.
        """
        rule = _rule_of(session, wanted)
        if (wanted.choice == "real") is bool(wanted.recordings):
            expected = "no recording" if wanted.recordings else "at least one recording"
            raise BadFeedback(
                f"{expected} with feedback that is {wanted.choice}",
                f"{len(wanted.recordings)}" if wanted.recordings else "none",
                "leave them out" if wanted.recordings else "choose some",
            )
        if len(wanted.recordings) > MOST_RECORDINGS:
            raise BadFeedback(
                f"up to {MOST_RECORDINGS} recordings for a sham",
                f"{len(wanted.recordings)}",
                "leave some out",
            )
        with self._changing:
            self._check_not_kept(session)
            self._check_free(session)
        # This takes long: feedback elsewhere can begin and end.
        return PreparedFeedback(rule, *self._assign(wanted, rule, draw))

    def begin_prepared(self, session: Session, prepared: PreparedFeedback) -> LiveFeedback:
        """Begin feedback in a session. It is logged in the session's recording, else in a new one.

        Raises
        ------
        NotNow
            If feedback, or a study that gives it, goes on in the session, or the service is
            shutting down.
        SessionOver
            If the session is not open.
        NotStored
            If a bus does not answer.
        RecordingTaken, CannotRecord
            If a recording cannot begin now.
        """
        with self._changing:
            self._check_not_kept(session)
            return self._begin(session, prepared, new_name(FEEDBACK))

    def keep(self, session: Session, study: str, prepared: PreparedFeedback) -> KeptFeedback:
        """Keep the feedback of a session for the steps of a study.

        Raises NotNow if feedback goes on in the session, or the service is shutting down.
        """
        with self._changing:
            self._check_free(session)
            kept = KeptFeedback(self, session, study, prepared.assignment, prepared)
            self._kept[session] = kept
        return kept

    def prepare_again(
        self,
        session: Session,
        study: str,
        wanted: WantedFeedback,
        assignment: Assignment,
        shown: float,
    ) -> KeptFeedback:
        """Prepare the feedback of a study that another service began, with what it has drawn.

        ``shown`` are the seconds of a sham that its steps have shown.

        It is kept from ``KeptFeedback.hold`` on. The recordings for a sham are read again, also
        where none is shown. Where that fails, the steps that are left cannot begin feedback.
        """
        rule = feedback_rule(wanted)
        assert rule is not None  # it was one when the study began
        prepared: PreparedFeedback | None = None
        try:
            course = self._load_course(assignment, rule)
            if course is not None:
                course.shown = shown
            prepared = PreparedFeedback(rule, assignment, course)
        except UserError as error:
            log.warning("a sham cannot go on", extra={"reason": str(error)})
        return KeptFeedback(self, session, study, assignment, prepared)

    def hold(self, session: Session, kept: KeptFeedback) -> None:
        """Let no other feedback begin in a session, though a run of the study may go on."""
        with self._changing:
            self._kept[session] = kept

    def begin_kept(self, session: Session, prepared: PreparedFeedback, run: str) -> LiveFeedback:
        """Begin the feedback that is kept for a study; raises as ``begin_prepared``."""
        with self._changing:
            return self._begin(session, prepared, run)

    def go_on(self, session: Session, run: str) -> LiveFeedback | None:
        """Return a session's run of this name; None if there is none, or it has ended."""
        live = self._live.get(session)
        return live if live is not None and live.id == run and live.going_on else None

    def release(self, session: Session, kept: KeptFeedback) -> None:
        """Let feedback begin that is not the study's."""
        with self._changing:
            if self._kept.get(session) is kept:  # else another study has begun
                del self._kept[session]

    def _check_not_kept(self, session: Session) -> None:
        """Raise NotNow if a study that gives feedback goes on in a session."""
        kept = self._kept.get(session)
        if kept is not None:
            raise study_gives(session, kept.study)

    def _begin(self, session: Session, prepared: PreparedFeedback, run: str) -> LiveFeedback:
        rule, assignment, course = prepared.rule, prepared.assignment, prepared.course
        self._check_free(session)
        name = self._recordings.recording_of(session)
        is_own = name is None
        session.check_open()
        if name is None:
            person = session.subject.person
            made = new_name(f"{FEEDBACK}-{person or session.name}")
            name = self._recordings.start(session, made, person, None).name
        try:
            self._recordings.note_feedback(name)
            position = first_position(run, session, rule, assignment, course, name, is_own)
            live = self._make(session, rule, position, course)
        except Exception:
            if is_own:
                self._recordings.stop(name)
                self._recordings.delete(name, name)
            raise
        live.start()  # before others can find and stop it
        self._live[session] = live
        return live

    def _make(
        self, session: Session, rule: Rule, position: FeedbackPosition, course: ShamCourse | None
    ) -> LiveFeedback:
        return LiveFeedback(session, rule, position, course, self._recordings)

    def _none_in(self, session: Session) -> NoFeedback:
        return NoFeedback(f"The session {session.name} has had no feedback. Begin it.")

    def _check_free(self, session: Session) -> None:
        if self._closed:
            raise NotNow("The service is shutting down. Try again when it has restarted.")
        running = self._live.get(session)
        if running is not None and running.going_on:
            raise NotNow(f"Feedback goes on in the session {session.name} already. Stop it first.")
        for ended in [each for each in self._live if each.state == "ended"]:
            if not self._live[ended].going_on:
                del self._live[ended]

    def _assign(
        self, wanted: WantedFeedback, rule: Rule, draw: Callable[[], FeedbackSource] | None
    ) -> tuple[Assignment, ShamCourse | None]:
        """Choose whose values are shown.

        All recordings are loaded before anything is drawn: an error must not tell what was drawn.
        """
        courses = self._load_courses(wanted.recordings, rule)
        by_chance = wanted.choice in ("drawn", "balanced")
        if draw is not None:
            source = draw()
        elif by_chance:
            source = secrets.choice(SOURCES)
        else:
            source = "sham" if courses else "real"
        blind = wanted.blind or by_chance
        if source == "real":
            return Assignment(source, wanted.choice, wanted.recordings, blind=blind), None
        name = secrets.choice(wanted.recordings)
        assignment = Assignment(source, wanted.choice, wanted.recordings, name, blind)
        return assignment, courses[name]

    def _load_course(self, assignment: Assignment, rule: Rule) -> ShamCourse | None:
        """Load the values that were chosen before; raises as ``begin``.

        All of them, also where none is shown: an error must not tell what was drawn.
        """
        courses = self._load_courses(assignment.among, rule)
        return None if assignment.sham is None else courses[assignment.sham]

    def _load_courses(self, names: Sequence[str], rule: Rule) -> dict[str, ShamCourse]:
        """Load the values of recordings; raises as ``begin``."""
        return {
            name: load_course(self._recordings.file(name), rule.watched, rule.when)
            for name in names
        }


def study_gives(session: Session, study: str) -> NotNow:
    """Make the error for a session with a study that gives feedback."""
    return NotNow(
        f"The study {study}, which gives feedback itself, goes on in the session "
        f"{session.name}. Begin other feedback when it is over."
    )


def _rule_of(session: Session, wanted: WantedFeedback) -> Rule:
    """Return the quantity with its threshold; raises BadFeedback where the session has none."""
    rule, known = feedback_rule(wanted), _quantities(session)
    if rule is None or wanted.quantity not in known:
        raise BadFeedback(
            f"a quantity of the session {session.name} ({', '.join(known[:8])}, ...)",
            repr(wanted.quantity),
            "choose one of them",
        )
    return rule


def _quantities(session: Session) -> list[str]:
    """Return the quantities of an open session, in the form of rules; raises SessionOver."""
    session.check_open()
    head, channels = session.head, session.info.ch_names if session.info else ()
    outputs = session.active_model.outputs or {}
    return [
        *(f"{output}/{label}" for output, labels in outputs.items() for label in labels),
        *(f"personal/{state}" for state in (head.kinds if head else ())),
        *(f"band/{band}" for band in BANDS),
        *(f"band/{band}/{channel}" for band in BANDS for channel in channels),
    ]
