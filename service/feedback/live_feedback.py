"""Feedback that goes on in a session: values, threshold, and the log for the recording.

The service decides when there is feedback, and the page only shows it, so that the log has exactly
the instants at which it came and went. Real and sham feedback come at the same rate, at each entry
of the session's own log, and are silent in the same words.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from mimamba.drivers.errors import UserError
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.bridges.log_reader import LogReader
from mimamba.service.feedback.sham_course import ShamCourse
from mimamba.service.logs.epoch_logs import Event
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.protocol.feedback_state import FeedbackEntry, FeedbackSource, FeedbackState
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.rules.quality_join import QualityJoin
from mimamba.service.rules.rule_file import Rule
from mimamba.service.rules.watched_values import band_value, predicted_value
from mimamba.service.sessions.markers import await_logged, set_marker
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.topics import Topic

log = logging.getLogger(__name__)

SOURCE = "feedback"
"""Source of the markers at both ends."""
LOOK = 0.05
"""Seconds between two looks at the session's log."""
LONGEST_WAIT = 2.0
"""Time without a new entry after which it is silent, s; two hops of the model if that is longer."""
NO_VALUE = "no value at present"
"""The reason of every silence, real or sham: another one would tell them apart."""
STOPPED = "stopped on request"


@dataclass(frozen=True)
class Assignment:
    """Source of the values that are shown, and how it was chosen.

    Parameters
    ----------
    source
        The wearer's own, or those of another recording.
    chosen
        ``real`` or ``sham`` if a person chose it, ``drawn`` if the service did.
    among
        Names of the recordings that were given.
    sham
        Name of the one that is shown; None for the wearer's own values.
    course
        Its values.
    blind
        Whether nobody is told before the recording has ended.
    """

    source: FeedbackSource
    chosen: str
    among: tuple[str, ...] = ()
    sham: str | None = None
    course: ShamCourse | None = None
    blind: bool = False


