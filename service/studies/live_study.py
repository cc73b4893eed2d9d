"""A study that goes on in a session: its steps by the service's clock, in a thread of its own.

The page only shows it, so a page that is closed or reloaded changes nothing: the steps go on, and
their markers are set. Over a bus, another service goes on with a study whose service was killed:
each marker is noted before it is set, and set again where it is not certain that it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from mimamba.drivers.errors import UserError
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.measures import Quality
from mimamba.service.bus.bus import NotStored
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.feedback.feedback_runs import FEEDBACK, KeptFeedback
from mimamba.service.feedback.live_feedback import LiveFeedback
from mimamba.service.feedback.session_runs import RunLease, new_name
from mimamba.service.protocol.personal import RatingEntry
from mimamba.service.protocol.study_progress import StudyEntry, StudyProgress
from mimamba.service.recordings.recordings import NoRecording, Recordings, RecordingTaken
from mimamba.service.sessions.markers import set_again, set_marker
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.storage.folders import CannotRecord
from mimamba.service.studies.electrode_contact import GOOD_SECONDS, ContactCount
from mimamba.service.studies.protocol_file import StudyProtocol, StudyStep
from mimamba.service.studies.study_position import GivenFeedback, StudyPosition

log = logging.getLogger(__name__)

SOURCE = "study"
"""Source of a study's markers."""
LOOK = 0.25
"""Seconds between two looks at the session while a step goes on."""
CONTACT_LOOK = 0.1
"""Seconds between two looks at the electrodes."""
STOPPED = "stopped on request"
SESSION_ENDED = "the session ended"
ELSEWHERE = "another service goes on with it"


class StudyEnded(UserError):
    """The study ends before its last step; the message says why."""


