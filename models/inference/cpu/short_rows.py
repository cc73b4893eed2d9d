"""The multi-scale temporal block for a few short patch sizes: a few matrix products for all scales.

A convolution with four channels in and a few out uses a core badly, and maps of many patch sizes
are many small operations. If a network always takes the same few short patch sizes, each of them a
divisor of the longest, then samples are taken in blocks as long as the longest. A block holds whole
rows of each map, so a 2-D convolution of any of them is a sum of matrix products: block v of the
result is the sum over d of block v + d of the samples times a matrix M_d, with the kernel in bands.
The matrices of all scales lie side by side, and those of all d below each other, so that each of
the two convolutions is one product, for all scales and ``PART`` blocks of all windows. In memory,
windows follow each other, with blocks of zeros between them.

Most numbers of these matrices are zero, and the longer the blocks are, the larger is their share.

Letters: B windows, C channels, L samples, V blocks of a window, T samples in a block, k scales, H
hidden channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import Tensor

from mimamba.models.inference.cpu.mstb import Array, make_waves, softmax
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MultiScaleTemporalBlock

_gelu = torch.ops.aten.gelu_.default
PART = 512
"""Blocks that are copied and multiplied at once: more of them leave the cache."""
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
        # The matrices of a block and its neighbours, one below the other.
        self._widen = torch.cat([banded(wide, p, length) for p in periods], -1).flatten(0, 1)
        self._narrow = torch.cat([banded(narrow, p, length) for p in periods], -2).flatten(0, 1)
        self._widen_bias = wide_bias.repeat(length * len(periods))
        self._narrow_bias = narrow_bias.repeat(length).numpy()
        # Each frequency's cosine and sine, and the hidden numbers that its weight belongs to.
        f = np.array(config.candidates)
        self._waves = make_waves(config.n_times, f).astype(wide.numpy().dtype)
        own = np.equal.outer(-(-config.n_times // f), np.array(periods))
        self._spread = np.repeat(own.astype(self._waves.dtype), length * config.hidden, 1)
        # Places behind a map's last row are not part of it, which the second convolution must see.
        filled = [math.ceil(config.n_times / p) * p for p in periods]
        rests = [(self._n_blocks * length - f) * config.hidden for f in filled]
        ends = [(place + 1) * length * config.hidden for place in range(len(periods))]
        self._unfilled = [slice(e - rest, e) for e, rest in zip(ends, rests, strict=True) if rest]
        self._samples = self._hidden = wide.new_zeros(0)
        self._around = [wide.new_zeros(0)] * 2
        self._views: dict[int, _Views] = {}

    def apply(self, x: Tensor, unit: float = 1.0) -> Tensor:
        """Apply the block to windows (B, C, L), divided by a unit; the result has the same shape.

        It lies in memory that the next call overwrites.
        """
        given = x.numpy()
        views = self._views.get(len(given)) or self._make_views(len(given))
        # In the order of the source: half of the time of the result's order, and of PyTorch.
        np.divide(given, unit, out=views.inside)
        views.behind[:] = 0.0
        for part, around in zip(views.hidden.parts, views.samples.gather(), strict=True):
            torch.addmm(self._widen_bias, around, self._widen, out=part)
        _gelu(views.hidden.own)  # unlike PyTorch's public function, without new memory
        weights = np.matmul(self._weights(given, unit), self._spread)
        np.multiply(views.maps, weights[:, np.newaxis], out=views.maps)
        for unfilled in views.unfilled:
            unfilled[:] = 0.0
        np.add(views.samples.array, self._narrow_bias, out=views.samples.array)
        for part, around in zip(views.samples.parts, views.hidden.gather(), strict=True):
            part.addmm_(around, self._narrow)
        return views.result

    def _weights(self, x: Array, unit: float) -> Array:
        """Return the weight of each frequency, (B, k).

        All are taken, so unlike picks they need no float64: they follow the samples smoothly.
        """
        flat = x.reshape(-1, x.shape[-1]).astype(self._waves.dtype, copy=False)
        power = np.square(np.matmul(flat, self._waves))
        power = power[:, : len(self._spread)] + power[:, len(self._spread) :]
        amplitude = np.add.reduce(np.sqrt(power, out=power).reshape(*x.shape[:2], -1), 1)
        amplitude /= x.shape[1] * unit
        return softmax(amplitude)

    def _make_views(self, batch: int) -> _Views:
        """Make the views of a batch; the first and the last blocks of the memory stay zero."""
        c, n_blocks, between = self._config, self._n_blocks, self._between
        stride, size = n_blocks + between, c.n_times * c.n_channels
        end = batch * stride
        if len(self._samples) < end + between:
            self._views.clear()
            widths = (each.shape[0] // (2 * between + 1) for each in (self._widen, self._narrow))
            self._samples, self._hidden = (self._widen.new_zeros(end + between, n) for n in widths)
            blocks = min(PART, end - between)  # one memory for all batch sizes
            self._around = [m.new_empty(blocks, m.shape[0]) for m in (self._widen, self._narrow)]
        samples, hidden = (each[: end + between] for each in (self._samples, self._hidden))
        windows = samples[between:].view(batch, -1)
        inside = windows[:, :size].view(batch, c.n_times, c.n_channels).transpose(1, 2)
        maps = hidden[between:].view(batch, stride, -1).numpy()
        made = self._views[batch] = _Views(
            inside.numpy(),
            windows[:, size:].numpy(),
            maps,
            [maps[:, n_blocks:], *(maps[:, n_blocks - 1, places] for places in self._unfilled)],
            _Blocks(samples, between, self._around[0]),
            _Blocks(hidden, between, self._around[1]),
            inside,
        )
        return made


@dataclass(frozen=True, eq=False)
class _Views:
    """Views of the memory for one batch size; a view costs as much as a small sum.

    Parameters
    ----------
    inside, behind
        The samples (B, C, L), and what lies between windows.
    maps, unfilled
        The maps (B, V + blocks between, T H k), and their places that are zero.
    samples, hidden
        The blocks before and after the first convolution.
    result
        The samples as a tensor.
    """

    inside: Array
    behind: Array
    maps: Array
    unfilled: list[Array]
    samples: _Blocks
    hidden: _Blocks
    result: Tensor


class _Blocks:
    """Blocks with ``between`` others before and after them, which a convolution looks at.

    One product of each block with its neighbours costs less than the sum of one for each.

    Parameters
    ----------
    blocks
        The blocks, (n_places, width), the outermost ``between`` at both ends included.
    gathered
        Memory for the blocks of a part with their neighbours; others may use it between two parts.

    Attributes
    ----------
    own, array, parts
        The blocks themselves, (n_blocks, width), and parts of them.
    """

    def __init__(self, blocks: Tensor, between: int, gathered: Tensor) -> None:
        (n_places, width), strides = blocks.shape, blocks.numpy().strides
        self.own = blocks[between : n_places - between]
        self.array: Array = self.own.numpy()
        self.parts = list(torch.split(self.own, PART))
        wide = (2 * between + 1) * width
        seen = as_strided(blocks.numpy(), (len(self.own), wide), strides)
        self._pieces: list[tuple[Array, Array, Tensor]] = []
        for start, part in zip(range(0, len(self.own), PART), self.parts, strict=True):
            around = gathered[: len(part)]
            self._pieces.append((around.numpy(), seen[start : start + len(part)], around))

    def gather(self) -> Iterator[Tensor]:
        """Copy the blocks of each part with their neighbours, (n_blocks, width of all)."""
        for array, seen, around in self._pieces:
            np.copyto(array, seen)
            yield around


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
