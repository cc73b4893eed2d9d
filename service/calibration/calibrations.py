"""All calibrations of a service: begun, resumed, rated, judged in a process of their own."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from weakref import WeakKeyDictionary

import msgspec

from mimamba.drivers.errors import UserError
from mimamba.service.bus.bus import NotStored
from mimamba.service.calibration.judge_processes import Judges
from mimamba.service.calibration.judge_program import (
    CheckResult,
    JudgeAnswer,
    JudgeRefusal,
)
from mimamba.service.calibration.live_calibration import LiveCalibration
from mimamba.service.calibration.plan import CalibrationPlan, draw_plan
from mimamba.service.calibration.refit_processes import Refits
from mimamba.service.calibration.refitting import RefitResult
from mimamba.service.calibration.sittings import (
    CannotCalibrate,
    DayCheck,
    NoSitting,
    SittingRecord,
    Sittings,
)
from mimamba.service.people.people import People
from mimamba.service.protocol.personal import CalibrationEntry
from mimamba.service.sessions.session import Session

log = logging.getLogger(__name__)

CHECK_PAIRS = 3
"""Pairs of blocks that check a head; checks of a day are counted together."""
OTHER_SECONDS = 5.0
"""Seconds of signal after which another service is taken for gone."""
OVER = frozenset({"judging", "done", "stopped", "failed"})
"""Phases in which a calibration takes no signal."""
NO_ANSWER = "The calibration could not be judged; see the service's log. Its signal is kept."


class CalibrationRefused(UserError):
    """The request is not possible with this session's calibration."""


class NoCalibration(UserError, LookupError):
    """The session has had no calibration."""


@dataclass(frozen=True)
class SittingNote:
    """A sitting of a person, as the list shows it; ``head`` is the one that is checked, or null."""

    id: str
    contrast: str
    kinds: tuple[str, str]
    day: str
    block: int
    of: int
    phase: str
    resumable: bool
    purpose: str
    head: str | None


