"""The multi-scale temporal block (MSTB) for the CPU: convolutions only at the picked patch sizes.

For each patch size the kernels are cut once to the part that its 2-D map can meet: in a map of one
row, a kernel's other rows would see only zeros. Then there are two ways to convolve, each for the
case in which it is faster. Many maps of one patch size go through PyTorch's convolution together,
two columns at once. Few maps, as from one stream, go through matrix products one by one (im2col):
one convolution takes 50 to 190 µs for one window, im2col 45 to 70 for the whole map, but for 64
windows it takes two to five times as long as a convolution.

A map whose weight is below the rounding of the sum is left out (``MIN_WEIGHT``): with the three
scales of ``REFERENCE``, and windows whose spectrum falls like that of EEG, every third.

Nothing is carried from hop to hop. A map begins at its window's first sample, so windows that
overlap have a part of a map in common only where the hop is a multiple of the patch size: with a
hop of 128 samples, of 128, 64, 32 and so on, which are few of the picks. And a baseline filters
each window as a whole.

Letters as in ``msimamba.py``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, gelu, pad

from mimamba.models.inference.cpu.gelu import double_gelu
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MultiScaleTemporalBlock

Array = NDArray[np.floating]
Doubles = NDArray[np.float64]
Integers = NDArray[np.intp]

GROUPED_FROM = 6
"""Maps of one patch size from which they are convolved together."""
MIN_WEIGHT = 1 / 64
"""Smallest weight of a map that counts, in units of the rounding of 1."""
FEW_FREQUENCIES = 16
"""Frequencies up to which a product with their waves replaces the Fourier transform."""
MIN_COLUMNS = 12
"""Columns to which a product is padded; with fewer it takes 50 % longer."""
TINY = np.finfo(np.float64).tiny


class CPUMultiScaleBlock:
    """The MSTB of one network, in the type of its weights; used by one thread at a time."""

    def __init__(self, block: MultiScaleTemporalBlock) -> None:
        self._periods, self._kernels = PeriodPicker(block.config), make_patch_kernels(block)
        self._im2cols: dict[int, Im2Col] = {}  # made at first use
        like = block.widen.merged()[0]
        self._dtype, self._least = like.numpy().dtype, MIN_WEIGHT * torch.finfo(like.dtype).eps

    def apply(self, given: Tensor, unit: float = 1.0) -> Tensor:
        """Apply the block to windows (B, C, L), divided by a unit; of the same shape."""
        x: Doubles = np.divide(given.numpy(), unit, dtype=np.float64)  # for the choice of periods
        windows = x.swapaxes(1, 2).astype(self._dtype, order="C")  # (B, L, C)
        out = windows.copy()
        for period, picks in self._picks(x).items():
            if len(picks) < GROUPED_FROM:
                for row, share in picks:
                    self._im2col(period).add(windows[row], share, out[row])
            else:
                self._add(period, picks, torch.from_numpy(windows), torch.from_numpy(out))
        return torch.from_numpy(out).transpose(1, 2)

    def _picks(self, x: Doubles) -> dict[int, list[tuple[int, float]]]:
        """Return for each patch size the windows with such a map, and the weights of the maps."""
        picks = defaultdict[int, list[tuple[int, float]]](list)
        periods, weights = (each.tolist() for each in self._periods.pick(x))
        for row, (some, shares) in enumerate(zip(periods, weights, strict=True)):
            for period, share in zip(some, shares, strict=True):
                if not share < self._least:  # so written that NaN is not left out
                    picks[period].append((row, share))
        return picks

    def _im2col(self, period: int) -> Im2Col:
        if period not in self._im2cols:
            self._im2cols[period] = Im2Col(self._kernels[period])
        return self._im2cols[period]

    def _add(self, period: int, picks: list[tuple[int, float]], x: Tensor, out: Tensor) -> None:
        rows, shares = zip(*picks, strict=True)
        index, weights = torch.tensor(rows), torch.tensor(shares, dtype=x.dtype)
        maps = self._map(x.index_select(0, index), period)
        out.index_add_(0, index, maps * weights[:, None, None])

    def _map(self, x: Tensor, period: int) -> Tensor:
        """Convolve windows (m, L, C) in maps of one patch size; the result has the same shape."""
        n_windows, n_times, n_channels = x.shape
        kernels, odd = self._kernels[period], period % 2
        x = pad(x, (0, 0, 0, kernels.tail)) if kernels.tail else x
        x = x.view(n_windows, -1, period, n_channels)
        x = pad(x, (0, 0, 0, 1)) if odd else x
        y = _channels_last(conv2d(_channels_first(x), *kernels.widen, padding=kernels.padding))
        if odd:
            y[:, :, -1] = 0.0
        y = gelu(y).view(*y.shape[:2], -1, 2 * y.shape[-1])
        y = conv2d(
            _channels_first(y),
            *kernels.paired,
            padding=(kernels.padding[0], kernels.paired[0].shape[-1] // 2),
        )
        y = _channels_last(y).reshape(*x.shape)
        y = (
            y[:, :, :-1].reshape(n_windows, -1, n_channels)
            if odd
            else y.view(n_windows, -1, n_channels)
        )
        return y[:, :n_times]


class PeriodPicker:
    """Picks patch sizes and weights of windows, like ``msimamba.dominant_periods``, in NumPy.

    NumPy's calls cost a third of PyTorch's, the amplitudes of a complex spectrum a sixth. The
    largest of few scores are found faster than all are sorted. Few frequencies are a product with
    their waves.
    """

    def __init__(self, config: MSiMambaConfig) -> None:
        f = np.array(config.candidates)
        self._f = f.astype(np.float64) if config.ranking == "whitened" else None
        self._n_scales = config.n_scales
        self._bins = f if config.frequencies else slice(1, None)
        self._waves = make_waves(config.n_times, f) if len(f) <= FEW_FREQUENCIES else None
        self.each: Integers = -(-config.n_times // f)
        """Patch size of each frequency."""

    def pick(self, x: Doubles) -> tuple[Integers, Doubles]:
        """Return periods and weights, (B, k) each, of windows (B, C, L)."""
        amplitude = self.amplitude(x)
        score = amplitude if self._f is None else amplitude * self._f
        largest = np.maximum(np.maximum.reduce(score, -1, keepdims=True), TINY)
        rank, rows = np.rint(score / largest * 1e9), np.arange(len(score))
        picks = np.empty((len(score), self._n_scales), np.intp)
        for place in range(self._n_scales):
            picks[:, place] = found = rank.argmax(-1)  # of equal scores, the lower frequency
            rank[rows, found] = -1.0
        chosen = amplitude[rows[:, None], picks]
        return self.each[picks], softmax(chosen)

    def amplitude(self, x: Doubles) -> Doubles:
        """Return the amplitude of windows (B, C, L) at each frequency, (B, F)."""
        if self._waves is None:
            spectrum = torch.fft.rfft(torch.from_numpy(x)).numpy()[..., self._bins]
            real, imaginary = spectrum.real, spectrum.imag
        else:
            parts = (x.reshape(-1, x.shape[-1]) @ self._waves).reshape(*x.shape[:2], 2, -1)
            real, imaginary = parts[:, :, 0], parts[:, :, 1]
        power: Doubles = np.square(real)
        power += np.square(imaginary)
        amplitude: Doubles = np.add.reduce(np.sqrt(power, out=power), 1) / x.shape[1]
        return amplitude


def make_waves(n_times: int, frequencies: Integers) -> Doubles:
    """Return the cosine of each frequency, cycles per window, and then the sines: (L, 2 F)."""
    phases = 2 * np.pi / n_times * np.outer(np.arange(n_times), frequencies)
    waves: Doubles = np.concatenate([np.cos(phases), np.sin(phases)], 1)
    return waves


def softmax(x: Doubles) -> Doubles:
    """Return the softmax over the last axis; NumPy's calls take a tenth of SciPy's."""
    shares = np.exp(x - np.maximum.reduce(x, -1, keepdims=True))
    total: Doubles = shares / np.add.reduce(shares, -1, keepdims=True)
    return total


@dataclass(frozen=True, eq=False)
class PatchKernels:
    """The 2-D map of one patch size, and the kernels cut to it.

    Parameters
    ----------
    n_times, n_rows, period
        L, and the rows and columns of the map; ``tail`` of its places lie behind the window.
    padding
        Zeros above and beside the map.
    widen, narrow
        Kernel (in channels-last format) and bias of each convolution.
    paired
        Like ``narrow``, for the equal convolution of two columns at once, stacked as channels.
    """

    n_times: int
    n_rows: int
    period: int
    padding: tuple[int, int]
    widen: tuple[Tensor, Tensor]
    narrow: tuple[Tensor, Tensor]
    paired: tuple[Tensor, Tensor]

    @property
    def tail(self) -> int:
        """Number of places behind the window."""
        return self.n_rows * self.period - self.n_times


def make_patch_kernels(block: MultiScaleTemporalBlock) -> dict[int, PatchKernels]:
    """Cut the kernels of a block for each patch size that can be picked."""
    n_times = block.config.n_times
    merged = block.widen.merged(), block.narrow.merged()
    return {period: _cut_kernels(n_times, period, *merged) for period in block.config.periods}


def _cut_kernels(
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
    return PatchKernels(n_times, n_rows, period, (up, aside), widen, narrow, _pair_columns(*narrow))


def _pair_columns(kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Pair columns: (C, hidden, rows, columns) to (2 C, 2 hidden, rows, pairs), and (2 C,)."""
    n_out, n_in, rows, columns = kernel.shape
    pairs = math.ceil(columns // 2 / 2)
    wide = kernel.new_zeros(2, n_out, n_in, rows, 2 * (2 * pairs + 1))
    for place, one in enumerate(wide):
        first = 2 * pairs + place - columns // 2
        one[..., first : first + columns] = kernel
    wide = wide.view(2 * n_out, n_in, rows, -1, 2).permute(0, 4, 1, 2, 3).flatten(1, 2)
    return wide.contiguous(memory_format=torch.channels_last), bias.repeat(2)


class Im2Col:
    """Convolves one map of a patch size by matrix products, in memory allocated once."""

    def __init__(self, kernels: PatchKernels) -> None:
        shape = (kernels.n_rows, kernels.period)
        (wide, self._wide_bias), (narrow, bias) = kernels.widen, kernels.narrow
        hidden, n_channels, rows, columns = wide.shape
        self._window = Patches(kernels.padding, (*shape, n_channels), wide)
        self._places = _row_slices(self._window.inside, kernels.n_times)
        self._wide_weight = wide.permute(2, 3, 1, 0).reshape(-1, hidden).contiguous()
        self._hidden, self._spare = wide.new_empty(2, self._window.n_places, hidden)
        # Each row of the kernel becomes columns of the product; a sum moves them to their places.
        self._middle = Patches((0, columns // 2), (*shape, hidden), wide)
        weight = 0.5 * narrow.permute(3, 1, 2, 0).reshape(columns * hidden, rows * n_channels)
        offset = bias.new_zeros(rows, n_channels)
        offset[rows // 2] = bias
        spare = (0, max(0, MIN_COLUMNS - rows * n_channels))
        self._narrow_weight, self._narrow_bias = pad(weight, spare), pad(offset.flatten(), spare)
        self._terms, self._gathered = _allocate_terms(shape, rows, n_channels, self._narrow_bias)
        self._sum = np.empty((*shape, n_channels), self._gathered.dtype)
        self._out = self._sum.reshape(-1, n_channels)[: kernels.n_times]

    def add(self, window: Array, weight: float, out: Array) -> None:
        """Add the convolved map of a window, times a weight, to ``out``; both (L, C)."""
        for place, part in self._places:
            place[:] = window[part].reshape(place.shape)
        torch.addmm(self._wide_bias, self._window.copy(), self._wide_weight, out=self._hidden)
        double_gelu(self._hidden, self._spare, self._middle.inside)
        torch.addmm(self._narrow_bias, self._middle.copy(), self._narrow_weight, out=self._terms)
        np.add.reduce(self._gathered, 2, out=self._sum)
        np.multiply(self._sum, weight, out=self._sum)
        np.add(out, self._out, out=out)


class Patches:
    """Patches under a kernel at each place of a zero-padded map (rows, columns, channels)."""

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

    def copy(self) -> Tensor:
        """Copy the patches: (places, kernel rows x kernel columns x channels)."""
        np.copyto(self._array, self._view)
        return self._seen


def _row_slices(inside: Array, n_times: int) -> list[tuple[Array, slice]]:
    """Return the full rows of a map and the last partial one, each with its slice of samples."""
    full, rest = divmod(n_times, inside.shape[1])
    lines = [(inside[:full], slice(0, n_times - rest))]
    return lines + ([(inside[full, :rest], slice(n_times - rest, n_times))] if rest else [])


def _allocate_terms(
    shape: tuple[int, int], rows: int, n_channels: int, like: Tensor
) -> tuple[Tensor, Array]:
    """Allocate the terms of each place, and a view that gathers the terms which are summed.

    The terms are (places, columns of the product), the view (map rows, map columns, kernel rows,
    C).
    """
    (n_rows, period), up = shape, rows // 2
    padded = like.new_zeros(n_rows + 2 * up, period, len(like))
    row, column, one = padded.numpy().strides
    gathered = as_strided(
        padded.numpy(), (*shape, rows, n_channels), (row, column, row + n_channels * one, one)
    )
    return padded[up : up + n_rows].flatten(0, 1), gathered


def _channels_first(x: Tensor) -> Tensor:
    """View a channels-last tensor as channels-first."""
    return x.permute(0, 3, 1, 2)


def _channels_last(x: Tensor) -> Tensor:
    """View a channels-first tensor as channels-last."""
    return x.permute(0, 2, 3, 1)
