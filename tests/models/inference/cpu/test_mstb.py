"""Each patch size's maps, alone and together, are as the readable block has them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mimamba.models.inference.cpu.mstb import GROUPED_FROM, CPUMultiScaleBlock, PeriodPicker
from mimamba.models.network.config import MSiMambaConfig, Ranking
from mimamba.models.network.msimamba import MultiScaleTemporalBlock, dominant_periods
from tests.models.network.test_msimamba import SMALL, close, eeg, sinusoids


def block(config: MSiMambaConfig, dtype: torch.dtype = torch.float64) -> MultiScaleTemporalBlock:
    torch.manual_seed(1)
    return MultiScaleTemporalBlock(config).eval().requires_grad_(False).to(dtype)


def tones(n_times: int, f: int, n_windows: int, n_channels: int) -> Tensor:
    """(n_windows, C, L) float64 of one frequency, a phase each."""
    times = 2 * math.pi * f * torch.arange(n_times) / n_times
    phases = torch.arange(1.0, 1 + n_windows * n_channels).view(n_windows, n_channels, 1)
    return torch.sin(times.double() + phases.double())


@pytest.mark.parametrize("kernels", [(1,), (3,), (1, 3, 5), (7, 1)])
@pytest.mark.parametrize("n_channels", [1, 4, 9])
@pytest.mark.parametrize("n_times", [64, 125])
def test_each_patch_size(kernels: tuple[int, ...], n_channels: int, n_times: int) -> None:
    """One window alone, and as many as are convolved together, for each frequency."""
    one = replace(SMALL, n_scales=1, hidden=3, kernels=kernels)
    readable = block(replace(one, n_times=n_times, n_channels=n_channels))
    maps = CPUMultiScaleBlock(readable)
    for f in range(1, n_times // 2 + 1):
        x = tones(n_times, f, GROUPED_FROM, n_channels)
        expected = readable(x)
        close(maps.apply(x), expected)
        close(maps.apply(x[:1]), expected[:1])


@pytest.mark.parametrize("n_windows", [1, GROUPED_FROM])
def test_two_frequencies_of_one_patch_size(n_windows: int) -> None:
    """Of 128 samples, 44 and 50 cycles are both in patches of 3: both count, for each window."""
    readable = block(replace(SMALL, n_times=128, n_scales=3))
    x = tones(128, 44, n_windows, 4) + tones(128, 50, n_windows, 4) + tones(128, 3, n_windows, 4)
    close(CPUMultiScaleBlock(readable).apply(x), readable(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_left_out_is_below_the_rounding(dtype: torch.dtype) -> None:
    """From equal weights to those that are nothing."""
    readable = block(replace(SMALL, n_times=128, n_scales=2), dtype)
    maps = CPUMultiScaleBlock(readable)
    for louder in torch.linspace(0.0, 1.5, 16).tolist():
        x = tones(128, 4, 1, 4) + (1.0 + louder) * tones(128, 9, 1, 4)
        close(maps.apply(x), readable(x))


def test_nan_stays_nan() -> None:
    readable = block(replace(SMALL, n_times=128))
    x = tones(128, 4, 2, 4)
    x[1, 0, 0] = math.nan
    mixed = CPUMultiScaleBlock(readable).apply(x)
    close(mixed[:1], readable(x[:1]))
    assert mixed[1].isnan().all()


def check_picks(x: Tensor, n_scales: int, ranking: Ranking) -> None:
    config = replace(SMALL, n_times=x.shape[-1], n_scales=n_scales, ranking=ranking)
    periods, weights = PeriodPicker(config).pick(x.numpy())
    wanted, expected = dominant_periods(x, torch.tensor(config.candidates), n_scales, ranking)
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
def test_picks_equal_the_reference(
    n_times: int, batch: int, n_scales: int, ranking: Ranking, seed: int
) -> None:
    check_picks(eeg(batch, 3, n_times, seed=seed), min(n_scales, n_times // 2), ranking)


@pytest.mark.parametrize("ranking", ["amplitude", "whitened"])
def test_of_equal_scores_the_lower_frequency_is_first(ranking: Ranking) -> None:
    """Zeros, an impulse in each place, and two tones of one amplitude."""
    tones = sinusoids(64)
    check_picks(torch.cat([torch.zeros(1, 1, 64), torch.eye(64)[:, None]]).double(), 3, ranking)
    check_picks(tones + tones.roll(5, 0), 3, ranking)
