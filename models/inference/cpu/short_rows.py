"""The multi-scale temporal block for a few short patch sizes: a few matrix products for all scales.

A convolution with four channels in and a few out uses a core badly, and maps of many patch sizes
are many small operations. If a network always takes the same few short patch sizes, each of them a
divisor of the longest, then samples are taken in blocks as long as the longest. A block holds whole
rows of each map, so a 2-D convolution of any of them is a sum of matrix products: block v of the
result is the sum over d of block v + d of the samples times a matrix M_d, with the kernel in bands.
The matrices of all scales lie side by side, so that each of the two convolutions is one product for
each d, for all windows and scales together: six products with kernels of at most 3. In memory,
windows follow each other, with blocks of zeros between them.

Most numbers of these matrices are zero, and the longer the blocks are, the larger is their share.

Letters: B windows, C channels, L samples, V blocks of a window, T samples in a block, k scales, H
hidden channels.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mimamba.models.inference.cpu.mstb import make_waves, softmax
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MultiScaleTemporalBlock

MAX_WIDTH = 96
"""Largest number of values in a block for which this module is used.

A block has L_max C values before the first convolution and L_max H k after it, where L_max is the
longest patch size. Wider blocks multiply too many zeros.
"""


def has_short_rows(config: MSiMambaConfig) -> bool:
    """Return True if a network always takes the same few short patch sizes.

    They all divide the longest of them.
    """
    periods, longest = config.periods, config.periods[-1]
    widest = longest * max(config.n_channels, config.hidden * len(periods))
    divide = all(longest % period == 0 for period in periods)
    return config.n_scales == len(config.candidates) and widest <= MAX_WIDTH and divide


class CPUShortRowBlock:
    """The MSTB of a network with short rows, in memory allocated once, for one thread at a time.

    Parameters
    ----------
    block
        The block that it equals up to rounding.
    """

    def __init__(self, block: MultiScaleTemporalBlock) -> None:
        self._config = config = block.config
        periods, length = config.periods, config.periods[-1]
        self._n_blocks = math.ceil(config.n_times / length)
        (wide, wide_bias), (narrow, narrow_bias) = block.widen.merged(), block.narrow.merged()
        self._between = wide.shape[-1] // 2
        self._widen = torch.cat([banded(wide, p, length) for p in periods], -1)
        self._narrow = torch.cat([banded(narrow, p, length) for p in periods], -2)
        self._widen_bias = wide_bias.repeat(length * len(periods))
        self._narrow_bias = narrow_bias.repeat(length)
        # Each frequency's cosine and sine, and the hidden numbers that its weight belongs to.
        f = np.array(config.candidates)
        self._waves = torch.from_numpy(make_waves(config.n_times, f)).to(wide)
        own = np.equal.outer(-(-config.n_times // f), np.array(periods))
        self._spread = torch.from_numpy(own).to(wide).repeat_interleave(length * config.hidden, 1)
        # Places behind a map's last row are not part of it, which the second convolution must see.
        filled = [math.ceil(config.n_times / p) * p for p in periods]
        rests = [(self._n_blocks * length - f) * config.hidden for f in filled]
        ends = [(place + 1) * length * config.hidden for place in range(len(periods))]
        self._unfilled = [slice(e - rest, e) for e, rest in zip(ends, rests, strict=True) if rest]
        self._samples = self._hidden = wide.new_zeros(0)

    def apply(self, x: Tensor, unit: float = 1.0) -> Tensor:
        """Apply the block to windows (B, C, L), divided by a unit; the result has the same shape.

        It lies in memory that the next call overwrites.
        """
        c, n_blocks, between = self._config, self._n_blocks, self._between
        stride, size = n_blocks + between, c.n_times * c.n_channels
        end = len(x) * stride
        self._reserve(end + between)
        samples, hidden = (t[: end + between] for t in (self._samples, self._hidden))
        windows = samples[between:].view(len(x), -1)
        inside = windows[:, :size].view(len(x), c.n_times, c.n_channels)
        # In the order of the source: half of the time of the result's order, and of PyTorch.
        np.divide(x.numpy(), unit, out=inside.transpose(1, 2).numpy())
        windows[:, size:] = 0.0  # between windows
        _add_products(samples, self._widen, self._widen_bias, hidden[between:end], keep=False)
        torch.ops.aten.gelu_(hidden)  # unlike PyTorch's public function, without new memory
        maps = hidden[between:].view(len(x), stride, -1)
        maps.mul_(torch.mm(self._weights(x, unit), self._spread)[:, None])
        maps[:, n_blocks:] = 0.0
        for unfilled in self._unfilled:
            maps[:, n_blocks - 1, unfilled] = 0.0
        _add_products(hidden, self._narrow, self._narrow_bias, samples[between:end], keep=True)
        return inside.transpose(1, 2)

    def _weights(self, x: Tensor, unit: float) -> Tensor:
        """Return the weight of each frequency, (B, k).

        All are taken, so unlike picks they need no float64: they follow the samples smoothly.
        """
        parts = torch.mm(x.reshape(-1, x.shape[-1]).to(self._waves.dtype), self._waves).numpy()
        power = np.square(parts)
        power = power[:, : len(self._spread)] + power[:, len(self._spread) :]
        amplitude = np.sqrt(power, out=power).reshape(len(x), x.shape[1], -1).sum(1)
        amplitude /= x.shape[1] * unit
        return torch.from_numpy(softmax(amplitude))

    def _reserve(self, n_places: int) -> None:
        """Allocate memory for this many blocks; the first and the last ones stay zero."""
        if len(self._samples) < n_places:
            n_in, n_hidden = self._widen.shape[1:]
            self._samples = self._widen.new_zeros(n_places, n_in)
            self._hidden = self._widen.new_zeros(n_places, n_hidden)


def banded(kernel: Tensor, period: int, length: int) -> Tensor:
    """Return the matrices of a square 'same' convolution of maps, for blocks of samples.

    Parameters
    ----------
    kernel
        (out, in, K, K).
    period, length
        Samples in a row of the map, and in a block: whole rows.

    Returns
    -------
    (K, length in, length out): for each block from K // 2 before to K // 2 after, the matrix by
    which it is multiplied. In a block, channels run faster than samples.
    """
    n_out, n_in, size = kernel.shape[:3]
    half = size // 2
    matrices = kernel.new_zeros(size, length, n_in, length, n_out)
    for block, source, target in product(range(size), range(length), range(length)):
        row, column = divmod(source + (block - half) * length, period)
        down, right = row - target // period, column - target % period
        if abs(down) <= half and abs(right) <= half:
            matrices[block, source, :, target] = kernel[:, :, down + half, right + half].T
    return matrices.flatten(1, 2).flatten(2, 3)


def _add_products(x: Tensor, matrices: Tensor, bias: Tensor, out: Tensor, keep: bool) -> None:
    """Add the sum over d of rows d, d + 1, ... of x times matrix d, and the bias, to ``out``.

    Without ``keep`` they replace what is there.
    """
    if keep:
        out += bias
        out.addmm_(x[: len(out)], matrices[0])
    else:
        torch.addmm(bias, x[: len(out)], matrices[0], out=out)
    for shift, matrix in enumerate(matrices[1:], 1):
        out.addmm_(x[shift : shift + len(out)], matrix)
