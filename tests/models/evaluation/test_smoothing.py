"""Smoothing: by hand, reset at restarts, causal, and chosen only if it helps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.models.evaluation.smoothing import KEEPS, choose_keep, smooth
from mimamba.models.training.windowing import HopSequence


def test_by_hand() -> None:
    steps = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    restart = np.array([True, False, False, True])
    weighted = [1.0, 0.5 / 1.5, 0.25 / 1.75, 0.0]  # begun as the mean so far, not at the first hop
    assert smooth(steps, restart, 0.5)[:, 0] == pytest.approx(weighted)
    assert smooth(steps, restart, 0.0) == pytest.approx(steps)


@given(st.integers(0, 2**16), st.sampled_from(KEEPS))
def test_it_stays_probabilities_and_knows_no_future(seed: int, keep: float) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(3), 30)
    restart = rng.random(30) < 0.2
    restart[0] = True
    whole = smooth(shares, restart, keep)
    assert whole.sum(1) == pytest.approx(1.0)
    assert whole.min() >= 0
    assert smooth(shares[:20], restart[:20], keep) == pytest.approx(whole[:20])
    assert whole[restart] == pytest.approx(shares[restart])


def test_it_is_chosen_where_evidence_is_weak_and_not_where_labels_turn() -> None:
    rng = np.random.default_rng(0)
    restart = np.arange(64) == 0
    steady, turning = [], []
    for i in range(8):
        labels = np.full((64, 1), i % 2)
        steady.append(HopSequence(np.zeros((64, 1, 1), np.float32), restart, labels))
        turning.append(
            HopSequence(np.zeros((64, 1, 1), np.float32), restart, np.arange(64)[:, None] % 2)
        )
    weak = [np.eye(2)[np.where(rng.random(64) < 0.65, i % 2, 1 - i % 2)] for i in range(8)]
    sure = [np.eye(2)[np.arange(64) % 2] for _ in range(8)]
    assert choose_keep(weak, steady, [2]) >= 0.75
    assert choose_keep(sure, turning, [2]) == 0.0
