"""The patch sizes of windows, as ``network.dominant_periods`` picks them, in NumPy.

Its calls cost a third of PyTorch's, the amplitudes of a complex spectrum a sixth. Letters as in
``network.py``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import FLAT_UV

Doubles = NDArray[np.float64]
Integers = NDArray[np.intp]

TINY = np.finfo(np.float64).tiny


def zscore(x: Doubles) -> None:
    """As ``network.zscore``, in place; (B, C, L)."""
    n_times = x.shape[-1]
    x -= np.add.reduce(x, -1, keepdims=True) / n_times
    deviation = np.sqrt(np.vecdot(x, x) / n_times)
    deviation[deviation < FLAT_UV] = np.inf
    x /= deviation[..., None]


class PatchSizes:
    """Which patch sizes windows have, and how much each of them counts."""

    def __init__(self, config: MSiMambaConfig) -> None:
        f = np.arange(1, config.n_times // 2 + 1)
        self._f = f.astype(np.float64) if config.ranking == "whitened" else None
        self._n_scales, self._order = config.n_scales, f - 1.0
        self.each: Integers = -(-config.n_times // f)
        """Of each frequency."""

    def pick(self, x: Doubles) -> tuple[Integers, Doubles]:
        """(B, C, L) to periods and weights, (B, k) each."""
        spectrum = torch.fft.rfft(torch.from_numpy(x)).numpy()
        amplitude = np.add.reduce(np.abs(spectrum), 1)[:, 1:] / x.shape[1]
        score = amplitude if self._f is None else amplitude * self._f
        largest = np.maximum(np.maximum.reduce(score, -1, keepdims=True), TINY)
        rank = np.rint(score / largest * 1e9) * len(self._order)
        picks = np.argsort(self._order - rank)[:, : self._n_scales]  # of equals the lower frequency
        chosen = amplitude[np.arange(len(picks))[:, None], picks]
        shares = np.exp(chosen - np.maximum.reduce(chosen, -1, keepdims=True))
        return self.each[picks], shares / np.add.reduce(shares, -1, keepdims=True)
