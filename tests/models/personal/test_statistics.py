"""Blocks are never divided, every relabelling counts, and the fast way is the plain way."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.models.personal.statistics import (
    ALL_BELOW,
    RELABELLINGS,
    RIDGE,
    BlockMoments,
    LabelledBlocks,
    accuracies,
    held_out_scores,
    held_out_shares,
    relabellings,
    score_blocks,
)


def blocks(
    kinds: list[int], effect: float, seed: int = 0, n_features: int = 3, n_attempts: int = 1
) -> LabelledBlocks:
    """Blocks whose own level varies as much as a hop within them."""
    rng = np.random.default_rng(seed)
    labels = np.array(kinds)
    features = [
        rng.standard_normal(n_features)
        + effect * kind
        + rng.standard_normal((rng.integers(4, 9), n_features))
        for kind in labels
    ]
    attempts = np.arange(len(kinds)) * n_attempts // len(kinds)
    return LabelledBlocks(tuple(features), labels, attempts)


def plain_fit(
    features: list[NDArray[np.float64]], kinds: list[int]
) -> tuple[NDArray[np.float64], float]:
    """Ridge regression to -1 and 1 on standardised hops, each block with the same weight."""
    x = np.concatenate(features)
    weights = np.concatenate([np.full(len(each), 1 / len(each)) for each in features])
    weights /= weights.sum()
    y = np.concatenate([np.full(len(f), 2.0 * k - 1) for f, k in zip(features, kinds, strict=True)])
    mean = weights @ x
    scale = np.sqrt(weights @ (x - mean) ** 2)
    z = (x - mean) / scale
    gram = (z * weights[:, None]).T @ z + RIDGE * np.eye(z.shape[1])
    w = np.linalg.solve(gram, (z * weights[:, None]).T @ y) / scale
    return w, float(w @ mean)


def test_the_classifier_is_balanced_ridge_regression() -> None:
    one = blocks([0, 1, 1, 0, 1, 0], 1.0)
    w, bias = BlockMoments.of(one.features).directions(
        np.ones(6, np.bool_), one.kinds[np.newaxis], RIDGE
    )
    plain, middle = plain_fit(list(one.features), one.kinds.tolist())
    np.testing.assert_allclose(w[:, 0] / np.linalg.norm(w), plain / np.linalg.norm(plain))
    assert bias[0] / np.linalg.norm(w) == pytest.approx(middle / np.linalg.norm(plain))


def test_each_pair_of_blocks_is_held_out() -> None:
    one = blocks([0, 1, 1, 0, 1, 0], 0.5)
    right: dict[int, list[float]] = {n: [] for n in range(6)}
    for i, j in product(range(6), range(6)):
        if (one.kinds[i], one.kinds[j]) == (0, 1):
            rest = [n for n in range(6) if n not in (i, j)]
            w, bias = plain_fit([one.features[n] for n in rest], [int(one.kinds[n]) for n in rest])
            for held in (i, j):
                taken = one.features[held] @ w > bias
                right[held].append(float(np.mean(taken == one.kinds[held])))
    shares = held_out_shares(one.features, one.kinds[np.newaxis], RIDGE)
    np.testing.assert_allclose(shares[0], [np.mean(right[n]) for n in range(6)])


def test_relabelled_blocks_score_as_if_they_were_given() -> None:
    one = blocks([0, 1, 0, 1, 1, 0, 1], 0.5)
    labels = relabellings(one.kinds, one.attempts, 0)
    every = accuracies(held_out_shares(one.features, labels, RIDGE), labels)
    for n in (3, 17, 30):
        assert score_blocks(one.relabelled(labels[n])).accuracy == pytest.approx(every[n])


def test_all_relabellings_are_used_if_they_are_few() -> None:
    kinds = np.array([0, 1] * 6)
    labels = relabellings(kinds, np.zeros(12, np.int64), 0)
    assert len(labels) == 924 <= ALL_BELOW
    assert len({tuple(row) for row in labels.tolist()}) == 924
    assert (labels.sum(1) == 6).all()
    np.testing.assert_array_equal(labels[0], kinds)


def test_many_relabellings_are_drawn_with_a_seed() -> None:
    kinds, attempts = np.array([0, 1] * 8), np.zeros(16, np.int64)
    labels = relabellings(kinds, attempts, 3)
    assert len(labels) == RELABELLINGS + 1
    np.testing.assert_array_equal(labels, relabellings(kinds, attempts, 3))
    assert (labels != relabellings(kinds, attempts, 4)).any()


def test_kinds_are_exchanged_within_an_attempt() -> None:
    kinds = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1])
    attempts = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    labels = relabellings(kinds, attempts, 0)
    assert len({tuple(row) for row in labels.tolist()}) == len(labels) == 6 * 10
    assert (labels[:, :4].sum(1) == 2).all()
    assert (labels[:, 4:].sum(1) == 3).all()


def test_three_blocks_of_each_kind_cannot_pass() -> None:
    assert score_blocks(blocks([0, 1] * 3, 50.0)).p == pytest.approx(0.1)
    assert score_blocks(blocks([0, 1] * 4, 50.0)).p == pytest.approx(2 / 70)


def test_a_difference_is_found_and_chance_is_chance() -> None:
    found = score_blocks(blocks([0, 1] * 6, 3.0))
    assert found.p < 0.01
    assert found.accuracy > 0.8
    assert found.interval[0] < found.accuracy < found.interval[1]
    ps = [score_blocks(blocks([0, 1] * 4, 0.0, seed)).p for seed in range(200)]
    assert np.mean(np.array(ps) <= 0.05) <= 0.08  # 70 relabellings, exact: at most 0.05 in the mean
    assert 0.4 < np.mean(ps) < 0.65


def test_scores_of_hops_agree_with_shares_for_a_clear_difference() -> None:
    one = blocks([0, 1] * 4, 20.0)
    scores = held_out_scores(one)
    assert [len(each) for each in scores] == [len(each) for each in one.features]
    for each, kind in zip(scores, one.kinds, strict=True):
        assert ((each > 0) == kind).all()


def test_some_blocks_are_tested_alone() -> None:
    one = blocks([0, 1] * 8, 0.0)
    tested = np.arange(16) >= 8
    loud = tuple(
        x + 3.0 * kind * (n < 8)
        for n, (x, kind) in enumerate(zip(one.features, one.kinds, strict=True))
    )
    clear = LabelledBlocks(loud, one.kinds, np.repeat([0, 1], 8))
    assert score_blocks(clear.subset(~tested)).p < 0.05
    alone = score_blocks(clear, tested=tested)
    assert (len(alone.shares), alone.n_relabellings) == (8, 70)
    ps = []
    for seed in range(100):
        noise = blocks([0, 1] * 8, 0.0, seed)
        mixed = LabelledBlocks(
            (*clear.features[:8], *noise.features[8:]), one.kinds, clear.attempts
        )
        ps.append(score_blocks(mixed, tested=tested).p)
    assert np.mean(np.array(ps) <= 0.05) <= 0.1
    assert 0.4 < np.mean(ps) < 0.65


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="two blocks of each kind"):
        score_blocks(blocks([0, 1, 1], 0.0))
