"""The least time that a step can take on this machine: its multiply-adds and its bytes.

Only necessary work is counted: kernel taps outside of a map are left out, and so is everything
that is small beside the rest (norms, spectra, activations). The bound is that of the roofline model
(Williams, Waterman and Patterson 2009, doi:10.1145/1498765.1498785).
"""

from __future__ import annotations

import math
import time

import torch

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba

MATRIX_SIZE = 1024
"""Rows and columns of the matrices whose product measures the CPU's rate."""
COPIED_BYTES = 64 << 20
"""Size of the copy that measures the memory's rate."""


def multiply_adds(config: MSiMambaConfig, periods: list[int]) -> float:
    """Count the multiply-adds of one hop whose maps have these periods, in samples.

    ``periods`` has the maps that are computed; maps of no weight are left out by the caller.
    """
    c, d_inner = config, config.expand * config.d_model
    rank = math.ceil(c.d_model / 16)
    size = max(c.kernels)
    taps = sum(_taps(math.ceil(c.n_times / p), size) * _taps(p, size) for p in periods)
    mstb = 2 * c.n_channels * c.hidden * taps if c.mstb else 0
    token = 3 * c.d_model * d_inner + d_inner * (rank + 2 * c.d_state) + rank * d_inner
    token += d_inner * (c.d_conv + 4 * c.d_state) + 2 * c.d_model * c.d_ff
    ends = c.n_channels * c.d_model * (c.n_times + c.n_outputs)
    return mstb + c.n_layers * c.n_channels * token + ends


def _taps(size: int, kernel: int) -> int:
    """Count the pairs of positions on a line that are at most half a kernel apart."""
    return sum(max(0, size - abs(shift)) for shift in range(-(kernel // 2), kernel // 2 + 1))


def moved_bytes(network: MSiMamba, batch: int) -> float:
    """Count the bytes of one hop: its state in and out, its window, its share of the weights."""
    c, states = network.config, network.initial_states(1)
    state = sum(t.numel() for t in states)
    weights = sum(p.numel() for p in network.parameters())
    return 4 * (2 * state + c.n_channels * c.n_times + c.n_outputs + weights / batch)


class MachineRates:
    """Measured rates of large products and of large copies."""

    def __init__(self) -> None:
        self._a, self._b, self._c = (torch.ones(MATRIX_SIZE, MATRIX_SIZE) for _ in range(3))
        self._from, self._to = (torch.ones(COPIED_BYTES // 4) for _ in range(2))

    def multiply(self) -> float:
        """Return the seconds of one multiply-add."""
        start = time.perf_counter()
        torch.mm(self._a, self._b, out=self._c)
        return (time.perf_counter() - start) / MATRIX_SIZE**3

    def copy(self) -> float:
        """Return the seconds of one byte read or written."""
        start = time.perf_counter()
        self._to.copy_(self._from)
        return (time.perf_counter() - start) / (2 * COPIED_BYTES)
