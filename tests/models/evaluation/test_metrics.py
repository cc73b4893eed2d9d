"""Metrics: by hand, and as scikit-learn has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.models.evaluation.metrics import (
    COVERAGES,
    accuracy,
    balanced_accuracy,
    brier,
    calibration_error,
    confusion,
    macro_f1,
    risks,
    weighted_f1,
)

LABELS = np.array([0, 0, 0, 1])
SHARES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])


def drawn(seed: int, n: int, n_labels: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, n_labels, n), rng.dirichlet(np.ones(n_labels), n)


def test_by_hand() -> None:
    matrix = confusion(LABELS, SHARES)
    assert matrix.tolist() == [[2, 1], [0, 1]]
    assert accuracy(matrix) == 0.75
    assert balanced_accuracy(matrix) == pytest.approx((2 / 3 + 1) / 2)
    assert macro_f1(matrix) == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert brier(LABELS, SHARES) == pytest.approx((0.02 + 0.08 + 0.98 + 0.32) / 4)


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: .9 alone, .8 alone (its upper edge), .7 alone, .6 alone (its upper edge).
    assert calibration_error(LABELS, SHARES) == pytest.approx((0.1 + 0.2 + 0.7 + 0.4) / 4)
    # .61 and .66 share a bin, in which half is right.
    shares = np.array([[0.61, 0.39], [0.66, 0.34]])
    assert calibration_error(np.array([0, 1]), shares) == pytest.approx(0.635 - 0.5)


def test_certain_and_right_is_perfect() -> None:
    shares = np.eye(3)
    labels = np.arange(3)
    assert calibration_error(labels, shares) == brier(labels, shares) == 0.0
    assert brier(labels, np.roll(shares, 1, axis=1)) == 2.0


def test_risk_is_of_the_most_certain_hops() -> None:
    # Certainties .9 .8 .7 .6, of which the third is wrong; 60 % are two hops, 70 % three.
    found = dict(zip(COVERAGES, risks(LABELS, SHARES), strict=True))
    assert (found[0.1], found[0.25], found[0.6]) == (0, 0, 0)
    assert found[0.7] == pytest.approx(1 / 3)
    assert found[1.0] == 0.25


def test_equally_certain_hops_have_the_risk_of_all() -> None:
    assert risks(LABELS, np.tile([0.75, 0.25], (4, 1))) == [0.25] * len(COVERAGES)


@given(st.integers(0, 2**16), st.integers(1, 60), st.integers(2, 5))
def test_risk_of_all_hops_is_the_error(seed: int, n: int, n_labels: int) -> None:
    labels, shares = drawn(seed, n, n_labels)
    found = risks(labels, shares)
    assert found[0] == pytest.approx(1 - accuracy(confusion(labels, shares)))
    assert all(0 <= risk <= 1 for risk in found)
    order = np.argsort(-shares.max(1))[: max(1, round(n / 2))]
    half = (shares.argmax(1) != labels)[order].mean()
    assert found[COVERAGES.index(0.5)] == pytest.approx(half)


@settings(max_examples=30)
@given(st.integers(0, 2**16), st.integers(1, 40), st.integers(2, 5))
def test_as_scikit_learn(seed: int, n: int, n_labels: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, shares = drawn(seed, n, n_labels)
    predicted, matrix = shares.argmax(1), confusion(labels, shares)
    names = range(n_labels)
    assert matrix.tolist() == sklearn.confusion_matrix(labels, predicted, labels=names).tolist()
    assert accuracy(matrix) == pytest.approx(sklearn.accuracy_score(labels, predicted))
    recalls = sklearn.recall_score(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0.0
    )
    assert balanced_accuracy(matrix) == pytest.approx(recalls)
    assert macro_f1(matrix) == pytest.approx(sklearn.f1_score(labels, predicted, average="macro"))
    weighted = sklearn.f1_score(labels, predicted, average="weighted")
    assert weighted_f1(matrix) == pytest.approx(weighted)
    truth = np.eye(n_labels)[labels]
    errors = sklearn.mean_squared_error(truth, shares) * n_labels
    assert brier(labels, shares) == pytest.approx(errors)


@given(st.integers(0, 2**16), st.integers(1, 60), st.integers(2, 5))
def test_calibration_error_is_the_plain_sum_over_bins(seed: int, n: int, n_labels: int) -> None:
    labels, shares = drawn(seed, n, n_labels)
    confidence, right = shares.max(1), shares.argmax(1) == labels
    expected = 0.0
    for m in range(15):
        held = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if held.any():
            expected += held.mean() * abs(right[held].mean() - confidence[held].mean())
    assert calibration_error(labels, shares) == pytest.approx(expected)
