"""Heads of people: listed, used in sessions, checked on later days, deleted."""

from __future__ import annotations

import numpy as np

from mimamba.models.personal.features import SIGNAL
from mimamba.models.personal.head import HALF_LIFE
from mimamba.models.personal.head_file import HeadError, decode_head
from mimamba.models.personal.joined_data import LEAST_HOPS, MOMENT_SECONDS, KeptMoment
from mimamba.service.calibration.calibrations import CalibrationRefused, Calibrations
from mimamba.service.calibration.refitting import chosen_moments, rated_side
from mimamba.service.calibration.sittings import CannotCalibrate, NoSitting, SittingRecord
from mimamba.service.protocol.personal import HeadCard, RatingEntry
from mimamba.service.sessions.personal_decoder import ServedHead
from mimamba.service.sessions.session import Session
from mimamba.service.storage.private_files import read_regular

REFIT_AFTER = 4
"""New ratings after which a head is made again."""
HOP = SIGNAL.hop / SIGNAL.sfreq
KEEP = 0.5 ** (HOP / HALF_LIFE)
DELAY = round(SIGNAL.window / SIGNAL.sfreq / 2 + HOP * KEEP / (1 - KEEP), 1)
"""Mean age of the signal in an output, s: half a window, and the mean delay of the smoothing."""


def make_card(record: SittingRecord, today: str) -> HeadCard:
    """Make the card of a judged sitting."""
    plan = record.drawn.plan
    verdict = record.refit.verdict if record.refit else record.verdict
    assert verdict is not None
    assert plan.kinds is not None
    check = record.check_on(today)
    return HeadCard(
        id=record.id,
        person=record.person,
        contrast=plan.contrast,
        kinds=plan.kinds,
        dimension=plan.dimension,
        day=record.day,
        verdict=verdict.name,
        served=verdict.served,
        sentence=verdict.sentence,
        accuracy=verdict.accuracy,
        interval=verdict.interval,
        p=verdict.p,
        attempts=verdict.attempts,
        confirmed=record.day == today or check.confirmed,
        right=check.right,
        checked=check.checked,
        half_life=HALF_LIFE,
        delay=DELAY,
        usable=record.head and verdict.served == "yes",
        days=tuple(dict.fromkeys(record.refit.days)) if record.refit else (),
        ratings=record.refit.ratings if record.refit else 0,
    )


