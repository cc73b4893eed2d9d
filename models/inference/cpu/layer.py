"""A TSFB in the form that a processor runs live: in place, in a room that is kept.

What is called is what costs least: a call of NumPy takes a third of one of PyTorch's, which has the
faster products and transcendental functions. Both see the same memory. Letters as in ``ssm.py``.
Tokens lie in the order (C, B), so that what all streams do at a token is one stretch of memory;
d_inner runs fastest, in the state too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, silu, softplus

from mimamba.models.inference.cpu.gelu import FEW, twice_gelu
from mimamba.models.inference.cpu.workspace import Workspace
from mimamba.models.network.msimamba import TemporalSpatialFusionBlock


def norm(module: nn.LayerNorm) -> tuple[tuple[int, ...], Tensor, Tensor, float]:
    """What ``layer_norm`` is called with."""
    return module.normalized_shape, module.weight, module.bias, module.eps


def _turned(linear: nn.Module) -> tuple[Tensor, Tensor]:
    """A product's right side, and its bias."""
    return linear.get_parameter("weight").T.contiguous(), linear.get_parameter("bias")


class CPULayer:
    """Its weights are taken out of the modules: at one stream, those cost as much again."""

    def __init__(self, block: TemporalSpatialFusionBlock) -> None:
        ssm, (up, _, down) = block.ssm, block.ffn
        self._mixer = block.mixer
        self._norms = norm(block.norm1), norm(block.norm2)
        self._in = [half.T.contiguous() for half in ssm.in_proj.weight.chunk(2)]
        self._x, self._out = (each.weight.T.contiguous() for each in (ssm.x_proj, ssm.out_proj))
        self._dt, self._up, self._down = (_turned(each) for each in (ssm.dt_proj, up, down))
        # Powers of two, (n, E): PyTorch's exp2 takes half as long as its exp.
        self._decay = (-ssm.A_log.exp().T / math.log(2)).contiguous()
        self._taps = list(ssm.conv1d.weight[:, 0].T.contiguous())  # K of (E,), the newest's last
        self._bias, self._D = ssm.conv1d.get_parameter("bias"), ssm.D

    def step(self, room: Workspace, h: Tensor, history: Tensor) -> None:
        """``room.e`` to the same; h (B, n, E) and history (B, K - 1, E) are written."""
        e = room.e
        if self._mixer != "none":
            y = self._mix(layer_norm(e, *self._norms[0]), room, h, history)
            torch.addmm(e, y, self._out, beta=float(self._mixer != "memory"), out=e)
        weight, bias = self._up
        u = torch.addmm(bias, layer_norm(e, *self._norms[1]), weight, out=room.wide)
        weight, bias = self._down
        e.add_(bias)
        if u.numel() < FEW:
            twice_gelu(u, room.spare, room.spare.numpy())
            e.addmm_(room.spare, weight, alpha=0.5)
        else:
            e.addmm_(gelu(u), weight)

    def _mix(self, u: Tensor, room: Workspace, h: Tensor, history: Tensor) -> Tensor:
        """As ``SelectiveSSM.forward``, but for the last product; (C B, d) to (C B, E)."""
        for weight, out in zip(self._in, (room.entering, room.z), strict=True):
            torch.mm(u, weight, out=out)
        self._convolve(room, history)
        silu(room.az, inplace=True)
        torch.mm(room.a, self._x, out=room.low)
        weight, bias = self._dt
        self._recur(softplus(torch.addmm(bias, room.rank, weight)), room, h)
        room.y.addcmul_(self._D, room.a).mul_(room.z)
        return room.y

    def _convolve(self, room: Workspace, history: Tensor) -> None:
        """The causal depthwise convolution, to ``room.a``."""
        past, n = history.numpy().swapaxes(0, 1), history.shape[1]
        room.inputs[:n] = past
        torch.addcmul(self._bias, room.reached[0], self._taps[0], out=room.convolved)
        for reached, tap in zip(room.reached[1:], self._taps[1:], strict=True):
            room.convolved.addcmul_(reached, tap)
        past[:] = room.inputs[len(room.inputs) - n :]

    def _recur(self, delta: Tensor, room: Workspace, h: Tensor) -> None:
        """h = exp(delta A) h + (delta a) B^T, and h C to ``room.y``; delta (C B, E)."""
        delta, entering = delta[:, None], (delta * room.a)[:, None]
        (self._in_turn if room.many else self._at_once)(delta, entering, room, h)

    def _in_turn(self, delta: Tensor, entering: Tensor, room: Workspace, h: Tensor) -> None:
        """Token by token, so that what is computed with stays in the processor's caches."""
        rows = (delta, entering, room.B, room.C, room.y_rows)
        parts = (torch.split(each, len(h)) for each in rows)
        for delta_t, entering_t, B, C, y in zip(*parts, strict=True):
            torch.mul(delta_t, self._decay, out=room.decay)
            torch.exp2(room.decay, out=room.decay)
            h.mul_(room.decay).addcmul_(entering_t, B)
            torch.bmm(C, h, out=y)

    def _at_once(self, delta: Tensor, entering: Tensor, room: Workspace, h: Tensor) -> None:
        """All that can be for all tokens, so with the fewest operations."""
        torch.mul(delta, self._decay, out=room.decay)
        torch.exp2(room.decay, out=room.decay)
        torch.mul(entering, room.B, out=room.h)
        before = h
        for now, decay in room.each:
            before = now.addcmul_(decay, before)
        h.copy_(before)
        torch.bmm(room.C, room.h, out=room.y_rows)
