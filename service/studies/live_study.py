"""A study that goes on in a session: its steps by the service's clock, in a thread of its own.

The page only shows it, so a page that is closed or reloaded changes nothing: the steps go on, and
their markers are set.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import UserError
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.measures import Quality
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.protocol.study_progress import StudyEntry, StudyProgress
from mimamba.service.recordings.recordings import Recordings, RecordingTaken
from mimamba.service.sessions.markers import set_marker
from mimamba.service.sessions.pending_markers import MAX_DELAY
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.storage.folders import CannotRecord
from mimamba.service.studies.electrode_contact import GOOD_SECONDS, ContactCount
from mimamba.service.studies.protocol_file import StudyProtocol, StudyStep

log = logging.getLogger(__name__)

SOURCE = "study"
"""Source of a study's markers."""
LOOK = 0.25
"""Seconds between two looks at the session while a step goes on."""
CONTACT_LOOK = 0.1
"""Seconds between two looks at the electrodes."""
MARKERS_KEPT = 64
"""Newest markers among which the last one of a study is looked for."""
STOPPED = "stopped on request"
SESSION_ENDED = "the session ended"


class StudyEnded(UserError):
    """The study ends before its last step; the message says why."""


class LiveStudy:
    """A run of a protocol in a session. Methods may be called from any thread.

    Parameters
    ----------
    session
        An open session of this process.
    protocol
        The protocol.
    recordings
        Records the session, if the protocol asks for it.
    contact_seconds
        Seconds for which all electrodes must be good, if the protocol asks for it.

    Raises
    ------
    SessionOver
        If the session is not open, or computed by another process.
    """

    def __init__(
        self,
        session: Session,
        protocol: StudyProtocol,
        recordings: Recordings,
        contact_seconds: float = GOOD_SECONDS,
    ) -> None:
        self.session, self.protocol = session, protocol
        self.id = f"{protocol.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        self._recordings, self._contact_seconds = recordings, contact_seconds
        self._changed = threading.Condition()
        self._stopping: str | None = None
        self._closing = False
        self._answered = False
        self._began = local_clock()
        self._now = StudyProgress(
            study=protocol.name,
            title=protocol.title,
            phase="contact",
            step=0,
            of=len(protocol.steps),
            text=None,
            sound=None,
            speak=None,
            rating=False,
            left=contact_seconds,
            total=contact_seconds,
            planned=protocol.planned,
            later=protocol.planned,
        )
        self._logs = session.check_open()
        self._thread = threading.Thread(target=self._run, name=f"study {self.id}")
        self._log()

    def start(self) -> None:
        """Begin with the electrodes, or the first step."""
        self._thread.start()

    @property
    def going_on(self) -> bool:
        """True until it has ended."""
        return self._now.phase in ("contact", "step")

    def entry(self) -> StudyEntry:
        """Return its progress now."""
        with self._changed:
            now, at = self._now, local_clock()
            if now.phase == "step" and now.total is not None:
                now = replace(now, left=max(0.0, self._began + now.total - at))
            return StudyEntry(at, self.id, now)

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

    # In its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        reason: str | None = "an internal error; see the service's log"
        try:
            if self.protocol.wait_for_contact:
                self._await_contact()
            if self.protocol.record:
                self._record()
            self._mark(f"study {self.protocol.name} begin")
            for number, step in enumerate(self.protocol.steps, 1):
                self._carry_out(number, step)
            reason = None
        except (UserError, SessionOver, CannotRecord, RecordingTaken) as error:
            reason = str(error)
        finally:
            self._end(reason)

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
        name = f"{self.protocol.name}-{person or self.session.name}"[:60].strip(".")
        made = self._recordings.start(
            self.session,
            f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
            person,
            f"Study {self.protocol.title}",
        )
        self._now = replace(self._now, recording=made.name)

    def _carry_out(self, number: int, step: StudyStep) -> None:
        later = sum(each.planned for each in self.protocol.steps[number:])
        with self._changed:  # an answer to the step before is too late from here on
            self._answered, self._began = False, local_clock()
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
            )
        self._log()
        self._mark(step.marker, self._began)
        if step.hed is not None:
            self._recordings.note_tags(self.session, step.marker, step.hed)
        end = None if step.seconds is None else self._began + step.seconds
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
            if self._stopping is not None:
                raise StudyEnded(self._stopping)
        if self.session.state != "open":
            raise StudyEnded(SESSION_ENDED)
        if self.session.logs is not self._logs:  # readers of the new epoch know nothing of it
            self._logs = self.session.check_open()
            self._log()

    def _end(self, reason: str | None) -> None:
        """Set the last marker, close the recording, and show the end."""
        word = "end" if reason is None else f"stopped in step {self._now.step}"
        with suppress(UserError, SessionOver):  # the session has ended: so has its recording
            self._mark(f"study {self.protocol.name} {word}")
            if self._now.recording is not None:
                self._await_marker()
        if self._now.recording is not None:
            try:
                self._recordings.stop(self._now.recording)
            except (UserError, OSError) as error:
                log.warning("a recording could not be stopped", extra={"reason": str(error)})
        log.info("study ended", extra={"study": self.id, "reason": reason})
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
            )
        )

    def _mark(self, label: str, at: float | None = None) -> None:
        """Set a marker at a time just gone, s on the LSL clock, or now."""
        self._last = set_marker(self.session, label, at, SOURCE)

    def _await_marker(self) -> None:
        """Wait until the last marker is logged, so that it is in the recording."""
        end = time.monotonic() + 2 * MAX_DELAY
        while time.monotonic() < end and not self._closing and self.session.state == "open":
            entries = self._logs.marker
            for _, each in entries.read(entries.next - MARKERS_KEPT, entries.next):
                if isinstance(each, Marker) and each.timestamp == self._last.timestamp:
                    return
            time.sleep(CONTACT_LOOK)

    def _show(self, progress: StudyProgress) -> None:
        """Show a change to those who follow the session."""
        with self._changed:
            self._now = progress
        self._log()

    def _log(self) -> None:
        self.session.log_personal(self.entry())