class LiveFeedback:
    """Feedback in a session, from its start to its end. Methods may be called from any thread.

    Parameters
    ----------
    session
        An open session of this process.
    rule
        The quantity and its threshold.
    assignment
        Whose values are shown.
    recordings
        Has the recording in which it is logged.
    recording, is_own
        Its name, and whether it ends with the feedback.

    Raises
    ------
    SessionOver
        If the session is not open, or computed by another process.
    """

    def __init__(
        self,
        session: Session,
        rule: Rule,
        assignment: Assignment,
        recordings: Recordings,
        recording: str,
        is_own: bool,
    ) -> None:
        self.session, self._rule, self._assignment = session, rule, assignment
        self._recordings, self._is_own = recordings, is_own
        self.id = f"feedback-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self._stopping = threading.Event()
        self._reason = STOPPED
        self._quality = QualityJoin()
        self._pass = 0
        self._state = FeedbackState(
            quantity=rule.when,
            side=rule.side,
            at=rule.at,
            back=rule.back,
            running=True,
            value=None,
            on=False,
            reason=NO_VALUE,
            recording=recording,
            blind=assignment.blind,
            source=None if assignment.blind else assignment.source,
            sham=None if assignment.blind else assignment.sham,
        )
        session.check_open()
        topics: tuple[Topic, ...] = ("prediction",)
        if rule.watched.kind == "band":
            topics = ("quality", "bands")
        self._reader = LogReader(session, topics)
        self._newest, self._first = local_clock(), 0.0
        self._log(self._begin_note())
        told = "blind" if assignment.blind else assignment.source
        self._mark(f"feedback begin {rule.when} {rule.side} {rule.at:g}, {told}")
        self._thread = threading.Thread(target=self._run, name=self.id)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def going_on(self) -> bool:
        """True until it has ended."""
        return self._state.running

    def entry(self) -> FeedbackEntry:
        """Return its state now."""
        return FeedbackEntry(self.session.now(), self.id, self._state)

    def stop(self, reason: str = STOPPED) -> None:
        """Stop; returns when it has ended, and with it the recording that began with it."""
        self._reason = reason
        self._stopping.set()
        self._thread.join()

    # In its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        reason = "an internal error; see the service's log"
        try:
            reason = self._follow()
        finally:
            self._end(reason)

    def _follow(self) -> str:
        """Follow the session until there is a reason to end, and return it."""
        while True:
            stopped = self._stopping.wait(LOOK)
            if self.session.state != "open":
                return "the session ended"
            if self._recordings.recording_of(self.session) != self._state.recording:
                return f"the recording {self._state.recording} ended"
            if stopped:
                return self._reason
            self._take(self._reader.new_entries())
            if self._state.value is not None and local_clock() - self._newest > self._longest_wait:
                self._show(None)

    @property
    def _longest_wait(self) -> float:
        model = self.session.active_model.model
        if self._rule.watched.kind == "band" or model is None:
            return LONGEST_WAIT
        return max(LONGEST_WAIT, 2 * model.hop)

    def _take(self, entries: Iterable[Event]) -> None:
        for entry in entries:
            logs = self._reader.logs
            if isinstance(entry, Quality):
                self._quality.add(entry, logs)
            elif isinstance(entry, PublishedPrediction):
                own = predicted_value(self._rule.watched, entry)
                self._show_at(entry.prediction.timestamp, own)
            elif isinstance(entry, BandPower):
                quality = self._quality.take(entry, logs)
                own = band_value(self._rule.watched, entry, quality, logs.used_channels)
                self._show_at(entry.timestamp, own)

    def _show_at(self, timestamp: float, own: float | None) -> None:
        """Show what there is at an entry's time, s on the session's clock.

        A sham is silent where the wearer's own feedback would be: bad contact ends both.
        """
        self._newest = local_clock()
        value, course = own, self._assignment.course
        notes: list[str] = []
        if course is not None:
            self._first = self._first or timestamp
            number, shown = course.at(timestamp - self._first)
            if number != self._pass:
                self._pass = number
                notes.append(self._note("pass", {"pass": number}))
            value = None if own is None else shown
        self._show(value, notes)

    def _show(self, value: float | None, notes: Iterable[str] = ()) -> None:
        """Show a value, or none, in one entry: more for a sham would tell it apart."""
        before = self._state
        on = self._rule.holds(value, before.on)
        reason = NO_VALUE if value is None else None
        self._state = replace(before, value=value, on=on, reason=reason)
        word = "silent" if value is None else "on" if on else "off"
        was = "silent" if before.value is None else "on" if before.on else "off"
        self._log(*notes, *(() if word == was else (self._note(word),)))

    def _end(self, reason: str) -> None:
        """Log the end, and close a recording that began with it."""
        self._state = replace(self._state, running=False, value=None, on=False, reason=reason)
        self._assignment = replace(self._assignment, course=None)  # another person's values
        ended: ReceivedMarker | None = None
        with suppress(UserError, SessionOver):  # the session has ended, and its recording with it
            ended = self._mark("feedback end")
        self._log(self._note("end", {"reason": reason}))
        if self._is_own:
            if ended is not None and (logs := self.session.logs) is not None:
                await_logged(self.session, logs, ended, lambda: False)
            try:
                self._recordings.stop(self._state.recording)
            except (UserError, OSError) as error:
                log.warning("a recording could not be stopped", extra={"reason": str(error)})
        log.info("feedback ended", extra={"feedback": self.id, "reason": reason})

    def _mark(self, label: str) -> ReceivedMarker:
        return set_marker(self.session, label, None, SOURCE)

    def _begin_note(self) -> str:
        assigned, course, rule = self._assignment, self._assignment.course, self._rule
        facts: dict[str, object] = {
            "quantity": rule.when,
            "side": rule.side,
            "at": rule.at,
            "back": rule.back,
            "source": assigned.source,
            "chosen": assigned.chosen,
            "blind": assigned.blind,
            "among": assigned.among,
        }
        if course is not None:
            facts |= {"sham": assigned.sham, "from": course.first, "pass_seconds": course.seconds}
        return self._note("begin", facts)

    def _note(self, event: str, facts: dict[str, object] | None = None) -> str:
        return msgspec.json.encode({"id": self.id, "event": event, **(facts or {})}).decode()

    def _log(self, *noted: str) -> None:
        """Log the state from now on, which is when the wearer gets it."""
        self.session.log_personal(FeedbackEntry(self.session.now(), self.id, self._state, noted))