class LiveStudy:
    """A run of a protocol in a session. Methods may be called from any thread.

    Parameters
    ----------
    session
        An open session.
    protocol
        The protocol.
    recordings
        Records the session, if the protocol asks for it.
    contact_seconds
        Seconds for which all electrodes must be good, if the protocol asks for it.
    lease
        The right to the study; None where no other service goes on with it.
    position
        Where another service has left it; None begins it.
    feedback
        Feedback of its steps; None for a protocol without.

    Raises
    ------
    SessionOver
        If the session is not open.
    StudyEnded
        If another service has the study.
    """

    def __init__(
        self,
        session: Session,
        protocol: StudyProtocol,
        recordings: Recordings,
        contact_seconds: float = GOOD_SECONDS,
        lease: RunLease[StudyPosition] | None = None,
        position: StudyPosition | None = None,
        feedback: KeptFeedback | None = None,
    ) -> None:
        self.session, self.protocol = session, protocol
        self._recordings, self._contact_seconds = recordings, contact_seconds
        self._lease, self._feedback = lease, feedback
        self._changed = threading.Condition()
        self._stopping: str | None = None
        self._closing = self._elsewhere = self._over = False
        self._answered = False
        self._logs = session.check_open()
        if position is None:
            position = self._first_position()
        self.id, self._now, self._last = position.id, position.progress, position.marker
        self._began, self._ending = position.began, position.ending
        self._given = position.given
        # Steps are as long as this machine's clock says: the session's is an estimate over a bus.
        self._began_here = local_clock() - (session.now() - position.began)
        self._thread = threading.Thread(target=self._run, name=f"study {self.id}")
        self._keep()
        self._log()

    def _first_position(self) -> StudyPosition:
        protocol, left = self.protocol, self._contact_seconds
        progress = StudyProgress(
            study=protocol.name,
            title=protocol.title,
            phase="contact",
            step=0,
            of=len(protocol.steps),
            text=None,
            sound=None,
            speak=None,
            rating=False,
            left=left,
            total=left,
            planned=protocol.planned,
            later=protocol.planned,
        )
        return StudyPosition(new_name(protocol.name), protocol, progress, self.session.now())

    def start(self) -> None:
        """Begin with the electrodes, or the first step, or go on."""
        self._thread.start()

    @property
    def going_on(self) -> bool:
        """True until it has ended, or another service goes on with it."""
        return self._now.phase in ("contact", "step") and not self._elsewhere

    @property
    def recording(self) -> str | None:
        """Name of the recording that ends with it; None without one."""
        return self._now.recording

    @property
    def over(self) -> bool:
        """True once nothing is left to do for it here."""
        return self._over

    @property
    def elsewhere(self) -> bool:
        """True if another service goes on with it."""
        return self._elsewhere

    def entry(self) -> StudyEntry:
        """Return its progress now."""
        with self._changed:
            now = self._now
            if now.phase == "step" and now.total is not None:
                left = self._began_here + now.total - local_clock()
                now = replace(now, left=max(0.0, left))
            return StudyEntry(self.session.now(), self.id, now)

    def answer(self, step: int, rate: Callable[[], object] | None) -> None:
        """End a step that waits for an answer.

        Parameters
        ----------
        step
            Its number.
        rate
            Logs the rating that was given; None for a press of a key.

        Raises
        ------
        NotNow
            If this step does not wait for such an answer, or not any more.
        """
        with self._changed:
            now = self._now
            if self._elsewhere:
                raise NotNow(
                    "Expected an answer to a study of this service, but another service goes on "
                    "with it. Answer there."
                )
            if now.phase != "step" or now.step != step or self._answered:
                found = f"step {now.step}" if now.phase == "step" else f"the phase {now.phase!r}"
                raise NotNow(
                    f"Expected an answer to the step that goes on, but found one to step {step} "
                    f"in {found}. Answer what is shown."
                )
            if now.rating is (rate is None) or (rate is None and now.total is not None):
                wanted = "a rating" if now.rating else "no answer" if now.total else "no rating"
                given = "none" if rate is None else "one"
                raise NotNow(
                    f"Expected {wanted} in step {step}, but found {given}. Answer what is shown."
                )
            if rate is not None:
                rate()
            self._answered = True
            self._changed.notify_all()

    def stop(self, reason: str = STOPPED) -> None:
        """Stop, and keep what is there; returns when the recording is closed."""
        with self._changed:
            self._stopping = self._stopping or reason
            self._changed.notify_all()
        self._thread.join()

    def close(self) -> None:
        """Stop as the service ends: the last marker is not waited for."""
        self._closing = True
        self.stop("the service ended")

    def leave(self) -> None:
        """Leave it to another service, which goes on with it; set no marker any more."""
        with self._changed:
            self._elsewhere = True
            self._changed.notify_all()

    # In its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        reason: str | None = "an internal error; see the service's log"
        try:
            if self._ending:
                reason = self._now.reason
                self._stop_given()
            else:
                self._carry_out_all()
                reason = None
        except (UserError, SessionOver, CannotRecord, RecordingTaken, NotStored) as error:
            reason = str(error)
        finally:
            try:
                if not self._elsewhere:
                    self._end(reason)
                if self._elsewhere and self._feedback is not None:
                    self._feedback.release()
            finally:
                self._over = True

    def _carry_out_all(self) -> None:
        """Carry out all steps that are left."""
        if self._last is None:
            if self.protocol.wait_for_contact:
                self._await_contact()
            if self.protocol.record:
                self._record()
            self._mark(f"study {self.protocol.name} begin")
        else:
            set_again(self.session, self._logs, self._last)
        at = self._now.step
        if at and self._last is not None and self._last.timestamp == self._began:
            self._answered = self._now.rating and self._was_rated()
            self._give_until_end(at, self.protocol.steps[at - 1])
        else:
            self._stop_given()
        for number, step in enumerate(self.protocol.steps[at:], at + 1):
            self._carry_out(number, step)

    def _await_contact(self) -> None:
        """Wait until all electrodes have been good for some seconds in a row."""
        count, at = ContactCount(self._logs.used_channels), self._logs.quality.next
        logs = self._logs
        while count.seconds < self._contact_seconds:
            self._wait(CONTACT_LOOK)
            if self._logs is not logs:
                logs, at = self._logs, 0
            for seq, quality in logs.quality.read(at, logs.quality.next):
                at = seq + 1
                if isinstance(quality, Quality):
                    count.add(quality)
            left = max(0.0, self._contact_seconds - count.seconds)
            if (left, count.reason) != (self._now.left, self._now.reason):
                self._show(replace(self._now, left=left, reason=count.reason))

    def _record(self) -> None:
        """Begin the recording: its headers are on the disk before the first step's marker."""
        person = self.session.subject.person
        name = self._now.recording
        if name is None:
            name = new_name(f"{self.protocol.name}-{person or self.session.name}")
            self._now = replace(self._now, recording=name)
            self._keep()  # whoever goes on looks for a recording of this name
        elif self._is_recorded(name):
            return
        try:
            self._recordings.start(self.session, name, person, f"Study {self.protocol.title}")
        except BaseException:
            self._now = replace(self._now, recording=None)
            raise

    def _is_recorded(self, name: str) -> bool:
        """Return whether a recording has this name, as of the service that began the study."""
        try:
            self._recordings.get(name)
        except NoRecording:
            return False
        return True

    def _carry_out(self, number: int, step: StudyStep) -> None:
        self._check_blind()
        later = sum(each.planned for each in self.protocol.steps[number:])
        with self._changed:  # an answer to the step before is too late from here on
            self._answered, self._given = False, None
            self._began, self._began_here = self.session.now(), local_clock()
            self._now = replace(
                self._now,
                phase="step",
                step=number,
                text=step.text,
                sound=step.sound,
                speak=step.speak,
                rating=step.rating,
                left=step.seconds,
                total=step.seconds,
                later=later,
                reason=None,
                feedback=step.feedback,
            )
        self._mark(step.marker, self._began)
        self._log()
        self._give_until_end(number, step)

    def _give_until_end(self, number: int, step: StudyStep) -> None:
        """Wait for the end of the step that goes on, with its feedback."""
        given = self._give() if step.feedback else None
        try:
            self._await_end(number, step)
        finally:
            if given is not None and not self._elsewhere:
                given.stop(f"step {number} ended")

    def _give(self) -> LiveFeedback | None:
        """Begin the feedback of the step, or go on with it; return None if it has ended."""
        feedback, given = self._feedback, self._given
        if feedback is None:
            return None
        found: LiveFeedback | None = None
        if given is None:
            given = self._given = GivenFeedback(new_name(FEEDBACK))
            self._keep()
        else:
            found = feedback.go_on(given.id)
            if found is None and given.logged_in is not None:
                return None
        if found is None:
            found = feedback.begin(given.id)
        self._given = replace(given, logged_in=found.logged_in)
        self._keep()
        return found

    def _stop_given(self) -> None:
        """Stop the feedback of a step that has ended, if the service before has not."""
        if self._feedback is None or self._given is None:
            return
        found = self._feedback.go_on(self._given.id)
        if found is not None:
            found.stop(f"step {self._now.step} ended")

    def _await_end(self, number: int, step: StudyStep) -> None:
        """Wait for the end of the step that goes on."""
        if step.hed is not None:  # also if the service before has noted it
            self._recordings.note_tags(self.session, step.marker, step.hed)
        end = None if step.seconds is None else self._began_here + step.seconds
        while not self._answered:
            left = LOOK if end is None else end - local_clock()
            if left <= 0:
                break
            self._wait(min(left, LOOK))
        with self._changed:
            unanswered = step.rating and not self._answered
            self._answered = True
        if unanswered:
            self._mark(f"no rating in step {number}")

    def _wait(self, seconds: float) -> None:
        """Wait for a change or some seconds; raises StudyEnded if the study must end."""
        with self._changed:
            if self._stopping is None and not self._answered:
                self._changed.wait(seconds)
            if self._elsewhere:
                raise StudyEnded(ELSEWHERE)
            if self._stopping is not None:
                raise StudyEnded(self._stopping)
        if self.session.state != "open":
            raise StudyEnded(SESSION_ENDED)
        if self.session.logs is not self._logs:  # readers of the new epoch know nothing of it
            self._logs = self.session.check_open()
            self._log()
        self._check_blind()

    def _check_blind(self) -> None:
        """End a study with feedback whose recording has ended: from then on its log can be read."""
        name = self._now.recording
        if self.protocol.feedback is None or name is None:
            return
        if self._recordings.has_ended(name, self.session):
            raise StudyEnded(f"the recording {name}, which has the log of its feedback, ended")

    def _end(self, reason: str | None) -> None:
        """Set the last marker, close the recording, and show the end."""
        word = "end" if reason is None else f"stopped in step {self._now.step}"
        with suppress(UserError, SessionOver):  # the session has ended: so has its recording
            if self._ending and self._last is not None:
                set_again(self.session, self._logs, self._last)
            else:
                self._ending, self._now = True, replace(self._now, reason=reason)
                self._mark(f"study {self.protocol.name} {word}")
        if self._elsewhere:
            return
        if self._now.recording is not None:
            try:
                self._recordings.stop(self._now.recording, wait=not self._closing)
            except (UserError, OSError) as error:
                log.warning("a recording could not be stopped", extra={"reason": str(error)})
        log.info("study ended", extra={"study": self.id, "reason": reason})
        if self._feedback is not None:
            self._feedback.release()
        self._show(
            replace(
                self._now,
                phase="done" if reason is None else "stopped",
                text=None,
                sound=None,
                speak=None,
                rating=False,
                left=None,
                total=None,
                later=0.0,
                reason=reason,
                feedback=False,
            )
        )
        if self._lease is not None:
            self._lease.give_up()

    def _mark(self, label: str, at: float | None = None) -> None:
        """Set a marker at a time just gone, s on the session's clock, or now."""
        stamp = self.session.now() if at is None else at
        self._last = ReceivedMarker(stamp, label, SOURCE)
        self._keep()
        set_marker(self.session, label, stamp, SOURCE)

    def _was_rated(self) -> bool:
        """Return whether the service before has logged the rating of this step."""
        entries = self._logs.rating
        return any(
            isinstance(each, RatingEntry) and each.timestamp > self._began
            for _, each in entries.read(entries.oldest, entries.next)
        )

    def _keep(self) -> None:
        """Note the present place for another service; raises StudyEnded if one has the study."""
        if self._lease is None:
            return
        with self._changed:
            now, ending = self._now, self._ending
        position = StudyPosition(
            self.id,
            self.protocol,
            now,
            self._began,
            self._last,
            ending,
            None if self._feedback is None else self._feedback.assignment,
            self._given,
            0.0 if self._feedback is None else self._feedback.shown,
        )
        if not self._lease.renew(position):
            self.leave()
            raise StudyEnded(ELSEWHERE)

    def _show(self, progress: StudyProgress) -> None:
        """Show a change to those who follow the session."""
        with self._changed:
            self._now = progress
        self._log()

    def _log(self) -> None:
        self.session.log_personal(self.entry())
