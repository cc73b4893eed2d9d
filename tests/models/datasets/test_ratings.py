"""Above the middle is high; what is on no scale is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.datasets.ratings import low_or_high

HERE = Path("here.mat")


def test_above_the_middle_is_high() -> None:
    ratings = np.array([[1.0, 5.0], [5.01, 9.0]])
    assert low_or_high(HERE, ratings, (1.0, 9.0)) == [(0, 0), (1, 1)]
    assert low_or_high(HERE, np.array([[3], [4]]), (1.0, 5.0)) == [(0,), (1,)]


def test_above_the_threshold_is_high() -> None:
    ratings = np.array([[4.5, 4.6]])
    assert low_or_high(HERE, ratings, (1.0, 9.0), 4.5) == [(0, 1)]


@pytest.mark.parametrize("threshold", [0.5, 9.0, np.nan])
def test_a_threshold_off_the_scale(threshold: float) -> None:
    with pytest.raises(DatasetError, match=rf"found {threshold:g}\. Correct --threshold"):
        low_or_high(HERE, np.array([[5.0]]), (1.0, 9.0), threshold)


@pytest.mark.parametrize("wrong", [0.5, 9.5, np.nan])
def test_a_rating_off_the_scale(wrong: float) -> None:
    with pytest.raises(DatasetError, match=rf"from 1 to 9 in here\.mat, but found {wrong:g}"):
        low_or_high(HERE, np.array([[1.0, wrong]]), (1.0, 9.0))
