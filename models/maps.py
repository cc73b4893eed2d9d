"""The MSTB in the form that a processor runs live: only where a window's maps are.

What of a kernel a map can meet is cut out of it once. Few windows go through products, each of its
maps alone; of more, those that share a patch size are convolved together.

A map whose weight is below the rounding of what it is added to is left out (``LEAST``): of the
three of ``REFERENCE``, and of windows whose spectrum falls as EEG's does, every third.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, pad

from models.mapping import mappings
from models.network import MultiScaleTemporalBlock
from models.periods import Doubles, Integers, Periods
from models.unfolding import Array, Unfolding

FEW = 8
"""Windows up to which each map is convolved alone."""
LEAST = 1 / 64
"""Weight that counts, in units of the rounding of 1."""


class Maps:
    """Of one network, in whose weights' type it computes; for one thread at a time."""

    def __init__(self, block: MultiScaleTemporalBlock) -> None:
        self._periods, self._mappings = Periods(block.config), mappings(block)
        self._unfoldings: dict[int, Unfolding] = {}  # of those that were met
        like = block.widen.merged()[0]
        self._type, self._dtype = like.dtype, like.numpy().dtype
        self._least = LEAST * torch.finfo(self._type).eps

    def mix(self, x: Doubles) -> Tensor:
        """(B, C, L) to the same shape in the weights' type."""
        periods, weights = self._periods.pick(x)
        out = x.swapaxes(1, 2).astype(self._dtype, order="C")  # (B, L, C)
        (self._alone if len(x) <= FEW else self._together)(out, periods, weights)
        return torch.from_numpy(out).transpose(1, 2)

    def _alone(self, x: Array, periods: Integers, weights: Doubles) -> None:
        maps = zip(x.copy(), x, periods.tolist(), weights.tolist(), strict=True)
        for window, out, some, shares in maps:
            for period, share in zip(some, shares, strict=True):
                if not share < self._least:  # nor what is no number is left out
                    self._unfolding(period).add(window, share, out)

    def _unfolding(self, period: int) -> Unfolding:
        if period not in self._unfoldings:
            self._unfoldings[period] = Unfolding(self._mappings[period])
        return self._unfoldings[period]

    def _together(self, x: Array, periods: Integers, weights: Doubles) -> None:
        order = np.argsort(periods, axis=None, kind="stable")
        order = order[~(weights.flat[order] < self._least)]
        counts = [(each, len(list(same))) for each, same in groupby(periods.flat[order].tolist())]
        rows = torch.from_numpy(order // weights.shape[1])
        out, shares = torch.from_numpy(x), torch.from_numpy(weights.flat[order]).to(self._type)
        parts = torch.split(out.index_select(0, rows), [count for _, count in counts])
        maps = [self._map(part, period) for part, (period, _) in zip(parts, counts, strict=True)]
        out.index_add_(0, rows, torch.cat(maps).mul_(shares[:, None, None]))

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
