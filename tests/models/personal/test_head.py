"""The head's step is the offline smoothing, hop by hop, whatever lies between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.models.personal.head import (
    HALF_LIFE,
    LEAST_RIGHT,
    LinearHead,
    PersonalHead,
    fit_head,
    probability,
    smooth,
)
from mimamba.models.personal.statistics import LabelledBlocks, held_out_scores

HEAD = LinearHead(np.array([1.0, 0.0]), -1.0, 2.0, 0.25)
KINDS = ("calm", "strained")
SCORES = st.lists(st.floats(-50, 50), max_size=30)


@given(SCORES, st.integers(0, 30))
def test_steps_are_the_smoothed_scores(scores: list[float], at: int) -> None:
    head = PersonalHead(HEAD, KINDS)
    smoothed = smooth(np.array(scores))
    for n, (score, wanted) in enumerate(zip(scores, smoothed, strict=True)):
        if n == at:  # a hop without signal, and another that continues from a saved state
            assert head.step(None) is None
            saved, head = head.state, PersonalHead(HEAD, KINDS)
            head.state = saved
        out = head.step(np.array([score + 1, 7.0]))
        assert out is not None
        assert out.probabilities["strained"] == pytest.approx(probability(wanted / 2))
        assert sum(out.probabilities.values()) == pytest.approx(1)
        if abs(abs(wanted) - 0.25) > 1e-9:
            named = None if abs(wanted) < 0.25 else KINDS[int(wanted > 0)]
            assert out.state == named


def test_a_restart_forgets() -> None:
    head = PersonalHead(HEAD, KINDS)
    head.step(np.array([50.0, 0.0]))
    assert head.step(np.array([0.0, 0.0]), restart=True) == PersonalHead(HEAD, KINDS).step(
        np.array([0.0, 0.0])
    )


def test_a_score_counts_half_after_the_half_life() -> None:
    after = round(HALF_LIFE)
    smoothed = smooth(np.array([1.0] * 200 + [0.0] * after))
    assert smoothed[-1] == pytest.approx(0.5, abs=1e-3)


def test_probabilities_of_any_logit() -> None:
    assert probability(0) == 0.5
    assert probability(1e9) == 1.0
    assert 0 <= probability(-1e9) < 1e-300


def blocks(effect: float) -> LabelledBlocks:
    rng = np.random.default_rng(1)
    kinds = np.array([0, 1] * 6)
    features = [
        0.5 * rng.standard_normal(4) + effect * kind + rng.standard_normal((20, 4))
        for kind in kinds
    ]
    return LabelledBlocks(tuple(features), kinds, np.zeros(12, np.int64))


def test_a_head_is_certain_where_the_blocks_are_apart() -> None:
    centre = np.full(4, 3.0)
    clear, vague = (fit_head(blocks(effect), slice(2, 6), 8, centre) for effect in (3.0, 0.3))
    assert clear.unsure == 0
    assert vague.unsure > 0
    np.testing.assert_array_equal(clear.weights[[0, 1, 6, 7]], 0)
    for kind, sign in ((0, -1), (1, 1)):
        hop = np.zeros(8)
        hop[2:6] = 3.0 * kind + centre
        out = PersonalHead(clear, KINDS).step(hop)
        assert out is not None
        assert out.probabilities[KINDS[kind]] > 0.95
        score = float(clear.weights @ hop) + clear.bias
        assert np.sign(score) == sign


def test_outside_of_the_unsure_band_most_hops_are_right() -> None:
    one = blocks(0.7)
    head = fit_head(one, slice(0, 4), 4, np.zeros(4))
    right = [
        (smooth(each) > 0) == kind
        for each, kind in zip(held_out_scores(one), one.kinds, strict=True)
    ]
    outside = [np.abs(smooth(each)) >= head.unsure for each in held_out_scores(one)]
    assert np.concatenate(outside).mean() >= 0.5
    chosen = np.concatenate(right)[np.concatenate(outside)]
    assert chosen.mean() >= LEAST_RIGHT - 0.02
