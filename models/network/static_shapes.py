"""MS-iMamba with static shapes, for CUDA graphs: the same function as ``msimamba.py``.

``msimamba.py`` groups windows by patch size, so the convolutions and their sizes depend on the data
and the host must read the periods first. Here nothing depends on the data. ``ceil(L / f)`` has few
values (21 for L = 128). For each of them three tables, made once, give the place of each sample in
its 2-D map, and each window looks up the tables of its own k periods on its own device. So a step
has one shape per batch size, reads nothing back, and can be captured in a CUDA graph.

A map is stored in one dimension, the canvas: its rows one after the other, with `half` zeros
between two rows, `half` being half of the kernel's size. The canvas is as long as the longest map.
For each row of the kernel, a square 'same' convolution is then a look-up (of the row of the map
that many rows above or below) and a convolution along the canvas, which cannot reach past the
zeros. If a map is longer than L, as a multiple of p, the second convolution sees the values that
the first one puts there.

Letters: B batch, k scales, C channels, H hidden, L samples in a window, m = B k maps, Q places on
the canvas, K the kernel's size.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, embedding_bag, gelu, pad

from mimamba.models.network.msimamba import MSiMamba, MultiScaleTemporalBlock, dominant_periods
from mimamba.models.network.ssm import States


def to_static(network: MSiMamba) -> MSiMamba:
    """Copy a network with static shapes, in eval mode, to run but not to train or save."""
    form = copy.deepcopy(network).eval().requires_grad_(False)
    if isinstance(form.mstb, MultiScaleTemporalBlock):
        form.mstb = StaticTemporalBlock(form.mstb)
    return form


def step_rows(network: MSiMamba, x: Tensor, r: Tensor, pool: States, rows: Tensor) -> Tensor:
    """Step one hop of some streams of a pool and update their states in place.

    Parameters
    ----------
    network
        The network; with static shapes if this is to be captured in a graph.
    x, r
        (B, C, L), µV, and the gates (B,).
    pool
        States of all streams, along dim 1.
    rows
        (B,) int64, rows of the pool. A negative one is padding: its logits mean nothing, and it
        changes no state.

    Returns
    -------
    Logits (B, n_outputs).
    """
    live, places = rows >= 0, rows.clamp_min(0)
    before = States(*(t.index_select(1, places) for t in pool))
    logits, after = network.step(x, torch.where(live, r, -1.0), before)
    # Padding must write somewhere: it repeats what the first live row writes. Without any live row,
    # row 0 keeps its value.
    each = torch.arange(len(rows), device=rows.device)
    source = torch.where(live, each, live.int().argmax())
    target = places.index_select(0, source)
    for whole, old, new in zip(pool, before, after, strict=True):
        kept = torch.where(live[:, None, None], new, old)
        whole.index_copy_(1, target, kept.index_select(1, source))
    return logits


class PatchLayout:
    """Tables with the place of each sample in the maps of one patch size.

    Parameters
    ----------
    n_times
        L.
    period
        p, the samples in a row of the map.
    size
        K, odd.
    n_places
        Q, one more than the longest map, so that the last place is zero after any convolution.
    """

    def __init__(self, n_times: int, period: int, size: int, n_places: int) -> None:
        shifts = torch.arange(size) - size // 2  # from a row of the map to those under the kernel
        stride = period + size // 2
        n_rows = math.ceil(n_times / period)
        row, column = (t[:, None] for t in _split(torch.arange(n_places), stride))
        seen, source = row + shifts, (row + shifts) * period + column  # (Q, K)
        inside = (column < period) & (seen >= 0) & (seen < n_rows) & (source < n_times)
        self.source = torch.where(inside, source, n_times)
        """(Q, K): the sample for each place and row of the kernel; L for a zero."""
        self.mask = (column[:, 0] < period) & (row[:, 0] < n_rows)
        """(Q,): True for the places of the map, False for the zeros between and after its rows."""
        row, column = (t[:, None] for t in _split(torch.arange(n_times), period))
        seen, place = row + shifts, (row + shifts) * stride + column  # (L, K)
        inside = (seen >= 0) & (seen < n_rows)
        self.target = torch.where(inside, place, n_places - 1) * size + torch.arange(size)
        """(L, K): the places whose sum is the convolution at each sample, K entries for each."""


class StaticTemporalBlock(nn.Module):
    """The MSTB with static shapes and kernels merged once."""

    f: Tensor
    wide: Tensor
    wide_bias: Tensor
    narrow: Tensor
    narrow_bias: Tensor
    which: Tensor
    source: Tensor
    target: Tensor
    mask: Tensor

    def __init__(self, block: MultiScaleTemporalBlock) -> None:
        super().__init__()
        self.config = block.config
        self.register_buffer("f", block.f, persistent=False)
        self._store_kernels(block)
        self._store_tables()

    @torch.no_grad()
    def _store_kernels(self, block: MultiScaleTemporalBlock) -> None:
        """Store each row of a kernel as a convolution along the canvas."""
        (wide, wide_bias), (narrow, narrow_bias) = block.widen.merged(), block.narrow.merged()
        n_out, n_in, size = wide.shape[:3]
        # The first convolution looks up K rows, then convolves: K C input channels. The second one
        # convolves to K C output channels, then sums K rows: fewer look-ups than with H channels.
        wide = wide.transpose(1, 2).reshape(n_out, size * n_in, 1, size)
        narrow = narrow.permute(2, 0, 1, 3).reshape(size * n_in, n_out, 1, size)
        self.register_buffer("wide", wide.contiguous(memory_format=torch.channels_last))
        self.register_buffer("wide_bias", wide_bias)
        self.register_buffer("narrow", narrow.contiguous(memory_format=torch.channels_last))
        self.register_buffer("narrow_bias", narrow_bias)

    def _store_tables(self) -> None:
        n_times, size, device = self.config.n_times, self.wide.shape[-1], self.wide.device
        periods = self.config.periods
        n_places = 1 + max(math.ceil(n_times / p) * (p + size // 2) for p in periods)
        tables = [PatchLayout(n_times, period, size, n_places) for period in periods]
        which = torch.zeros(n_times + 1, dtype=torch.int64)  # by period
        which[periods] = torch.arange(len(periods))
        self.register_buffer("which", which.to(device))
        self.register_buffer("source", torch.stack([t.source for t in tables]).to(device))
        self.register_buffer("target", torch.stack([t.target for t in tables]).to(device))
        self.register_buffer("mask", torch.stack([t.mask for t in tables]).to(self.wide))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to windows (B, C, L) of any float type; output in the weights' type."""
        c = self.config
        periods, weights = dominant_periods(x.double(), self.f, c.n_scales, c.ranking)
        x, weights = x.to(self.wide.dtype), weights.to(self.wide.dtype)
        tables = self.which[periods]  # (B, k)
        half = self.wide.shape[-1] // 2
        y = gelu(conv2d(self._spread(x, tables), self.wide, self.wide_bias, padding=(0, half)))
        y.mul_(self.mask[tables.flatten(), None, None])  # (m, H, 1, Q)
        y = self._gather(conv2d(y, self.narrow, padding=(0, half)), tables)  # (B, k, L, C)
        return x + torch.einsum("bk, bklc -> bcl", weights, y + self.narrow_bias)

    def _spread(self, x: Tensor, tables: Tensor) -> Tensor:
        """Spread windows (B, C, L) on canvases (m, K C, 1, Q), with K rows of the map per place."""
        batch, n_channels, n_times = x.shape
        samples = pad(x, (0, 1)).transpose(1, 2).reshape(-1, n_channels)  # (B (L + 1), C)
        first = torch.arange(batch, device=x.device) * (n_times + 1)
        index = self.source[tables] + first[:, None, None, None]  # (B, k, Q, K)
        seen = samples.index_select(0, index.flatten())
        n_places, size = index.shape[-2:]
        return seen.reshape(-1, 1, n_places, size * n_channels).permute(0, 3, 1, 2)

    def _gather(self, z: Tensor, tables: Tensor) -> Tensor:
        """Sum over the rows of the kernel at each sample: (m, K C, 1, Q) to (B, k, L, C)."""
        n_channels, size = self.config.n_channels, self.wide.shape[-1]
        places = z.permute(0, 2, 3, 1).reshape(-1, n_channels)  # (m Q K, C)
        first = torch.arange(len(z), device=z.device) * (z.shape[-1] * size)
        index = self.target[tables.flatten()] + first[:, None, None]  # (m, L, K)
        sums = embedding_bag(index.reshape(-1, size), places, mode="sum")
        return sums.reshape(*tables.shape, -1, n_channels)


def _split(index: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return row and column of each index, for rows ``stride`` apart."""
    return index // stride, index % stride
