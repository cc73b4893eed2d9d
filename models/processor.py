"""MS-iMamba in the form that a processor runs live: the same function, few operations, in place.

``network.py`` is written to be read and to learn, ``static.py`` for a device that must not wait for
the host. Here the host may look, so each window is convolved only where its maps are: picks are
sorted by patch size, and those that share one run together. What else is different:

- Kernels are merged once, and cut to what can be met: a map of one row has no row above it.
- Everything is channels last, the state too, so that the inner loops run along d_inner.
- The state is written where it lies, and what is as large as it is kept from step to step.

Letters as in ``network.py`` and ``ssm.py``.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, layer_norm, linear, pad, silu, softplus

from models.network import (
    FLAT_UV,
    MSiMamba,
    MultiScaleTemporalBlock,
    TemporalSpatialFusionBlock,
)

BLOCK = 64
"""Hops that a processor steps at once; more wait for the next batch, so memory has a bound, and
the first are told without waiting for the last."""


class ProcessorForm:
    """A copy of a network, to step; for one thread at a time. It learns and saves nothing."""

    def __init__(self, network: MSiMamba) -> None:
        network = copy.deepcopy(network).eval().requires_grad_(False)
        self.config = network.config
        self._mstb = Maps(network.mstb) if self.config.mstb else None
        self._embedding, self._electrode = network.embedding, network.electrode
        self._layers = [Layer(each) for each in _layers(network)]
        self._norm, self._head = network.norm, network.head

    @torch.inference_mode()
    def step(self, x: Tensor, h: Tensor, history: Tensor) -> Tensor:
        """One hop of B streams, whose states are written in place.

        Parameters
        ----------
        x
            (B, C, L), µV.
        h, history
            (n_layers, B, n, E) and (n_layers, B, K - 1, E), multiplied by the gates already.

        Returns
        -------
        Logits (B, n_outputs).
        """
        e = self.embed(x)
        for layer, own_h, own_history in zip(self._layers, h, history, strict=True):
            e = layer.step(e, own_h, own_history)
        e = layer_norm(e, e.shape[-1:], self._norm.weight, self._norm.bias, self._norm.eps)
        return linear(e.reshape(len(x), -1), self._head.weight, self._head.bias)

    @torch.inference_mode()
    def embed(self, x: Tensor) -> Tensor:
        """(B, C, L), µV, to tokens (B, C, d)."""
        x = x.double()  # for the choice of periods
        if self.config.normalisation == "zscore":
            x = zscore(x)
        x = self._mstb.mix(x) if self._mstb else x.to(self._head.weight.dtype)
        tokens: Tensor = self._embedding(x)
        return tokens.add_(self._electrode)


def zscore(x: Tensor) -> Tensor:
    """As ``network.zscore``."""
    variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
    deviation = variance.sqrt_()
    return (x - mean).div_(deviation).masked_fill_(deviation < FLAT_UV, 0.0)


def _layers(network: MSiMamba) -> list[TemporalSpatialFusionBlock]:
    return [each for each in network.layers if isinstance(each, TemporalSpatialFusionBlock)]


def _affine(linear: nn.Module) -> tuple[Tensor, Tensor]:
    return linear.get_parameter("weight"), linear.get_parameter("bias")


def _norms(block: TemporalSpatialFusionBlock) -> tuple[nn.LayerNorm, nn.LayerNorm]:
    return block.norm1, block.norm2


@dataclass(frozen=True, eq=False)
class Fold:
    """A patch size's map: zeros past the window, the convolutions' padding, the kernels."""

    tail: int
    padding: tuple[int, int]
    widen: Tensor
    narrow: Tensor


class Maps:
    """The MSTB."""

    def __init__(self, block: nn.Module) -> None:
        assert isinstance(block, MultiScaleTemporalBlock)
        self.config = config = block.config
        (self._wide, self._wide_bias), (self._narrow, self._narrow_bias) = (
            block.widen.merged(),
            block.narrow.merged(),
        )
        f = torch.arange(1, config.n_times // 2 + 1)
        self._f = f.double() if config.ranking == "whitened" else None
        self._order = f.flip(0).double()  # of two equal scores the lower frequency's comes first
        self._periods = (config.n_times + f - 1).div(f, rounding_mode="floor")
        self._folds = {period: self._fold(period) for period in set(self._periods.tolist())}

    def _fold(self, period: int) -> Fold:
        n_rows, half = math.ceil(self.config.n_times / period), self._wide.shape[-1] // 2
        up, aside = min(half, n_rows - 1), min(half, period - 1)
        met = (..., slice(half - up, half + up + 1), slice(half - aside, half + aside + 1))
        widen, narrow = (
            kernel[met].contiguous(memory_format=torch.channels_last)
            for kernel in (self._wide, self._narrow)
        )
        return Fold(n_rows * period - self.config.n_times, (up, aside), widen, narrow)

    def mix(self, x: Tensor) -> Tensor:
        """(B, C, L) float64 to the same shape in the weights' type."""
        periods, weights = self._pick(x)
        n_scales, weights = self.config.n_scales, weights.to(self._wide.dtype)
        flat = periods.flatten().tolist()
        out = x.transpose(1, 2).to(  # (B, L, C); a copy also where nothing changes
            self._wide.dtype, copy=True, memory_format=torch.contiguous_format
        )
        if len(x) == 1:  # nothing to be sorted
            maps = [self._map(out, period) for period in flat]
            return (
                torch.stack(maps).mul_(weights.T[..., None, None]).sum(0).add_(out).transpose(1, 2)
            )
        order = sorted(range(len(flat)), key=flat.__getitem__)
        picks = torch.tensor(order)
        rows = picks.div(n_scales, rounding_mode="floor")
        shares = weights.flatten()[picks]
        counts = [(period, len(list(same))) for period, same in groupby(flat[i] for i in order)]
        parts = torch.split(out.index_select(0, rows), [count for _, count in counts])
        maps = [self._map(part, period) for part, (period, _) in zip(parts, counts, strict=True)]
        out.index_add_(0, rows, torch.cat(maps).mul_(shares[:, None, None]))
        return out.transpose(1, 2)

    def _pick(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As ``network.dominant_periods``; the rank in the key's last digits settles ties."""
        amplitude = torch.fft.rfft(x).abs().mean(1)[:, 1:]
        score = amplitude if self._f is None else amplitude * self._f
        largest = score.amax(-1, keepdim=True).clamp_min_(torch.finfo(x.dtype).tiny)
        key = (score / largest).mul_(1e9).round_().mul_(len(self._order) + 1).add_(self._order)
        picks = key.topk(self.config.n_scales).indices
        return self._periods[picks], amplitude.gather(-1, picks).softmax(-1)

    def _map(self, x: Tensor, period: int) -> Tensor:
        """(m, L, C) of one patch size, through its convolutions, to the same shape."""
        n_rows, n_times, n_channels = x.shape
        fold = self._folds[period]
        x = pad(x, (0, 0, 0, fold.tail)) if fold.tail else x
        y = x.view(n_rows, -1, period, n_channels).permute(0, 3, 1, 2)
        y = gelu(conv2d(y, fold.widen, self._wide_bias, padding=fold.padding))
        y = conv2d(y, fold.narrow, self._narrow_bias, padding=fold.padding)
        return y.permute(0, 2, 3, 1).reshape(n_rows, -1, n_channels)[:, :n_times]


class Layer:
    """A TSFB. Its weights are taken out of the modules: at one stream, those cost as much again."""

    def __init__(self, block: TemporalSpatialFusionBlock) -> None:
        ssm, (up, _, down) = block.ssm, block.ffn
        self._mixer = block.mixer
        self._norms = [(n.normalized_shape, n.weight, n.bias, n.eps) for n in _norms(block)]
        self._in, self._x, self._out = (
            each.weight for each in (ssm.in_proj, ssm.x_proj, ssm.out_proj)
        )
        self._sizes, self._D = ssm.sizes, ssm.D
        self._dt, self._up, self._down = (_affine(each) for each in (ssm.dt_proj, up, down))
        self._decay = -ssm.A_log.exp().T.contiguous()  # (n, E)
        self._taps = ssm.conv1d.weight[:, 0].T.contiguous()  # (K, E), the newest input's last
        self._bias = ssm.conv1d.get_parameter("bias")
        self._room = self._decay.new_empty(0)

    def step(self, e: Tensor, h: Tensor, history: Tensor) -> Tensor:
        """E (B, C, d) to the same; h (B, n, E) and history (B, K - 1, E) are written."""
        if self._mixer != "none":
            y = self._mix(layer_norm(e, *self._norms[0]), h, history)
            e = y if self._mixer == "memory" else y.add_(e)
        u = gelu(linear(layer_norm(e, *self._norms[1]), *self._up))
        return linear(u, *self._down).add_(e)

    def _mix(self, u: Tensor, h: Tensor, history: Tensor) -> Tensor:
        """As ``SelectiveSSM.forward``."""
        a, z = linear(u, self._in).chunk(2, dim=-1)
        a = silu(self._convolve(a, history), inplace=True)
        delta, B, C = torch.split(linear(a, self._x), self._sizes, dim=-1)
        delta = softplus(linear(delta, *self._dt))
        y = self._recur(delta, delta * a, B, C, h)
        return linear(y.addcmul_(self._D, a).mul_(silu(z)), self._out)

    def _convolve(self, a: Tensor, history: Tensor) -> Tensor:
        """The causal depthwise convolution of a (B, C, E)."""
        n_tokens = a.shape[1]
        inputs = torch.cat([history, a], dim=1)  # (B, K - 1 + C, E)
        out = torch.addcmul(self._bias, inputs[:, :n_tokens], self._taps[0])
        for at in range(1, len(self._taps)):
            out.addcmul_(inputs[:, at : at + n_tokens], self._taps[at])
        history.copy_(inputs[:, n_tokens:])
        return out

    def _recur(self, delta: Tensor, entering: Tensor, B: Tensor, C: Tensor, h: Tensor) -> Tensor:
        """h = exp(delta A) h + (delta a) B^T and y = h C; y (B, C, E)."""
        decay, hs = self._rooms(*delta.shape)
        torch.mul(delta[:, :, None], self._decay, out=decay).exp_()
        torch.mul(entering[:, :, None], B[..., None], out=hs)
        before = h
        for t in range(hs.shape[1]):
            before = hs[:, t].addcmul_(decay[:, t], before)
        h.copy_(before)
        return (C[:, :, None] @ hs)[:, :, 0]

    def _rooms(self, *shape: int) -> tuple[Tensor, Tensor]:
        """Two of (B, C, n, E), kept from step to step: to ask for so much each time costs more."""
        batch, n_tokens, width = shape
        shape = (2, batch, n_tokens, len(self._decay), width)
        if self._room.numel() < math.prod(shape):
            self._room = self._decay.new_empty(math.prod(shape))
        decay, hs = self._room[: math.prod(shape)].view(shape)
        return decay, hs
