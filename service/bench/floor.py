"""The least that a step costs on this machine: its multiply-adds and its bytes.

Counted is what the function itself needs: taps that fall outside a map are left out, and so is what
is small beside the rest (norms, spectra, activations).
"""

from __future__ import annotations

import math
import time

import torch

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba

SIDE = 1024
"""Of the square matrices whose product tells a processor's rate."""
COPIED = 64 << 20
"""Bytes of the copy that tells the memory's."""


def multiply_adds(config: MSiMambaConfig, periods: list[int]) -> float:
    """Of one hop whose window has these patch sizes, those of maps that weigh nothing left out."""
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
    """Pairs of two places in a line of this size that are within half a kernel of each other."""
    return sum(max(0, size - abs(shift)) for shift in range(-(kernel // 2), kernel // 2 + 1))


def moved_bytes(network: MSiMamba, batch: int) -> float:
    """Of one hop in a batch: its state read and written, its window, and its share of weights."""
    c, states = network.config, network.initial_states(1)
    state = sum(t.numel() for t in states)
    weights = sum(p.numel() for p in network.parameters())
    return 4 * (2 * state + c.n_channels * c.n_times + c.n_outputs + weights / batch)


class Machine:
    """What a large product and a large copy take; the operands are made once."""

    def __init__(self) -> None:
        self._a, self._b, self._c = (torch.ones(SIDE, SIDE) for _ in range(3))
        self._from, self._to = (torch.ones(COPIED // 4) for _ in range(2))

    def multiply(self) -> float:
        """Seconds of a multiply-add."""
        start = time.perf_counter()
        torch.mm(self._a, self._b, out=self._c)
        return (time.perf_counter() - start) / SIDE**3

    def copy(self) -> float:
        """Seconds of a byte that is read or written."""
        start = time.perf_counter()
        self._to.copy_(self._from)
        return (time.perf_counter() - start) / (2 * COPIED)
