"""The map of one patch size: its shape, and what of the kernels it can meet.

A map of one row has none above it, so a kernel's rows above and below the middle see only zeros
there: they are cut, as are columns. Letters as in ``network.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mimamba.models.network.msimamba import MultiScaleTemporalBlock


@dataclass(frozen=True, eq=False)
class PatchKernels:
    """What a window of L samples becomes with one patch size, and what that is convolved with.

    Parameters
    ----------
    n_times, n_rows, period
        L, and the map's rows and columns; ``tail`` of its places lie behind the window.
    padding
        Zeros above and beside the map.
    widen, narrow
        Kernels and biases, the kernels channels last.
    abreast
        As ``narrow``, of the equal convolution of two columns at once, side by side as channels.
    """

    n_times: int
    n_rows: int
    period: int
    padding: tuple[int, int]
    widen: tuple[Tensor, Tensor]
    narrow: tuple[Tensor, Tensor]
    abreast: tuple[Tensor, Tensor]

    @property
    def tail(self) -> int:
        """Places behind the window."""
        return self.n_rows * self.period - self.n_times


def mappings(block: MultiScaleTemporalBlock) -> dict[int, PatchKernels]:
    """Of each patch size that can be picked."""
    n_times = block.config.n_times
    merged = block.widen.merged(), block.narrow.merged()
    periods = {math.ceil(n_times / f) for f in range(1, n_times // 2 + 1)}
    return {period: _mapping(n_times, period, *merged) for period in sorted(periods)}


def _mapping(
    n_times: int, period: int, widen: tuple[Tensor, Tensor], narrow: tuple[Tensor, Tensor]
) -> PatchKernels:
    n_rows, half = math.ceil(n_times / period), widen[0].shape[-1] // 2
    up, aside = min(half, n_rows - 1), min(half, period - 1)
    met = (..., slice(half - up, half + up + 1), slice(half - aside, half + aside + 1))
    cut = (
        (kernel[met].contiguous(memory_format=torch.channels_last), bias)
        for kernel, bias in (widen, narrow)
    )
    widen, narrow = cut
    return PatchKernels(n_times, n_rows, period, (up, aside), widen, narrow, _abreast(*narrow))


def _abreast(kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """(C, hidden, rows, columns) to (2 C, 2 hidden, rows, pairs of columns), and (2 C,)."""
    n_out, n_in, rows, columns = kernel.shape
    pairs = math.ceil(columns // 2 / 2)
    wide = kernel.new_zeros(2, n_out, n_in, rows, 2 * (2 * pairs + 1))
    for place, one in enumerate(wide):
        first = 2 * pairs + place - columns // 2
        one[..., first : first + columns] = kernel
    wide = wide.view(2 * n_out, n_in, rows, -1, 2).permute(0, 4, 1, 2, 3).flatten(1, 2)
    return wide.contiguous(memory_format=torch.channels_last), bias.repeat(2)
