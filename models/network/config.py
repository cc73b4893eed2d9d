"""Configuration of MS-iMamba: all sizes and options of the architecture.

The defaults are the network of the paper (arXiv 2409.07589), as far as it is public. Anything that
departs from it is a named option, marked "(ours)".
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

Normalisation: TypeAlias = Literal["zscore", "none", "scaled"]
Ranking: TypeAlias = Literal["amplitude", "whitened"]
Embedding: TypeAlias = Literal["linear", "spectral"]
Mixer: TypeAlias = Literal["mamba", "memory", "evidence", "none"]


@dataclass(frozen=True)
class MSiMambaConfig:
    """Architecture of a network; the defaults are ours, as the paper's values are not public.

    Parameters
    ----------
    n_channels, n_times
        C and L of a window.
    n_outputs
        Number of labels of all heads together.
    n_scales
        k, the number of strongest frequencies that give a patch size.
    kernels
        Odd sizes of the parallel square convolutions.
    hidden
        Channels between the two convolutions.
    d_model, d_ff, n_layers
        Width of a token, width of the feed-forward network, number of TSFB layers.
    d_state, d_conv, expand
        Sizes of the selective SSM, as in Mamba.
    dropout
        After each residual branch and before the head.
    normalisation
        ``zscore`` per window and channel, ``none``, or ``scaled`` (ours): µV divided by 10, so that
        windows are of order 1 and keep their loudness.
    ranking
        ``amplitude`` picks the k strongest A_f, like TimesNet; ``whitened`` picks the k strongest
        f A_f (ours). EEG falls with f, so plain picks are at or below 4 Hz in every third window.
    mstb
        True for a multi-scale temporal block; without it windows are embedded unchanged (ablation).
    embedding
        ``linear`` maps a channel's samples to its token, like the paper; ``spectral`` maps the
        logarithm of its power spectrum (ours). States of mind differ in power, which a linear map
        of samples cannot express.
    bins, bands
        With ``spectral``: first bin and end (exclusive) of the window's spectrum, and the number of
        bands of equal width to which the bins are averaged.
    mixer
        ``mamba`` is the paper's block. ``memory`` (ours) has no path around the recurrence, neither
        a residual nor D: the head sees only the state. ``evidence`` (ours) has it after the
        feed-forward network instead of before it, and it begins as exponential means of each
        electrode's tokens. ``none`` has no recurrence (ablation).
    dt
        Range of the initial step size delta, as in Mamba; a small one gives a long memory.
    blanking
        With ``spectral``: share of the bands that training sets to zero at random.
    time_constants
        With ``evidence``: time constants of the means at the start, hops. ``d_state`` is a slot for
        each channel and time constant, and ``d_conv`` and ``expand`` are 1.
    mstb_identity
        True if the multi-scale block begins as the identity: its last convolution is zero (ours).
    frequencies
        Frequencies, cycles per window in rising order, of which the k strongest are picked; ()
        for all, as in the paper. With k of them, all windows share their patch sizes (ours).
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
    time_constants: tuple[float, ...] = ()
    mstb_identity: bool = False
    frequencies: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.n_scales <= self.n_times // 2:
            raise ValueError(f"n_scales must be 1 to n_times // 2, not {self.n_scales}")
        self._check_frequencies()
        if not self.kernels or any(size < 1 or size % 2 == 0 for size in self.kernels):
            raise ValueError(f"kernels must be odd and positive, not {self.kernels}")
        first, stop = self.bins
        if self.embedding == "spectral" and not 1 <= first < stop <= self.n_times // 2 + 1:
            raise ValueError(f"bins must be within 1 to n_times // 2 + 1, not {self.bins}")
        if self.embedding == "spectral" and (self.bands < 1 or (stop - first) % self.bands):
            raise ValueError(f"bands must divide the {stop - first} bins, not {self.bands}")
        if not 0 < self.dt[0] <= self.dt[1] < math.inf:
            raise ValueError(f"dt must be two positive numbers in order, not {self.dt}")
        if self.mixer == "evidence":
            self._check_evidence()

    @property
    def candidates(self) -> tuple[int, ...]:
        """Frequencies that can be picked, in cycles per window and rising order."""
        return self.frequencies or tuple(range(1, self.n_times // 2 + 1))

    @property
    def periods(self) -> list[int]:
        """Patch sizes that can be picked, in rising order."""
        return sorted({math.ceil(self.n_times / f) for f in self.candidates})

    def _check_frequencies(self) -> None:
        f = self.frequencies
        if f and not (f[0] >= 1 and f[-1] <= self.n_times // 2 and list(f) == sorted(set(f))):
            raise ValueError(f"frequencies must rise within 1 to n_times // 2, not {f}")
        if f and len(f) < self.n_scales:
            raise ValueError(f"frequencies must be {self.n_scales} (n_scales) or more, not {f}")

    def _check_evidence(self) -> None:
        if not self.time_constants or not all(0 < t < math.inf for t in self.time_constants):
            raise ValueError(f"time_constants must be positive, not {self.time_constants}")
        sizes = (self.n_channels * len(self.time_constants), 1, 1)
        if (self.d_state, self.d_conv, self.expand) != sizes:
            raise ValueError(f"d_state, d_conv and expand must be {sizes} for the mixer evidence")


def plain_architecture(config: MSiMambaConfig) -> dict[str, object]:
    """Return all options by name, without ``frequencies`` if there are none.

    Releases that do not know them then read, and wrote, the same.
    """
    entries: dict[str, object] = asdict(config)
    if not config.frequencies:
        del entries["frequencies"]
    return entries


REFERENCE = MSiMambaConfig()
"""Configuration of all speed measurements, with windows at 128 Hz and a hop of 32 samples."""
