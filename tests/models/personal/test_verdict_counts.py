"""Verdicts are counted over draws, with those that random windows would have served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mimamba.models.personal.comparison import read_people
from mimamba.models.personal.verdict_counts import (
    PersonRecording,
    count_false,
    count_found,
    count_raised,
)
from tests.models.personal.sittings import ALPHA, MUSE, noise

PEOPLE = [PersonRecording(f"p{n}", "rest", "rest", noise(146, n)) for n in range(2)]


def test_draws_people_and_blocks_are_counted() -> None:
    pairs, halves = count_false(PEOPLE, MUSE, 3)
    assert (pairs.draws, halves.draws) == (6, 2)
    assert pairs.people == {"p0", "p1"}
    assert pairs.recordings == {"p0 rest", "p1 rest"}
    assert set(pairs.seconds) == {12.0}
    assert halves.served == 0
    assert pairs.served <= pairs.passed


def test_a_recording_that_is_too_short_or_poor_is_not_counted() -> None:
    flat = replace(
        PEOPLE[0], recording=replace(PEOPLE[0].recording, data=np.zeros((18688, 4), np.float32))
    )
    short = replace(PEOPLE[0], recording=noise(60, 0))
    pairs, _ = count_false([flat, short], MUSE, 2)
    assert (pairs.draws, pairs.verdicts["too few"], pairs.people) == (0, 2, set())


def test_a_planted_effect_is_found_and_wrong_labels_hide_it() -> None:
    found = count_found(PEOPLE, MUSE, ALPHA, 2)
    assert (found.draws, found.served) == (4, 4)
    assert count_found(PEOPLE, MUSE, ALPHA, 2, flipped=3).served <= 1


def test_no_flipped_rating_raises_a_verdict() -> None:
    for effect in (None, ALPHA):
        count = count_raised(PEOPLE, MUSE, effect, 3)
        assert (count.flips, count.raised) == (6, 0)


def test_false_verdicts_on_a_person_who_rests(shared_data: Path) -> None:
    people = [one for one, _ in read_people([shared_data / "bids" / "arith"], ["rest"])][:6]
    pairs, halves = count_false(people, MUSE, 5)
    assert pairs.draws == 30
    assert pairs.served <= 4  # 5 % in the mean; more than 4 of 30 in 1 % of such runs
    assert halves.served == 0
    assert pairs.random + halves.random > 15
