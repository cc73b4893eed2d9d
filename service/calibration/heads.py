"""Heads of people: listed, used in sessions, checked on later days, deleted."""

from __future__ import annotations

import numpy as np

from mimamba.models.personal.features import SIGNAL
from mimamba.models.personal.head import HALF_LIFE
from mimamba.models.personal.head_file import HeadError, decode_head
from mimamba.service.calibration.calibrations import CalibrationRefused, Calibrations
from mimamba.service.calibration.sittings import CannotCalibrate, NoSitting, SittingRecord
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.sessions.personal_decoder import ServedHead
from mimamba.service.sessions.session import Session
from mimamba.service.storage.private_files import read_regular

HOP = SIGNAL.hop / SIGNAL.sfreq
KEEP = 0.5 ** (HOP / HALF_LIFE)
DELAY = round(SIGNAL.window / SIGNAL.sfreq / 2 + HOP * KEEP / (1 - KEEP), 1)
"""Mean age of the signal in an output, s: half a window, and the mean delay of the smoothing."""
LEAST_CLEAR = 10.0
"""Points from a head's own middle below which a rating checks nothing."""


def make_card(record: SittingRecord, today: str) -> HeadCard:
    """Make the card of a judged sitting."""
    verdict, plan = record.verdict, record.drawn.plan
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
        rest = 0.0 if record.day == self._today else record.drawn.plan.rest
        session.set_head(self._load(record, rest))
        with session.between_chunks():
            session.subject.person = person
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

    def _load(self, record: SittingRecord, rest: float) -> ServedHead:
        path = self._sittings.head_path(record)
        try:
            content = read_regular(path)
            fit = decode_head(content, str(path))
        except (OSError, HeadError) as error:
            raise CannotCalibrate(f"Cannot read the head {path}: {error}") from error
        return ServedHead(make_card(record, self._today), fit, content, rest)


def rated_side(record: SittingRecord, rating: float) -> str | None:
    """Return the state on whose side a rating lies, by those of the calibration; None if unclear.

    Parameters
    ----------
    record
        The sitting that a head was made of.
    rating
        In its dimension, 0 to 100.
    """
    plan = record.drawn.plan
    assert plan.kinds is not None
    medians = []
    for kind in plan.kinds:
        given = [
            each.valence if plan.dimension == "valence" else each.arousal
            for each in record.rated
            if each.kind == kind
        ]
        medians.append(float(np.median([each for each in given if each is not None])))
    middle = sum(medians) / 2
    if abs(rating - middle) < LEAST_CLEAR:
        return None
    above = medians[1] > medians[0]
    return plan.kinds[1] if (rating > middle) == above else plan.kinds[0]
