"""The patch sizes of windows, as ``network.dominant_periods`` picks them, in NumPy.

Its calls cost a third of PyTorch's, the amplitudes of a complex spectrum a sixth. Letters as in
``network.py``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.architecture import MSiMambaConfig
from models.network import FLAT_UV

Doubles = NDArray[np.float64]
Integers = NDArray[np.intp]

TINY = np.finfo(np.float64).tiny


def zscore_(x: Tensor) -> Tensor:
    """As ``network.zscore``, in place; (B, C, L) float64."""
    values = x.numpy()
    n_times = values.shape[-1]
    values -= np.add.reduce(values, -1, keepdims=True) / n_times
    deviation = np.sqrt(np.vecdot(values, values) / n_times)
    values /= np.where(deviation < FLAT_UV, np.inf, deviation)[..., None]
    return x


class Periods:
    """Which patch sizes windows have, and how much each of them counts."""

    def __init__(self, config: MSiMambaConfig) -> None:
        f = np.arange(1, config.n_times // 2 + 1)
        self._f = f.astype(np.float64) if config.ranking == "whitened" else None
        self._n_scales = config.n_scales
        self.each: Integers = -(-config.n_times // f)
        """Of each frequency."""

    def pick(self, x: Tensor) -> tuple[Integers, Doubles]:
        """(B, C, L) float64 to periods and weights, (B, k) each."""
        amplitude = np.add.reduce(np.abs(torch.fft.rfft(x).numpy()), 1)[:, 1:] / x.shape[1]
        score = amplitude if self._f is None else amplitude * self._f
        largest = np.maximum(np.maximum.reduce(score, -1, keepdims=True), TINY)
        order = np.argsort(-np.rint(score / largest * 1e9), axis=-1, kind="stable")
        picks = order[:, : self._n_scales]
        chosen = amplitude[np.arange(len(picks))[:, None], picks]
        shares = np.exp(chosen - np.maximum.reduce(chosen, -1, keepdims=True))
        return self.each[picks], shares / np.add.reduce(shares, -1, keepdims=True)
