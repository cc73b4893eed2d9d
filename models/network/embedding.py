"""Embeddings: from a channel's window to its token.

Letters: B batch, C channels, L samples in a window, F bands, d d_model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mimamba.models.network.config import MSiMambaConfig

MIN_POWER = 1e-6
"""Power of an empty band, in µV², or without unit if windows are z-scored."""
MAX_DEVIATIONS = 5.0
"""Standard deviations to which a band's power is clipped."""


class LinearEmbedding(nn.Linear):
    """The paper's linear embedding: (..., L) to (..., d).

    Rows start as sinusoids of unit norm and random phase, up to L / 3 cycles (ours). EEG consists
    of rhythms whose phase says little, and training finds them slowly from white noise.
    """

    def __init__(self, config: MSiMambaConfig) -> None:
        super().__init__(config.n_times, config.d_model)
        with torch.no_grad():
            f = torch.empty(config.d_model, 1).uniform_(1.0, max(1.0, config.n_times / 3))
            phase = torch.empty(config.d_model, 1).uniform_(0.0, 2 * math.pi)
            times = torch.arange(config.n_times) / config.n_times
            rows = torch.cos(2 * math.pi * f * times + phase)
            self.weight.copy_(nn.functional.normalize(rows, dim=-1))

    def features(self, x: Tensor) -> Tensor:
        """Return what the embedding maps to tokens: the samples themselves."""
        return x

    def tokens(self, features: Tensor) -> Tensor:
        """Map features to tokens."""
        return self.forward(features)


class SpectralEmbedding(nn.Module):
    """Embedding by log band power (ours): (B, C, L) to (B, C, d).

    The power spectrum under a Hann window is averaged over bands of equal width. Its logarithm is
    standardised by channel and band with the mean and deviation of the training data.
    """

    window: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, config: MSiMambaConfig) -> None:
        super().__init__()
        self.first, self.stop = config.bins
        self.width = (self.stop - self.first) // config.bands
        window = torch.hann_window(config.n_times)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)
        shape = (config.n_channels, config.bands)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))
        self.blank = nn.Dropout(config.blanking)
        self.linear = nn.Linear(config.bands, config.d_model)

    def log_power(self, x: Tensor) -> Tensor:
        """Return the logarithm of each band's mean power: (..., L) to (..., F)."""
        # Squares, as absolute values of complex numbers take several times as long.
        bins = torch.fft.rfft(x * self.window)[..., self.first : self.stop]
        power = torch.view_as_real(bins).square().sum(-1)
        bands: Tensor = power.reshape(*power.shape[:-1], -1, self.width).mean(-1) + MIN_POWER
        return bands.log()

    def standardise(self, x: Tensor) -> None:
        """Set mean and deviation from training windows (B, C, L), as ``forward`` gets them."""
        power = self.log_power(x)
        self.mean.copy_(power.mean(0))
        self.deviation.copy_(power.std(0).clamp_min(MIN_POWER))

    def features(self, x: Tensor) -> Tensor:
        """Return what the embedding maps to tokens: standardised log power, (..., F)."""
        power: Tensor = (self.log_power(x) - self.mean) / self.deviation
        return power.clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS)

    def tokens(self, features: Tensor) -> Tensor:
        """Map features to tokens."""
        token: Tensor = self.linear(self.blank(features))
        return token

    def forward(self, x: Tensor) -> Tensor:
        return self.tokens(self.features(x))
