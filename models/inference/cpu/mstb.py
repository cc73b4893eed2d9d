"""The MSTB in the form that a processor runs live: only where a window's maps are.

What of a kernel a map can meet is cut out of it once. Many maps of one patch size are convolved
together, few of them by products, each alone.

A map whose weight is below the rounding of what it is added to is left out (``LEAST``): of the
three of ``REFERENCE``, and of windows whose spectrum falls as EEG's does, every third.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, pad

from mimamba.models.inference.cpu.im2col import Im2Col
from mimamba.models.inference.cpu.kernels import mappings
from mimamba.models.inference.cpu.periods import Doubles, PatchSizes
from mimamba.models.network.msimamba import MultiScaleTemporalBlock

MANY = 6
"""Maps of one patch size from which they are convolved together."""
LEAST = 1 / 64
"""Weight that counts, in units of the rounding of 1."""


class CPUMultiScaleBlock:
    """Of one network, in whose weights' type it computes; for one thread at a time."""

    def __init__(self, block: MultiScaleTemporalBlock) -> None:
        self._periods, self._mappings = PatchSizes(block.config), mappings(block)
        self._unfoldings: dict[int, Im2Col] = {}  # of those that were met
        like = block.widen.merged()[0]
        self._dtype, self._least = like.numpy().dtype, LEAST * torch.finfo(like.dtype).eps

    def mix(self, x: Doubles) -> Tensor:
        """(B, C, L) to the same shape in the weights' type."""
        windows = x.swapaxes(1, 2).astype(self._dtype, order="C")  # (B, L, C)
        out = windows.copy()
        for period, picks in self._picks(x).items():
            if len(picks) < MANY:
                for row, share in picks:
                    self._unfolding(period).add(windows[row], share, out[row])
            else:
                self._add(period, picks, torch.from_numpy(windows), torch.from_numpy(out))
        return torch.from_numpy(out).transpose(1, 2)

    def _picks(self, x: Doubles) -> dict[int, list[tuple[int, float]]]:
        """Of each patch size the windows that have such a map, and the maps' weights."""
        picks = defaultdict[int, list[tuple[int, float]]](list)
        periods, weights = (each.tolist() for each in self._periods.pick(x))
        for row, (some, shares) in enumerate(zip(periods, weights, strict=True)):
            for period, share in zip(some, shares, strict=True):
                if not share < self._least:  # nor what is no number is left out
                    picks[period].append((row, share))
        return picks

    def _unfolding(self, period: int) -> Im2Col:
        if period not in self._unfoldings:
            self._unfoldings[period] = Im2Col(self._mappings[period])
        return self._unfoldings[period]

    def _add(self, period: int, picks: list[tuple[int, float]], x: Tensor, out: Tensor) -> None:
        rows, shares = zip(*picks, strict=True)
        index, weights = torch.tensor(rows), torch.tensor(shares, dtype=x.dtype)
        maps = self._map(x.index_select(0, index), period)
        out.index_add_(0, index, maps * weights[:, None, None])

    def _map(self, x: Tensor, period: int) -> Tensor:
        """(m, L, C) of one patch size, through its convolutions, to the same shape."""
        n_windows, n_times, n_channels = x.shape
        mapping, odd = self._mappings[period], period % 2
        x = pad(x, (0, 0, 0, mapping.tail)) if mapping.tail else x
        x = x.view(n_windows, -1, period, n_channels)
        x = pad(x, (0, 0, 0, 1)) if odd else x
        y = _last(conv2d(_first(x), *mapping.widen, padding=mapping.padding))
        if odd:
            y[:, :, -1] = 0.0
        y = gelu(y).view(*y.shape[:2], -1, 2 * y.shape[-1])
        y = conv2d(
            _first(y),
            *mapping.abreast,
            padding=(mapping.padding[0], mapping.abreast[0].shape[-1] // 2),
        )
        y = _last(y).reshape(*x.shape)
        y = (
            y[:, :, :-1].reshape(n_windows, -1, n_channels)
            if odd
            else y.view(n_windows, -1, n_channels)
        )
        return y[:, :n_times]


def _first(x: Tensor) -> Tensor:
    """Channels last to first, the same memory."""
    return x.permute(0, 3, 1, 2)


def _last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)