class Calibrations:
    """The calibrations of a service's sessions. Calls block on the disk.

    Parameters
    ----------
    people
        The people.
    folder
        Folder of the people, for the process that judges.
    today
        Returns the local date.

    Attributes
    ----------
    on_judged
        Called with a session and its judged sitting, in a thread of its own.
    on_refit
        Called with a session, a person and a head that was replaced, in a thread of its own.
    refits
        Makes heads again from ratings.
    """

    def __init__(
        self,
        people: People,
        folder: Path,
        today: Callable[[], date] = date.today,
    ) -> None:
        self.sittings = Sittings(people)
        self.today = today
        self._people = people
        self.on_judged: Callable[[Session, SittingRecord], None] = lambda *_: None
        self.on_refit: Callable[[Session, str, str], None] = lambda *_: None
        self._live: WeakKeyDictionary[Session, LiveCalibration] = WeakKeyDictionary()
        self._changing = threading.Lock()
        self._judges = Judges(folder, self._take_answer)
        self.refits = Refits(folder, self._take_refit)

    def of(self, session: Session) -> LiveCalibration:
        """Return the newest calibration of a session; raises NoCalibration."""
        if session not in self._live:
            raise NoCalibration(f"The session {session.name} has had no calibration. Begin one.")
        return self._live[session]

    def begin(
        self,
        session: Session,
        person: str,
        plan: CalibrationPlan,
        resume: bool = True,
        checked_head: str | None = None,
    ) -> LiveCalibration:
        """Begin a calibration in a session, or resume the unfinished one of the same day.

        Raises
        ------
        CalibrationRefused
            If one is going on, in this session or of this person.
        SessionOver
            If the session is not open.
        MontageError, SignalError
            If its source is unsuitable.
        PersonRefused, DamagedPerson, CannotKeep, CannotCalibrate
            If the person or the files do not permit it.
        SittingTaken
            If another service goes on with a calibration of the person.
        """
        with self._changing:
            self._check_free(session, person)
            with session.between_chunks():  # refused before there is any file
                logs = session.check_open()
            self._check_no_other(session)
            self._people.add(person)
            record = self._new(session, person, plan, checked_head)
            for each in self._live.values():
                if each.record.person == person:
                    each.close()
            earlier = self.sittings.all(person)
            same = [each for each in earlier if each.is_like(record)]
            unfinished = next((each for each in same if self._resumable(each)), None)
            if resume and unfinished is not None and _alike(unfinished, record):
                record = msgspec.structs.replace(
                    unfinished, resumed=unfinished.resumed + 1, reason=None
                )
            else:
                judged = [each for each in same if each.verdict is not None]
                record = msgspec.structs.replace(record, attempt=len(judged) + 1)
                if judged and checked_head is None:  # what is pooled has the same rest
                    rest = judged[0].drawn.plan.rest
                    wanted = msgspec.structs.replace(plan, rest=rest)
                    record = msgspec.structs.replace(record, drawn=draw_plan(wanted))
            live = LiveCalibration(session, record, self.sittings, self._judges)
            try:
                with session.between_chunks():
                    if session.logs is not logs:
                        logs = session.check_open()
                    session.set_person(person)
                    self._live[session] = live
                    live.start()
            except BaseException:  # else the person could have no other
                if self._live.get(session) is live:
                    del self._live[session]
                live.leave_file()
                raise
            if record.state.phase == "judging":  # the service ended meanwhile
                with session.between_chunks():
                    live.judge_again()
            return live

    def check_plan(self, person: str, head: str) -> CalibrationPlan:
        """Return the plan of blocks that check a head: as it was made, with fewer pairs.

        Raises
        ------
        NoSitting
            If the person has no such head.
        CalibrationRefused
            If it is of today.
        """
        record = self.sittings.get(person, head)
        if not record.head or record.verdict is None or record.verdict.served != "yes":
            raise NoSitting(f"{person} has no head {head!r} that is served. Choose another.")
        if record.day == self.today().isoformat():
            raise CalibrationRefused(
                f"Expected a head of an earlier day, but found one of {record.day}. "
                "It needs no check today."
            )
        # No rating labels its blocks: there are no further pairs.
        return msgspec.structs.replace(record.drawn.plan, pairs=CHECK_PAIRS, dimension=None)

    def forget(self, person: str) -> None:
        """Stop the calibrations of a person who is deleted, and wait until nothing is written."""
        for live in list(self._live.values()):
            if live.record.person == person:
                live.abandon()
                del self._live[live.session]

    def notes(self, person: str) -> list[SittingNote]:
        """List a person's calibrations, newest first; raises NoPerson."""
        self._people.get(person)
        return [self._note(each) for each in self.sittings.all(person)]

    def check_settled(self, record: SittingRecord) -> None:
        """Raise CalibrationRefused if a sitting is going on, or being judged."""
        for live in list(self._live.values()):
            busy = live.going_on or live.progress.phase == "judging"
            if busy and live.record.id == record.id:
                raise CalibrationRefused("This calibration is going on. Finish or stop it first.")

    def close(self) -> None:
        """End all judgements; those that are not done are done when they are resumed."""
        self._judges.close()
        self.refits.close()
        for live in list(self._live.values()):
            live.close()

    def _check_free(self, session: Session, person: str) -> None:
        for other, live in list(self._live.items()):
            busy = live.going_on or live.progress.phase == "judging"
            if busy and (other is session or live.record.person == person):
                raise CalibrationRefused(
                    f"A calibration of {live.record.person} is going on in the session "
                    f"{other.name}. Finish or stop it first."
                )

    def _check_no_other(self, session: Session) -> None:
        """Raise CalibrationRefused if the session has a calibration in another service.

        What that says of itself every second of signal comes over the bus.
        """
        logs = session.check_open()
        for _, newest in logs.calibration.read(logs.calibration.next - 1, logs.calibration.next):
            assert isinstance(newest, CalibrationEntry)
            at = logs.signal.newest[0] if logs.signal.newest else 0
            recent = at - newest.index < OTHER_SECONDS * logs.info.sfreq
            own = session in self._live and self._live[session].record.id == newest.id
            if recent and not own and newest.progress.phase not in OVER:
                raise CalibrationRefused(
                    f"Expected no calibration in the session {session.name}, but another service "
                    "has one there. Finish or stop it there."
                )

    def _new(
        self, session: Session, person: str, plan: CalibrationPlan, checked_head: str | None
    ) -> SittingRecord:
        assert session.info is not None
        now = datetime.now().astimezone()
        return SittingRecord(
            id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            person=person,
            day=self.today().isoformat(),
            started=now.isoformat(timespec="seconds"),
            attempt=1,
            drawn=draw_plan(plan),
            info=session.info,
            checked_head=checked_head,
        )

    def _resumable(self, record: SittingRecord) -> bool:
        return (
            record.day == self.today().isoformat()
            and record.state.phase not in ("done", "failed")
            and not any(
                live.record.id == record.id and live.going_on for live in self._live.values()
            )
        )

    def _note(self, record: SittingRecord) -> SittingNote:
        plan, state = record.drawn.plan, record.state
        assert plan.kinds is not None
        return SittingNote(
            record.id,
            plan.contrast,
            plan.kinds,
            record.day,
            state.number,
            2 * (plan.pairs + state.extra),
            state.phase,
            self._resumable(record),
            record.purpose,
            record.checked_head,
        )

    # In the thread of a judge --------------------------------------------------------------------

    def _take_answer(self, live: LiveCalibration, answer: JudgeAnswer | None) -> None:
        try:
            self._settle(live, answer or JudgeRefusal(live.failure or NO_ANSWER))
        except CannotCalibrate as error:
            live.settle(msgspec.structs.replace(live.record, reason=str(error)), "failed")
        except Exception:  # the page must not wait for ever
            log.exception("a calibration could not be judged")
            live.settle(msgspec.structs.replace(live.record, reason=NO_ANSWER), "failed")

    def _settle(self, live: LiveCalibration, found: JudgeAnswer) -> None:
        """Keep a result, and report it."""
        record = live.record
        head: bytes | None = None
        if isinstance(found, JudgeRefusal):
            record = msgspec.structs.replace(record, reason=found.reason)
            failed = msgspec.structs.replace(record.state, phase="failed")
            self.sittings.save(msgspec.structs.replace(record, state=failed))
            live.settle(record, "failed")
            return
        if isinstance(found, CheckResult):
            record = msgspec.structs.replace(
                record, checks=(DayCheck(record.day, found.right, found.checked),)
            )
            self._keep_check(record, found)
        elif isinstance(found, RefitResult):  # no calibration is answered by one
            raise TypeError("Expected a verdict, but found a refit.")
        else:
            head = found.head
            record = msgspec.structs.replace(record, verdict=found.verdict, head=head is not None)
        done = msgspec.structs.replace(record.state, phase="done")
        self.sittings.save(msgspec.structs.replace(record, state=done), head)
        try:
            self.on_judged(live.session, record)
        except (UserError, RuntimeError, NotStored) as error:  # the session has ended
            log.warning("a head is not used", extra={"reason": str(error)})
        live.settle(record, "done")

    def _keep_check(self, record: SittingRecord, found: CheckResult) -> None:
        """Add a day's check to the head that it checks."""
        assert record.checked_head is not None
        self.add_checks(record.person, record.checked_head, found.right, found.checked)
        if found.refit is not None:
            self.take_refit(record.person, record.checked_head, found.refit)

    def _take_refit(
        self, session: Session, person: str, head: str, answer: JudgeAnswer | None
    ) -> None:
        """Serve a refit from ratings if it holds."""
        if not isinstance(answer, RefitResult):
            reason = answer.reason if isinstance(answer, JudgeRefusal) else "see above"
            log.warning("a head was not made again", extra={"head": head, "reason": reason})
            return
        try:
            if self.take_refit(person, head, answer):
                self.on_refit(session, person, head)
        except (UserError, RuntimeError, NotStored) as error:  # deleted, or the session has ended
            log.warning("a refit is not used", extra={"head": head, "reason": str(error)})

    def take_refit(self, person: str, head: str, found: RefitResult) -> bool:
        """Replace a head by a refit that holds; note that there was one.

        Returns whether it was replaced. Raises NoSitting, and CannotCalibrate.
        """
        with self.sittings.alone(person):
            record = self.sittings.get(person, head)
            if found.looks is not None:
                record = msgspec.structs.replace(record, looks=found.looks)
            if found.head is not None:
                record = msgspec.structs.replace(record, refit=found.refit)
            self.sittings.write(record, found.head)
            return found.head is not None

    def add_checks(self, person: str, head: str, right: int, checked: int) -> SittingRecord:
        """Count checks of a head today; raises NoSitting, and CannotCalibrate."""
        today = self.today().isoformat()
        with self.sittings.alone(person):
            record = self.sittings.get(person, head)
            if not record.head:
                raise NoSitting(f"{person} has no head {head!r}. Choose one of the list.")
            before = record.check_on(today)
            now = DayCheck(today, before.right + right, before.checked + checked)
            others = tuple(each for each in record.checks if each.day != today)
            changed = msgspec.structs.replace(record, checks=(*others, now))
            self.sittings.write(changed)
        return changed


def _alike(one: SittingRecord, other: SittingRecord) -> bool:
    """Return whether a sitting can go on with another source: the same channels and rate."""
    mine, its = one.info, other.info
    return (mine.ch_names, mine.sfreq, one.checked_head) == (
        its.ch_names,
        its.sfreq,
        other.checked_head,
    )
