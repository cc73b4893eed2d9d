"""The map of one window, convolved by products: what each place sees is laid out beside it.

One of oneDNN's convolutions takes 50 to 190 µs for one window, all of a map takes 45 to 70 here;
but for 64 windows it is two to five times what a convolution takes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from mimamba.models.inference.cpu.gelu import twice_gelu
from mimamba.models.inference.cpu.kernels import PatchKernels

Array = NDArray[np.floating]

COLUMNS = 12
"""Of a product; fewer take half as long again."""


class Im2Col:
    """Of one patch size. Memory is kept, zeros around a map included; views are made once."""

    def __init__(self, mapping: PatchKernels) -> None:
        shape = (mapping.n_rows, mapping.period)
        (wide, self._wide_bias), (narrow, bias) = mapping.widen, mapping.narrow
        hidden, n_channels, rows, columns = wide.shape
        self._window = Patches(mapping.padding, (*shape, n_channels), wide)
        self._places = _lines(self._window.inside, mapping.n_times)
        self._wide_weight = wide.permute(2, 3, 1, 0).reshape(-1, hidden).contiguous()
        self._hidden, self._spare = wide.new_empty(2, self._window.n_places, hidden)
        # A kernel's rows become columns of the product, which are moved to their places by a sum.
        self._middle = Patches((0, columns // 2), (*shape, hidden), wide)
        weight = 0.5 * narrow.permute(3, 1, 2, 0).reshape(columns * hidden, rows * n_channels)
        offset = bias.new_zeros(rows, n_channels)
        offset[rows // 2] = bias
        spare = (0, max(0, COLUMNS - rows * n_channels))
        self._narrow_weight, self._narrow_bias = pad(weight, spare), pad(offset.flatten(), spare)
        self._terms, self._moved = _moved(shape, rows, n_channels, self._narrow_bias)
        self._sum = np.empty((*shape, n_channels), self._moved.dtype)
        self._out = self._sum.reshape(-1, n_channels)[: mapping.n_times]

    def add(self, window: Array, weight: float, out: Array) -> None:
        """Its map, times a weight, to ``out``; (L, C) both."""
        for place, part in self._places:
            place[:] = window[part].reshape(place.shape)
        torch.addmm(self._wide_bias, self._window.seen(), self._wide_weight, out=self._hidden)
        twice_gelu(self._hidden, self._spare, self._middle.inside)
        torch.addmm(self._narrow_bias, self._middle.seen(), self._narrow_weight, out=self._terms)
        np.add.reduce(self._moved, 2, out=self._sum)
        np.multiply(self._sum, weight, out=self._sum)
        np.add(out, self._out, out=out)


class Patches:
    """What a kernel sees from each place of a map (rows, columns, channels), zeros around it."""

    def __init__(self, padding: tuple[int, int], shape: tuple[int, int, int], like: Tensor) -> None:
        (up, aside), (n_rows, period, n_channels) = padding, shape
        padded = np.zeros((n_rows + 2 * up, period + 2 * aside, n_channels), like.numpy().dtype)
        self.inside = padded[up : up + n_rows, aside : aside + period]
        self.n_places = n_rows * period
        row, column, one = padded.strides
        wide = (2 * aside + 1) * n_channels
        self._view = as_strided(padded, (n_rows, period, 2 * up + 1, wide), (row, column, row, one))
        self._seen = like.new_empty(self.n_places, (2 * up + 1) * wide)
        self._array = self._seen.numpy().reshape(self._view.shape)

    def seen(self) -> Tensor:
        """(places, kernel's rows x its columns x channels)."""
        np.copyto(self._array, self._view)
        return self._seen


def _lines(inside: Array, n_times: int) -> list[tuple[Array, slice]]:
    """The map's full rows and the one that is not, and the samples that go there."""
    full, rest = divmod(n_times, inside.shape[1])
    lines = [(inside[:full], slice(0, n_times - rest))]
    return lines + ([(inside[full, :rest], slice(n_times - rest, n_times))] if rest else [])


def _moved(
    shape: tuple[int, int], rows: int, n_channels: int, like: Tensor
) -> tuple[Tensor, Array]:
    """Where each place's terms go, and a view of them as those that meet at a place.

    Terms (places, columns of the product); the view (map's rows, its columns, kernel's rows, C).
    """
    (n_rows, period), up = shape, rows // 2
    padded = like.new_zeros(n_rows + 2 * up, period, len(like))
    row, column, one = padded.numpy().strides
    moved = as_strided(
        padded.numpy(), (*shape, rows, n_channels), (row, column, row + n_channels * one, one)
    )
    return padded[up : up + n_rows].flatten(0, 1), moved
