"""Feedback that goes on in a session: values, threshold, and the log for the recording.

The service decides when there is feedback, and the page only shows it, so that the log has exactly
the instants at which it came and went. Real and sham feedback come at the same rate, at each entry
of the session's own log, and are silent in the same words.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec

from mimamba.drivers.errors import UserError
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.bridges.log_reader import LogReader
from mimamba.service.feedback.session_runs import RunLease
from mimamba.service.feedback.sham_course import ShamCourse
from mimamba.service.logs.epoch_logs import Event
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.protocol.feedback_state import FeedbackEntry, FeedbackSource, FeedbackState
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.rules.quality_join import QualityJoin
from mimamba.service.rules.rule_file import Rule
from mimamba.service.rules.watched_values import band_value, predicted_value
from mimamba.service.sessions.markers import set_again
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.topics import Topic

log = logging.getLogger(__name__)

SOURCE = "feedback"
"""Source of the markers at both ends."""
LOOK = 0.05
"""Seconds between two looks at the session's log."""
LONGEST_WAIT = 2.0
"""Time without a new entry after which it is silent, s; two hops of the model if that is longer."""
LOGGING_SECONDS = 4.0
"""Seconds for the first and the last entry to be logged, by a worker elsewhere."""
ENTRIES_KEPT = 64
"""Newest entries among which one is looked for."""
NO_VALUE = "no value at present"
"""The reason of every silence, real or sham: another one would tell them apart."""
STOPPED = "stopped on request"


class FeedbackLeft(UserError):
    """Another service goes on with the feedback."""


@dataclass(frozen=True)
class Assignment:
    """Source of the values that are shown, and how it was chosen.

    Parameters
    ----------
    source
        The wearer's own, or those of another recording.
    chosen
        ``real`` or ``sham`` if a person chose it, ``drawn`` if the service did, ``balanced`` if
        it did so over the people of a study.
    among
        Names of the recordings that were given.
    sham
        Name of the one that is shown; None for the wearer's own values.
    blind
        Whether nobody is told before the recording has ended.
    """

    source: FeedbackSource
    chosen: str
    among: tuple[str, ...] = ()
    sham: str | None = None
    blind: bool = False


@dataclass(frozen=True)
class FeedbackPosition:
    """A place in feedback at which it begins, or another service goes on.

    Parameters
    ----------
    assignment
        Whose values are shown.
    is_own
        Whether the recording ends with the feedback.
    entry, marker
        The newest ones, which may not be logged yet.
    first
        Time of the first value, s on the session's clock; 0 before it.
    number
        Number of the pass of a sham that was noted last; 0 before the first one.
    shown
        Seconds of a sham that earlier steps of a study have shown: its first value is the one
        there.
    ending
        Whether only its end is left.
    """

    assignment: Assignment
    is_own: bool
    entry: FeedbackEntry
    marker: ReceivedMarker
    first: float = 0.0
    number: int = 0
    ending: bool = False
    shown: float = 0.0

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.entry.id


