"""The architecture of MS-iMamba: every size and every choice, as values.

Defaults are the paper's network, as far as it is public; what departs from it is a named option,
marked "(ours)".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

Normalisation: TypeAlias = Literal["zscore", "none"]
Ranking: TypeAlias = Literal["amplitude", "whitened"]
Embedding: TypeAlias = Literal["linear", "spectral"]
Mixer: TypeAlias = Literal["mamba", "memory", "none"]


@dataclass(frozen=True)
class MSiMambaConfig:
    """The architecture; the defaults are ``REFERENCE`` (ours: the paper's values are not public).

    Parameters
    ----------
    n_channels, n_times
        C and L of a window.
    n_outputs
        Labels in total, over all heads.
    n_scales
        k, how many of the strongest frequencies give a patch size.
    kernels
        Odd sizes of the parallel square convolutions.
    hidden
        Channels between the two convolutions.
    d_model, d_ff, n_layers
        Width of a token, of the feed-forward network within, and the number of TSFB layers.
    d_state, d_conv, expand
        Of the selective SSM.
    dropout
        After each residual branch and before the head.
    normalisation
        ``zscore`` per window and channel, or ``none``.
    ranking
        ``amplitude`` picks the k strongest A_f, as TimesNet; ``whitened`` the k strongest f A_f
        (ours): EEG falls with f, and plain picks are at or below 4 Hz in every third window.
    mstb
        Whether there is a multi-scale block; without it windows are embedded as they are, for the
        ablation.
    embedding
        ``linear`` maps a channel's samples to its token, as the paper; ``spectral`` maps the
        logarithm of its power spectrum (ours): what tells states of mind apart is power, which a
        linear map of samples cannot tell.
    bins, bands
        With ``spectral``: the bins of the window's spectrum, the first and the one after the last,
        and how many bands of equal width they are averaged to.
    mixer
        ``mamba`` is the paper's block. ``memory`` (ours) has no way past the recurrence, neither a
        residual nor D: the head sees only what the state holds. ``none`` leaves the recurrence out,
        for the ablation.
    dt
        Smallest and largest step size delta at the start, as in Mamba; a small one remembers long.
    blanking
        With ``spectral``: the share of its bands that training blanks at random.
    """

    n_channels: int = 4
    n_times: int = 128
    n_outputs: int = 4
    n_scales: int = 3
    kernels: tuple[int, ...] = (1, 3, 5)
    hidden: int = 16
    d_model: int = 128
    d_ff: int = 256
    n_layers: int = 2
    d_state: int = 16
    d_conv: int = 4
    expand: int = 1
    dropout: float = 0.1
    normalisation: Normalisation = "zscore"
    ranking: Ranking = "amplitude"
    mstb: bool = True
    embedding: Embedding = "linear"
    bins: tuple[int, int] = (1, 40)
    bands: int = 39
    mixer: Mixer = "mamba"
    dt: tuple[float, float] = (1e-3, 1e-1)
    blanking: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.n_scales <= self.n_times // 2:
            raise ValueError(f"n_scales is 1 to n_times // 2, not {self.n_scales}")
        if not self.kernels or any(size < 1 or size % 2 == 0 for size in self.kernels):
            raise ValueError(f"kernels are odd and positive, not {self.kernels}")
        first, stop = self.bins
        if self.embedding == "spectral" and not 1 <= first < stop <= self.n_times // 2 + 1:
            raise ValueError(f"bins lie from 1 to n_times // 2 + 1, not {self.bins}")
        if self.embedding == "spectral" and (self.bands < 1 or (stop - first) % self.bands):
            raise ValueError(f"bands of equal width cannot be {self.bands} of {stop - first} bins")
        if not 0 < self.dt[0] <= self.dt[1] < math.inf:
            raise ValueError(f"dt is two positive numbers in order, not {self.dt}")


REFERENCE = MSiMambaConfig()
"""The configuration that speed figures are for, with windows at 128 Hz and a hop of 32 samples."""
