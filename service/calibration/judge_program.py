"""A separate program that judges a sitting, so that no hop of any session waits for it.

``python -m mimamba.service.calibration.judge_program FOLDER PERSON SITTING TASK`` reads the sitting
of a person in the folder of people once it has read a line, and prints one JSON object. The task is
``judge``, or ``refit`` for a head with new ratings. It gives way to everything else.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from mimamba.drivers.errors import UserError
from mimamba.drivers.runtime.process_limits import give_way
from mimamba.models.personal.features import SIGNAL, track_features
from mimamba.models.personal.fit_personal import CalibrationSettings, PersonalFit, calibrate
from mimamba.models.personal.head import PersonalHead
from mimamba.models.personal.head_file import encode_head, load_head
from mimamba.models.personal.shipped_output import CLAIMS
from mimamba.models.signal.montage import MONTAGES
from mimamba.service.calibration.refitting import (
    RefitResult,
    make_note,
    pooled_sittings,
    refit_with_day,
    refit_with_ratings,
)
from mimamba.service.calibration.sittings import (
    DayCheck,
    SittingRecord,
    Sittings,
    read_attempt,
)
from mimamba.service.people.people import People
from mimamba.service.protocol.personal import VerdictNote

NICENESS = 10
"""Added to that of the service: everything else comes first."""


class Judgement(Struct, frozen=True, tag=True):
    """Result for a calibration: the verdict, and the bytes of the head's file if there is one."""

    verdict: VerdictNote
    head: bytes | None


class CheckResult(Struct, frozen=True, tag=True):
    """Result for blocks that check a head: how many were right, of how many.

    If they confirm it, there is the refit with these blocks.
    """

    right: int
    checked: int
    refit: RefitResult | None = None


class JudgeRefusal(Struct, frozen=True, tag=True):
    """A sitting that cannot be judged, and why."""

    reason: str


JudgeAnswer = Judgement | CheckResult | RefitResult | JudgeRefusal


def judge_sitting(sittings: Sittings, record: SittingRecord) -> Judgement:
    """Judge a sitting together with those of the same day and contrast that were judged before.

    Raises
    ------
    UserError
        If a signal is missing.
    """
    plan = record.drawn.plan
    assert plan.kinds is not None
    attempts = [read_attempt(sittings, each) for each in pooled_sittings(sittings, record)]
    settings = CalibrationSettings(plan.kinds, MONTAGES["muse"], plan.rest)
    fit = calibrate([r for r, _ in attempts], tuple(a for _, a in attempts), settings)
    return Judgement(make_note(fit.verdict), None if fit.head is None else encode_head(fit))


def check_head(sittings: Sittings, record: SittingRecord) -> CheckResult:
    """Count the blocks in which a head of an earlier day was right for most of the time."""
    assert record.checked_head is not None
    checked = sittings.get(record.person, record.checked_head)
    fit = load_head(sittings.head_path(checked))
    recording, attempt = read_attempt(sittings, record)
    track = track_features(recording, fit.settings.montage, record.drawn.plan.rest)
    right = 0
    for block in attempt.blocks:
        values = track.values[track.within(block.start, block.stop)]
        right += is_right(fit, values, block.kind)
    before, n_blocks = checked.check_on(record.day), len(attempt.blocks)
    after = DayCheck(record.day, before.right + right, before.checked + n_blocks)
    refit = None
    if after.confirmed:
        with suppress(UserError):  # the check counts anyway
            refit = refit_with_day(sittings, checked, record)
    return CheckResult(right, n_blocks, refit)


def is_right(fit: PersonalFit, values: np.ndarray, kind: str) -> bool:
    """Return whether a head takes most of successive hops (H, n_features) for a state."""
    assert fit.head is not None
    head = PersonalHead(fit.head, fit.settings.kinds, SIGNAL.hop / SIGNAL.sfreq)
    outputs = [head.step(each) for each in values if not np.isnan(each).any()]
    shares = [each.probabilities[kind] > 0.5 for each in outputs if each is not None]
    return bool(shares) and float(np.mean(shares)) > 0.5


def answer(folder: Path, person: str, name: str, task: str) -> JudgeAnswer:
    """Judge a sitting by its name, or say why that is not possible."""
    sittings = Sittings(People(folder))
    try:
        record = sittings.get(person, name)
        if task == "refit":
            return refit_with_ratings(sittings, record)
        if record.purpose == "check":
            return check_head(sittings, record)
        return judge_sitting(sittings, record)
    except UserError as error:
        return JudgeRefusal(str(error))


def load_libraries(folder: Path, person: str, name: str) -> None:
    """Load what judging this sitting takes: that is longer than to judge.

    PyTorch is left out where no shipped model will be tested.
    """
    import_module("scipy.signal")
    with suppress(UserError):  # it is said when the sitting is judged
        plan = Sittings(People(folder)).get(person, name).drawn.plan
        claim = CLAIMS.get(frozenset(plan.kinds or ()))
        if claim is not None and plan.rest >= claim.rest:
            import_module("mimamba.models.decoding.decoder")


def main(folder: str, person: str, name: str, task: str) -> None:
    """Print the answer."""
    give_way(NICENESS)
    load_libraries(Path(folder), person, name)
    sys.stdin.readline()
    sys.stdout.buffer.write(msgspec.json.encode(answer(Path(folder), person, name, task)))


if __name__ == "__main__":
    main(*sys.argv[1:])