class LiveFeedback:
    """Feedback in a session, up to its end. Methods may be called from any thread.

    Parameters
    ----------
    session
        An open session.
    rule
        The quantity and its threshold.
    position
        Where it begins, or another service has left it.
    course
        The values of a sham; None shows the wearer's own.
    recordings
        Has the recording in which it is logged.
    lease
        The right to it; None where no other service goes on with it.

    Raises
    ------
    SessionOver
        If the session is not open.
    FeedbackLeft
        If another service has the feedback.
    NotStored
        If a bus does not answer.
    """

    def __init__(
        self,
        session: Session,
        rule: Rule,
        position: FeedbackPosition,
        course: ShamCourse | None,
        recordings: Recordings,
        lease: RunLease[FeedbackPosition] | None = None,
    ) -> None:
        self.session, self._rule, self._course = session, rule, course
        self._recordings, self._lease = recordings, lease
        self._position, self._state = position, position.entry.state
        self._stopping = threading.Event()
        self._reason = STOPPED
        self._closing = self._elsewhere = self._done = False
        self._quality = QualityJoin()
        session.check_open()
        topics: tuple[Topic, ...] = ("prediction",)
        if rule.watched.kind == "band":
            topics = ("quality", "bands")
        self._reader = LogReader(session, topics)
        self._newest = local_clock()
        self._thread = threading.Thread(target=self._run, name=self.id)
        self._keep()
        self._tell_again()

    def start(self) -> None:
        """Begin, or go on."""
        self.session.watchers.add(self)
        self._thread.start()

    @property
    def id(self) -> str:
        """Name of the run."""
        return self._position.id

    @property
    def recording(self) -> str | None:
        """Name of the recording that ends with it; None if that goes on."""
        return self._state.recording if self._position.is_own else None

    @property
    def over(self) -> bool:
        """True once nothing is left to do for it here."""
        return self._done

    @property
    def going_on(self) -> bool:
        """True until it has ended, its own recording too, or another service goes on with it."""
        return not self._done and not self._elsewhere

    @property
    def elsewhere(self) -> bool:
        """True if another service goes on with it."""
        return self._elsewhere

    @property
    def logged_in(self) -> str:
        """Name of the recording that has its log."""
        return self._state.recording

    @property
    def course(self) -> ShamCourse | None:
        """The values of a sham while it goes on; None for the wearer's own."""
        return self._course

    def entry(self) -> FeedbackEntry:
        """Return its state now."""
        return FeedbackEntry(self.session.now(), self.id, self._state)

    def stop(self, reason: str = STOPPED) -> None:
        """Stop; returns when it has ended, and with it the recording that began with it."""
        self._reason = reason
        self._stopping.set()
        self._thread.join()

    def close(self) -> None:
        """Stop as the service ends: the last entries are not waited for."""
        self._closing = True
        self.stop("the service ended")

    def leave(self) -> None:
        """Leave it to another service, which goes on with it; log nothing any more."""
        self._elsewhere = True
        self._stopping.set()

    # In its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        reason = "an internal error; see the service's log"
        try:
            if not self._position.ending:
                reason = self._follow()
        except FeedbackLeft:
            pass
        finally:
            self.session.watchers.discard(self)
            try:
                if not self._elsewhere:
                    self._end(reason)
            finally:
                self._done = True

    def _follow(self) -> str:
        """Follow the session until there is a reason to end, and return it."""
        while True:
            stopped = self._stopping.wait(LOOK)
            if self._elsewhere:
                raise FeedbackLeft("Another service goes on with the feedback.")
            if self.session.state != "open":
                return "the session ended"
            if self._recordings.has_ended(self._state.recording, self.session):
                return recording_ended(self._state.recording)
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
        value, course = own, self._course
        notes: list[str] = []
        if course is not None:
            first = self._position.first or timestamp
            course.shown = self._position.shown + timestamp - first
            number, shown = course.at(course.shown)
            if number != self._position.number:
                notes.append(_note(self.id, "pass", {"pass": number}))
            self._position = replace(self._position, first=first, number=number)
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
        self._log(*notes, *(() if word == was else (_note(self.id, word),)))

    def _end(self, reason: str) -> None:
        """Log the end, and close a recording that began with it."""
        self._course = None  # another person's values
        with suppress(UserError, SessionOver):  # the session has ended, and its recording with it
            if not self._position.ending:
                self._position = ended_position(self._position, reason, self.session.now())
                self._keep()
                self._tell_again()
        if self._elsewhere:
            return
        try:
            if self._position.is_own:
                self._recordings.stop(self._state.recording, wait=not self._closing)
        except (UserError, OSError) as error:
            log.warning("a recording could not be stopped", extra={"reason": str(error)})
        finally:
            self._state = self._position.entry.state
            if self._lease is not None:
                self._lease.give_up()
        log.info("feedback ended", extra={"feedback": self.id, "reason": self._state.reason})

    def _log(self, *noted: str) -> None:
        """Log the state from now on, which is when the wearer gets it."""
        entry = FeedbackEntry(self.session.now(), self.id, self._state, noted)
        self._position = replace(self._position, entry=entry)
        self._keep()
        self.session.log_personal(entry)

    def _keep(self) -> None:
        """Note the position for another service; raises FeedbackLeft if one has the feedback."""
        if (
            self._lease is not None
            and not self._elsewhere
            and not self._lease.renew(self._position)
        ):
            self._elsewhere = True
        if self._elsewhere:
            raise FeedbackLeft("Another service goes on with the feedback.")

    def _tell_again(self) -> None:
        """Log the newest entry and marker, unless they are: also by a service before."""
        entry, marker = self._position.entry, self._position.marker
        if not self._is_told(entry):
            self.session.log_personal(entry)
        set_again(self.session, self.session.check_open(), marker)
        end = time.monotonic() + LOGGING_SECONDS  # then a recording that ends now has it
        while not self._is_told(entry) and time.monotonic() < end:
            if self._closing or self.session.state != "open":
                return
            time.sleep(LOOK / 5)

    def _is_told(self, entry: FeedbackEntry) -> bool:
        """Return whether an entry is among the newest ones of the session."""
        logs = self.session.logs
        newest = (
            logs.feedback.read(logs.feedback.next - ENTRIES_KEPT, logs.feedback.next)
            if logs
            else []
        )
        wanted = entry.id, entry.timestamp
        return any(
            isinstance(each, FeedbackEntry) and (each.id, each.timestamp) == wanted
            for _, each in newest
        )


