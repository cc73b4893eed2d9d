"""Refits: a head is made again with blocks of a confirmed day, or with ratings at any time.

It replaces the one before only if its own tests hold. What it was made of is kept beside it, so it
can be made once more.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from msgspec import Struct

from mimamba.models.personal.fit_personal import PersonalFit, calibrate
from mimamba.models.personal.head_file import encode_head, load_head
from mimamba.models.personal.joined_data import (
    JoinedData,
    KeptMoment,
    MomentNote,
    RatedMoment,
    balance,
)
from mimamba.models.personal.verdict import AccuracyTest, Verdict
from mimamba.service.calibration.sittings import (
    CannotCalibrate,
    Looks,
    NoSitting,
    Refit,
    SittingRecord,
    Sittings,
    read_attempt,
)
from mimamba.service.protocol.personal import AccuracyNote, VerdictNote

LEAST_CLEAR = 10.0
"""Points from a head's own middle below which a rating tells nothing."""


class RefitResult(Struct, frozen=True, tag=True):
    """Result for a head with later data: what joined, and the bytes of its file.

    The file is None if a test does not hold, and then the head stays as it is.
    """

    refit: Refit
    head: bytes | None
    looks: Looks | None = None


def pooled_sittings(sittings: Sittings, record: SittingRecord) -> list[SittingRecord]:
    """Return the judged sittings of the same day and contrast, oldest first, and this one."""
    others = [
        each
        for each in sittings.all(record.person)
        if each.is_like(record) and each.verdict is not None and each.id != record.id
    ]
    return [*reversed(others), record]


def refit_with_day(
    sittings: Sittings, head: SittingRecord, check: SittingRecord
) -> RefitResult | None:
    """Make a head again with the check blocks of a day; all of that day join, and those before.

    The ratings label the blocks, as those of the calibration. None if nothing can be made.
    """
    before = head.refit
    known = before.sittings if before else ()
    today = [
        each.id
        for each in reversed(sittings.all(head.person))
        if each.checked_head == head.id
        and each.day == check.day
        and (each.id == check.id or each.state.phase == "done")
    ]
    joined = dict.fromkeys([*known, *today])
    return _refit(sittings, head, tuple(joined), before.groups if before else (), check.day)


def refit_with_ratings(sittings: Sittings, head: SittingRecord) -> RefitResult:
    """Make a head again with the ratings of today; raises CannotCalibrate if there are too few."""
    before = head.refit
    moments = sittings.moments(head)
    newest = moments[-1] if moments else None
    if newest is None or not chosen_moments(head, moments, newest.group):
        raise CannotCalibrate("There are too few ratings to train on.")
    groups = tuple(each for each in (before.groups if before else ()) if each != newest.group)
    names = before.sittings if before else ()
    found = _refit(sittings, head, names, (*groups, newest.group), newest.day, looks=1)
    if found is None:
        raise CannotCalibrate("There is too little to train on.")
    return found


def chosen_moments(
    head: SittingRecord, moments: tuple[KeptMoment, ...], group: str
) -> list[tuple[KeptMoment, str]]:
    """Return the moments of a group that can be trained on, with their states."""
    kinds = head.drawn.plan.kinds
    assert kinds is not None
    mine = [each for each in moments if each.group == group]
    return balance(mine, [rated_side(head, rating_of(head, each)) for each in mine], kinds)


def rating_of(head: SittingRecord, moment: KeptMoment) -> float:
    """Return the rating of a moment in the head's dimension."""
    return moment.valence if head.drawn.plan.dimension == "valence" else moment.arousal


def _refit(
    sittings: Sittings,
    head: SittingRecord,
    names: tuple[str, ...],
    groups: tuple[str, ...],
    day: str,
    looks: int = 0,
) -> RefitResult | None:
    """Make a head again; the last group of moments is looked at so many times more."""
    fit = load_head(sittings.head_path(head))
    own = {each.sha256 for each in fit.attempts}
    everything = [read_attempt(sittings, each) for each in pooled_sittings(sittings, head)]
    attempts = [each for each in everything if each[1].sha256 in own]
    joined: list[SittingRecord] = []
    for name in names:
        with suppress(NoSitting, CannotCalibrate):  # deleted meanwhile
            record = sittings.get(head.person, name)
            attempts.append(read_attempt(sittings, record, head.drawn.plan.dimension))
            joined.append(record)
    kept, moments = sittings.moments(head), list[RatedMoment]()
    rest, looked = None, None
    for group in groups:
        chosen = chosen_moments(head, kept, group)
        number = moments[-1].note.group + 1 if moments else 0
        for each, kind in chosen:
            note = MomentNote(each.day, number, kind, rating_of(head, each), each.sha256)
            moments.append(RatedMoment(note, each.values))
            rest = each.baseline
        n_kept = sum(each.group == group for each in kept)
        before = head.looks if head.looks and head.looks.group == group else Looks(group, 0, 0)
        looked = Looks(group, before.tests + looks, n_kept)
    days = tuple(each.day for each in joined)
    data = JoinedData(days, tuple(moments), rest, max(1, looked.tests) if looked else 1)
    made = calibrate([r for r, _ in attempts], tuple(a for _, a in attempts), fit.settings, data)
    if made.head is None:
        return None
    names = tuple(each.id for each in joined)
    refit = Refit(day, days, names, groups, len(moments), make_note(made.verdict, made))
    return RefitResult(refit, encode_head(made) if made.holds else None, looked)


def make_note(verdict: Verdict, fit: PersonalFit | None = None) -> VerdictNote:
    """Put a verdict into the form of the wire protocol, with what joined the training."""
    result = verdict.model if verdict.name == "model fits" else verdict.result
    return VerdictNote(
        name=verdict.name,
        served=verdict.served,
        sentence=" ".join([verdict.sentence, *([_describe_joined(fit)] if fit else [])]),
        accuracy=result.accuracy if result else None,
        interval=result.interval if result else None,
        p=result.p if result else None,
        attempts=verdict.attempts,
        tests=verdict.tests,
        n_blocks=verdict.n_blocks,
        doubtful=verdict.doubtful,
        poor=verdict.poor,
        reason=verdict.reason,
        model=_test(verdict.model),
        muscle=_test(verdict.muscle),
        time=_test(verdict.time),
    )


def _test(test: AccuracyTest | None) -> AccuracyNote | None:
    return None if test is None else AccuracyNote(test.accuracy, test.interval, test.p)


def _describe_joined(fit: PersonalFit) -> str:
    """Describe in a sentence what joined."""
    days, ratings = len(set(fit.days)), len(fit.moments)
    parts = [f"{days} confirmed {'day' if days == 1 else 'days'}"] if days else []
    parts += [f"{ratings} ratings"] if ratings else []
    text = f"{' and '.join(parts)} joined its training"
    return f"{text}, and were told apart in {fit.added}." if fit.added else f"{text}."


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