class Heads:
    """The heads of all people. Calls block on the disk.

    Parameters
    ----------
    calibrations
        The calibrations that they were made by.
    """

    def __init__(self, calibrations: Calibrations) -> None:
        self._calibrations = calibrations
        self._sittings = calibrations.sittings
        calibrations.on_judged = self.serve
        calibrations.on_refit = self.renew

    @property
    def _today(self) -> str:
        return self._calibrations.today().isoformat()

    def all(self, person: str) -> list[HeadCard]:
        """List a person's heads, newest first, also those that are not served; raises NoPerson."""
        self._calibrations.notes(person)
        judged = [each for each in self._sittings.all(person) if each.verdict is not None]
        return [make_card(each, self._today) for each in judged]

    def use(self, session: Session, person: str, name: str) -> HeadCard:
        """Use a head in a session.

        One of an earlier day first takes a minute of rest, and is shown as not confirmed.

        Raises
        ------
        NoSitting
            If there is no such head.
        CalibrationRefused
            If its verdict does not permit it, or the session has no model or another person.
        CannotCalibrate
            If its file cannot be read.
        SessionOver, MontageError, SignalError
            If the session cannot use it.
        """
        record = self._sittings.get(person, name)
        if record.verdict is None:
            raise NoSitting(f"{person} has no head {name!r}. Choose one of the list.")
        if not record.head or record.verdict.served != "yes":
            raise CalibrationRefused(
                f"Expected a reliable head, but found one with the verdict "
                f"'{record.verdict.name}'. Choose another, or calibrate again."
            )
        if session.active_model.model is None:
            raise CalibrationRefused(
                "Expected a session with a model, beside which the personal output stands, but "
                "found one that shows the signal only. Choose a model."
            )
        newest = record.refit.day if record.refit else record.day
        rest = 0.0 if newest == self._today else record.drawn.plan.rest
        session.set_head(self._load(record, rest), person)
        return make_card(record, self._today)

    def take_away(self, session: Session) -> None:
        """Use no head in a session any more; raises SessionOver."""
        session.set_head(None)

    def delete(self, person: str, name: str, confirm: str, sessions: list[Session]) -> None:
        """Delete a head, with the signal and the blocks that it was made of.

        Raises
        ------
        NoSitting
            If there is no such head.
        CalibrationRefused
            If ``confirm`` is not its name, or a session uses it.
        SittingTaken
            If another service goes on with its calibration.
        CannotCalibrate
            If its files cannot be deleted.
        """
        record = self._sittings.get(person, name)
        if confirm != name:
            raise CalibrationRefused(
                f"Expected the head's name as confirmation, but found {confirm!r}. "
                f"Send ?confirm={name}."
            )
        for session in sessions:
            if session.head is not None and session.head.id == name and session.state == "open":
                raise CalibrationRefused(
                    f"The session {session.name} uses this head. Take it away there first."
                )
        self._calibrations.check_settled(record)
        self._sittings.delete(record)

    def serve(self, session: Session, record: SittingRecord) -> None:
        """Use the head of a sitting that was judged just now, if its verdict permits it."""
        if record.checked_head is not None:
            checked = self._sittings.get(record.person, record.checked_head)
            if checked.refit is not None and record.id in checked.refit.sittings:
                self.renew(session, record.person, checked.id)
            session.change_head_card(make_card(checked, self._today))
        elif record.head and record.verdict is not None and record.verdict.served != "no":
            session.set_head(self._load(record, 0.0))

    def check_by_rating(self, session: Session, valence: float, arousal: float) -> None:
        """Count a rating as a check of the session's head, if that is not confirmed today.

        Only a clear rating of the head's dimension counts, and only if the output was sure.

        Raises
        ------
        NoSitting, CannotCalibrate
            If the head is gone.
        """
        card = session.head
        if card is None or card.confirmed or card.dimension is None:
            return
        record = self._sittings.get(card.person, card.id)
        side = rated_side(record, valence if card.dimension == "valence" else arousal)
        reading = session.last_reading
        if side is None or reading is None or reading.state is None:
            return
        right = int(reading.state == side)
        changed = self._calibrations.add_checks(card.person, card.id, right, 1)
        session.change_head_card(make_card(changed, self._today))

    def renew(self, session: Session, person: str, name: str) -> None:
        """Use a head's refit in a session that uses the head; its rest is of today."""
        if session.head is not None and session.head.id == name:
            session.set_head(self._load(self._sittings.get(person, name), 0.0))

    def train_by_rating(self, session: Session, entry: RatingEntry) -> None:
        """Keep a rating with the half minute before it, and make the head again now and then.

        Only the rating of a session with a head that was measured in that time counts; half
        minutes never overlap. The head is made again after every ``REFIT_AFTER`` of these, once it
        is confirmed today and there are enough of both states.

        Raises
        ------
        NoSitting, CannotCalibrate
            If the head is gone, or its files cannot be written.
        SessionOver
            If the session has ended.
        """
        card = session.head
        if card is None or card.dimension is None or card.served != "yes":
            return
        record = self._sittings.get(card.person, card.id)
        found = session.hops_before(entry.index, MOMENT_SECONDS)
        if found is None or len(found.values) < LEAST_HOPS:
            return
        before = self._sittings.moments(record)
        if before and before[-1].epoch == found.epoch and before[-1].index >= found.start:
            return
        rest = found.rest
        moment = KeptMoment(
            self._today,
            found.epoch,
            entry.index,
            entry.valence,
            entry.arousal,
            entry.personal.state if entry.personal else None,
            np.ascontiguousarray(found.values, "<f8").tobytes(),
            len(found.values),
            b"" if rest is None else np.ascontiguousarray(rest.log_power, "<f8").tobytes(),
            rest.seconds if rest else 0.0,
        )
        moments = self._sittings.add_moment(record, moment)
        looked = record.looks.ratings if record.looks and record.looks.group == moment.group else 0
        n_new = sum(each.group == moment.group for each in moments) - looked
        enough = n_new >= REFIT_AFTER and chosen_moments(record, moments, moment.group)
        if card.confirmed and enough:
            self._calibrations.refits.begin(session, card.person, card.id)

    def _load(self, record: SittingRecord, rest: float) -> ServedHead:
        path = self._sittings.head_path(record)
        try:
            content = read_regular(path)
            fit = decode_head(content, str(path))
        except (OSError, HeadError) as error:
            raise CannotCalibrate(f"Cannot read the head {path}: {error}") from error
        return ServedHead(make_card(record, self._today), fit, content, rest)