def first_position(
    run: str,
    session: Session,
    rule: Rule,
    assignment: Assignment,
    course: ShamCourse | None,
    recording: str,
    is_own: bool,
) -> FeedbackPosition:
    """Return the position at which feedback begins.

    Parameters
    ----------
    run
        Its name.
    session, rule, assignment, course
        As for ``LiveFeedback``.
    recording, is_own
        Name of the recording that gets the log, and whether it ends with the feedback.
    """
    state = FeedbackState(
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
    facts: dict[str, object] = {
        "quantity": rule.when,
        "side": rule.side,
        "at": rule.at,
        "back": rule.back,
        "source": assignment.source,
        "chosen": assignment.chosen,
        "blind": assignment.blind,
        "among": assignment.among,
    }
    if course is not None:
        facts |= {"sham": assignment.sham, "from": course.first, "pass_seconds": course.seconds}
        facts |= {"shown": course.shown} if course.shown else {}
    told = "blind" if assignment.blind else assignment.source
    now = session.now()
    label = f"feedback begin {rule.when} {rule.side} {rule.at:g}, {told}"
    entry = FeedbackEntry(now, run, state, (_note(run, "begin", facts),))
    marker = ReceivedMarker(now, label, SOURCE)
    shown = course.shown if course is not None else 0.0
    return FeedbackPosition(assignment, is_own, entry, marker, shown=shown)


def ended_position(position: FeedbackPosition, reason: str, now: float) -> FeedbackPosition:
    """Return the position at the end of feedback, at a time on the session's clock, s."""
    before = position.entry.state
    state = replace(before, running=False, value=None, on=False, reason=reason)
    note = _note(position.id, "end", {"reason": reason})
    entry = FeedbackEntry(now, position.id, state, (note,))
    marker = ReceivedMarker(now, "feedback end", SOURCE)
    return replace(position, entry=entry, marker=marker, ending=True)


def recording_ended(name: str) -> str:
    """Return why feedback ends with its recording."""
    return f"the recording {name} ended"


def _note(run: str, event: str, facts: dict[str, object] | None = None) -> str:
    return msgspec.json.encode({"id": run, "event": event, **(facts or {})}).decode()
