"""The spectral embedding: band power, standardised; and the sinusoids that the linear one has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import periodogram

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.embedding import MIN_POWER, LinearEmbedding, SpectralEmbedding
from mimamba.models.network.msimamba import MSiMamba

CONFIG = MSiMambaConfig(
    n_times=128, embedding="spectral", bins=(4, 40), bands=12, d_model=8, blanking=0.0
)


def windows(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((n, 4, 128), generator=generator).cumsum(-1)


def test_log_power_is_that_of_scipy_up_to_a_factor() -> None:
    x = windows(3)
    found = SpectralEmbedding(CONFIG).log_power(x).numpy()
    _, power = periodogram(x.numpy(), 1.0, "hann", detrend=False)
    wanted = np.log(power[..., 4:40].reshape(3, 4, 12, 3).mean(-1) / 2 + MIN_POWER)
    assert found == pytest.approx(wanted, abs=1e-4)


def test_what_is_learnt_from_has_mean_0_and_deviation_1() -> None:
    embedding = SpectralEmbedding(CONFIG)
    x = windows(50)
    embedding.standardise(x)
    power = (embedding.log_power(x) - embedding.mean) / embedding.deviation
    assert power.mean(0).abs().max() < 1e-4
    assert power.std(0) == pytest.approx(torch.ones(4, 12).numpy(), abs=1e-4)


def test_twice_the_power_of_one_band_changes_that_band_alone() -> None:
    embedding = SpectralEmbedding(CONFIG)
    t = torch.arange(128) / 128
    noise = 0.05 * windows(1)
    wave = torch.cos(2 * torch.pi * 20 * t)  # bins 19 to 21 under a Hann window: band 5
    one, two = (embedding.log_power(noise + a * wave) for a in (10.0, 20.0))
    told = (two - one)[0, 0]
    assert told[5] == pytest.approx(np.log(4), abs=0.05)
    assert told[8:].abs().max() < 0.05


def test_a_flat_channel_is_a_number() -> None:
    embedding = SpectralEmbedding(CONFIG)
    embedding.standardise(windows(50))
    assert embedding(torch.zeros(1, 4, 128)).isfinite().all()


def test_training_blanks_bands_and_use_does_not() -> None:
    torch.manual_seed(0)
    embedding = SpectralEmbedding(replace(CONFIG, blanking=0.5))
    x = windows(1)
    assert (embedding(x) != embedding(x)).any()
    embedding.eval()
    assert (embedding(x) == embedding(x)).all()


def test_the_scale_is_saved_with_the_weights_and_is_of_what_is_embedded() -> None:
    torch.manual_seed(0)
    network = MSiMamba(CONFIG).eval()
    network.standardise(windows(50))
    again = MSiMamba(CONFIG).eval()
    again.load_state_dict(network.state_dict())
    x = windows(3, 1)
    assert (again(x) == network(x)).all()
    assert network.get_buffer("embedding.deviation").min() > 0
    assert (network.get_buffer("embedding.mean") != 0).any()


def test_rows_of_the_linear_one_are_waves_of_unit_norm() -> None:
    torch.manual_seed(0)
    weight = LinearEmbedding(replace(CONFIG, embedding="linear")).weight.detach()
    assert weight.norm(dim=1) == pytest.approx(torch.ones(8).numpy(), abs=1e-5)
    share = torch.fft.rfft(weight).abs().square()
    assert (share.topk(3).values.sum(1) / share.sum(1)).min() > 0.8
