"""Picks in NumPy are the readable network's, ties included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mimamba.models.inference.cpu.periods import PatchSizes, zscore
from mimamba.models.network.config import Ranking
from mimamba.models.network.msimamba import dominant_periods
from mimamba.models.network.msimamba import zscore as readable_zscore
from tests.models.network.test_msimamba import SMALL, close, eeg, sinusoids


def check(x: Tensor, n_scales: int, ranking: Ranking) -> None:
    config = replace(SMALL, n_times=x.shape[-1], n_scales=n_scales, ranking=ranking)
    periods, weights = PatchSizes(config).pick(x.numpy())
    wanted, expected = dominant_periods(x, n_scales, ranking)
    np.testing.assert_array_equal(periods, wanted.numpy())
    close(torch.from_numpy(weights), expected)


@given(
    n_times=st.sampled_from([4, 31, 64, 125, 128]),
    batch=st.integers(1, 9),
    n_scales=st.integers(1, 4),
    ranking=st.sampled_from(["amplitude", "whitened"]),
    seed=st.integers(0, 999),
)
@settings(max_examples=50)
def test_they_equal_the_reference(
    n_times: int, batch: int, n_scales: int, ranking: Ranking, seed: int
) -> None:
    check(eeg(batch, 3, n_times, seed=seed), min(n_scales, n_times // 2), ranking)


@pytest.mark.parametrize("ranking", ["amplitude", "whitened"])
def test_of_equal_scores_the_lower_frequency_is_first(ranking: Ranking) -> None:
    """Zeros, an impulse in each place, and two tones of one amplitude."""
    tones = sinusoids(64)
    check(torch.cat([torch.zeros(1, 1, 64), torch.eye(64)[:, None]]).double(), 3, ranking)
    check(tones + tones.roll(5, 0), 3, ranking)


def test_zscores() -> None:
    """One channel constant, one flat but for noise, one no number."""
    x = eeg(3, 4, 128)
    x[0, 1] = -250.0
    x[1, 2] *= 1e-6
    x[2, 3, 7] = torch.nan
    scored = x.clone()
    zscore(scored.numpy())
    torch.testing.assert_close(scored, readable_zscore(x), equal_nan=True)
    assert (scored[0, 1] == 0).all()
