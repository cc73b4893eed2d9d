"""Chance, muscle, time and too little each have their verdict, in words and numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mimamba.models.personal.statistics import LabelledBlocks
from mimamba.models.personal.verdict import (
    AccuracyTest,
    Verdict,
    half_labels,
    judge,
    mean_order,
    strictest_verdict,
)

KINDS = ("calm", "strained")


def blocks(
    kinds: list[int], low: float = 0.0, high: float = 0.0, drift: float = 0.0, seed: int = 0
) -> LabelledBlocks:
    """Blocks of one electrode: four features below 20 Hz, two above."""
    rng = np.random.default_rng(seed)
    features = []
    for n, kind in enumerate(kinds):
        level = 0.5 * rng.standard_normal(6)
        level[0] += low * kind
        level[5] += high * kind
        level[1] += drift * n / len(kinds)
        features.append(level + 0.7 * rng.standard_normal((20, 6)))
    return LabelledBlocks(tuple(features), np.array(kinds), np.zeros(len(kinds), np.int64))


MIXED = [0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0]


def test_a_difference_below_20_hz_is_served() -> None:
    verdict = judge(blocks(MIXED, low=3), 1, KINDS)
    assert (verdict.name, verdict.served) == ("reliable", "yes")
    assert verdict.result is not None
    low, high = (f"{100 * bound:.0f}" for bound in verdict.result.interval)
    assert verdict.sentence == (
        f"Reliable today: your own output told calm from strained in {verdict.result.percent} of "
        f"the time in blocks that it had not seen ({low} to {high}; guessing 50; p .002)."
    )


def test_nothing_is_no_difference() -> None:
    verdict = judge(blocks(MIXED, seed=1), 1, KINDS)
    assert (verdict.name, verdict.served) == ("no difference", "no")
    assert "No reliable difference" in verdict.sentence


def test_a_difference_above_20_hz_is_muscle() -> None:
    for low in (0.0, 0.8):
        verdict = judge(blocks(MIXED, low=low, high=6), 1, KINDS)
        assert (verdict.name, verdict.served) == ("muscle", "no")
        assert "face or jaw" in verdict.sentence


def test_muscle_does_not_hide_what_is_as_clear_without_it() -> None:
    assert judge(blocks(MIXED, low=6, high=6), 1, KINDS).name == "reliable"


def test_kinds_that_follow_each_other_are_not_served() -> None:
    verdict = judge(blocks([0] * 6 + [1] * 6, low=3), 1, KINDS)
    assert (verdict.name, verdict.served) == ("drift", "no")
    assert verdict.order == 1
    assert "cannot be told from the passing of time" in verdict.sentence


def test_a_signal_that_follows_time_more_is_served_with_a_warning() -> None:
    verdict = judge(blocks(MIXED, low=1.6, drift=12), 1, KINDS)
    assert (verdict.name, verdict.served) == ("drift", "this session")
    assert "until the session ends" in verdict.sentence


@pytest.mark.parametrize(
    ("kinds", "poor", "reason"),
    [
        ([0, 1, 0, 1, 0, 1], 0.0, "3 of calm and 3 of strained can be used, where 4 of each"),
        ([0] * 9 + [1, 1, 1], 0.0, "9 of calm and 3 of strained"),
        (MIXED, 0.3, "the signal was poor in 30 % of the blocks' time"),
    ],
)
def test_too_little_to_judge_by(kinds: list[int], poor: float, reason: str) -> None:
    verdict = judge(blocks(kinds, low=9), 1, KINDS, poor=poor)
    assert (verdict.name, verdict.served, verdict.result) == ("too few", "no", None)
    assert reason in verdict.sentence


def test_p_grows_with_the_number_of_tests() -> None:
    once, thrice = (judge(blocks(MIXED, low=3), 1, KINDS, tests=n) for n in (1, 30))
    assert once.result is not None
    assert thrice.result is not None
    assert thrice.result.p == pytest.approx(30 * once.result.p)
    assert (once.name, thrice.name) == ("reliable", "no difference")


def test_an_accuracy_of_no_use_does_not_pass() -> None:
    good = AccuracyTest(0.60, (0.55, 0.65), 0.05, 924)
    assert good.passed
    assert not replace(good, accuracy=0.59).passed
    assert not replace(good, p=0.051).passed
    assert str(replace(good, p=0.0001)) == "60 % (55 to 65; guessing 50; p below .001)"
    assert good.details == "(55 to 65; guessing 50; p .050)"
    assert replace(good, p=1.0).details == "(55 to 65; guessing 50; p 1.000)"


def test_halves_and_order_are_those_of_each_attempt() -> None:
    attempts = np.array([0] * 4 + [1] * 5)
    assert half_labels(attempts).tolist() == [0, 0, 1, 1, 0, 0, 0, 1, 1]
    one = blocks([0, 0, 1, 1, 1, 1, 0, 0])
    two = LabelledBlocks(one.features, one.kinds, np.array([0] * 4 + [1] * 4))
    assert mean_order(two) == 0  # the one attempt's order balances the other's
    assert mean_order(one) == 0
    assert mean_order(blocks([0, 1] * 6)) == pytest.approx(1 / 6)


def test_the_worst_verdict_allows_least() -> None:
    result = AccuracyTest(0.8, (0.7, 0.9), 0.01, 924)
    served = Verdict("reliable", "yes", KINDS, (6, 6), 1, 1, result)
    warned = replace(served, name="drift", served="this session")
    refused = replace(served, name="no difference", served="no", result=replace(result, p=0.3))
    doubly = replace(refused, result=replace(result, p=0.5))
    assert strictest_verdict([served, warned]) is warned
    assert strictest_verdict([doubly, served, refused]) is doubly
