"""The selective state-space layer (Mamba-1), with its state as input and output.

Letters, as in Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces"
(arXiv 2312.00752): B batch, S hops, C tokens of a hop (one per channel), T = S C tokens, d d_model,
E d_inner = expand d, n d_state, K d_conv, R the rank of delta.

The weights have the names and shapes of mamba_ssm's ``Mamba``, so checkpoints fit both. Two things
are ours: an initial state, and a gate r at each hop's start that multiplies the state h and the
convolution's history.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mimamba.models.network.mamba_kernels import find_kernels
from mimamba.models.network.selective_scan import recur

DT = (1e-3, 1e-1)
"""Range of the initial step size delta, as in Mamba."""
SCAN_BLOCK = 128
"""Tokens in a block of the recurrence without gradients: 1 MB each of decay and state.

Measured with ``REFERENCE``, time per hop of one stream in the whole step: 344, 288, 290, 256,
313 µs for 16, 32, 64, 128, 256 tokens; 504 µs for 256 tokens in the form with gradients.
"""


class States(NamedTuple):
    """State of a network for B streams, all layers stacked.

    A pool of many streams has them along dim 1: ``index_select(1, rows)`` reads some of them,
    ``index_copy_(1, rows, ...)`` writes them back.

    Parameters
    ----------
    h
        (n_layers, B, d_inner, d_state) float32, state of the recurrence.
    conv
        (n_layers, B, d_inner, d_conv - 1) float32, the convolution's last inputs, oldest first.
    """

    h: Tensor
    conv: Tensor


def apply_gate(memory: Tensor, r: Tensor) -> Tensor:
    """Return ``r * memory``, and zeros where r is 0, since NaN times 0 is NaN."""
    return torch.where(r > 0, r * memory, 0.0)


class SelectiveSSM(nn.Module):
    """One selective state-space layer over the tokens of successive hops.

    Per token u: [a, z] = W_in u; a~ = silu(causal depthwise convolution of a);
    [delta, B, C] = W_x a~; Delta = softplus(W_d delta + b_d); A = -exp(A_log);
    h = exp(Delta A) h + (Delta a~) B^T; y = h C + D a~; out = W_out (y silu(z)).

    ``dt`` is the range of the initial delta. Without ``direct``, D is 0 and not trained, so all
    output has passed through h (ours).
    """

    def __init__(
        self,
        d_model: int,
        d_state: int,
        d_conv: int,
        expand: int,
        dt: tuple[float, float] = DT,
        direct: bool = True,
    ) -> None:
        super().__init__()
        d_inner, rank = expand * d_model, math.ceil(d_model / 16)
        self.sizes = [rank, d_state, d_state]
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.conv1d = nn.Conv1d(d_inner, d_inner, d_conv, groups=d_inner, padding=d_conv - 1)
        self.x_proj = nn.Linear(d_inner, sum(self.sizes), bias=False)
        self.dt_proj = nn.Linear(rank, d_inner)
        self.A_log = nn.Parameter(torch.arange(1.0, d_state + 1).log().repeat(d_inner, 1))
        self.D = nn.Parameter(torch.full((d_inner,), float(direct)), requires_grad=direct)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)
        self._initialise_delta(dt)

    @torch.no_grad()
    def _initialise_delta(self, dt: tuple[float, float]) -> None:
        """Draw delta log-uniformly from a range; the bias is its inverse softplus."""
        scale = self.dt_proj.in_features**-0.5
        nn.init.uniform_(self.dt_proj.weight, -scale, scale)
        delta = torch.empty_like(self.dt_proj.bias)
        delta.uniform_(math.log(dt[0]), math.log(dt[1])).exp_()
        self.dt_proj.bias.copy_(delta + torch.log(-torch.expm1(-delta)))

    def forward(
        self, u: Tensor, r: Tensor, h: Tensor, history: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run over S hops of C tokens each.

        Parameters
        ----------
        u
            (B, S C, d), the tokens in the order of the stream.
        r
            (B, S), the gate at each hop's start: 0 forgets everything, 1 keeps it. A negative one
            marks padding: nothing that comes out for it means anything.
        h
            (B, E, n), the state before the first token.
        history
            (B, E, K - 1), the convolution's inputs before the first token, oldest first.

        Returns
        -------
        (B, S C, d), and h and history after the last token.
        """
        a, z = self.in_proj(u).chunk(2, dim=-1)  # (B, T, E) each
        a, history = self._convolve(a, r, history)
        delta, B, C = self.x_proj(a).split(self.sizes, dim=-1)  # (B, T, R), (B, T, n) twice
        delta = nn.functional.softplus(self.dt_proj(delta))  # (B, T, E)
        y, h = recur_gated(delta, a, -self.A_log.exp(), B, C, r, h)  # A (E, n)
        return self.out_proj((y + self.D * a) * nn.functional.silu(z)), h, history

    def _convolve(self, a: Tensor, r: Tensor, history: Tensor) -> tuple[Tensor, Tensor]:
        """Causal depthwise convolution and silu; each hop start gates all that came before it."""
        (batch, n_tokens, _), n_hops = a.shape, r.shape[1]
        taps = self.conv1d.kernel_size[0]
        start = a.new_ones(batch, n_hops, n_tokens // n_hops)  # gate of each token: 1 within a hop
        start[:, :, 0] = r
        # Gates before the sequence are in the history already; one more token is still to come.
        gates = nn.functional.pad(start.flatten(1), (taps - 1, 1), value=1.0)[..., None]
        inputs = torch.cat([history.transpose(1, 2), a], dim=1)  # (B, K - 1 + T, E)
        weight = self.conv1d.weight[:, 0]  # (E, K), the newest input's tap last
        out = self.conv1d.get_parameter("bias") + a * weight[:, -1]
        reach = a.new_ones(())  # product of the gates from the token `lag` before
        lasting: list[Tensor] = []
        for lag in range(1, taps):
            reach = reach * gates[:, taps - lag : taps - lag + n_tokens + 1]
            first = taps - 1 - lag
            past = apply_gate(inputs[:, first : first + n_tokens + 1], reach)
            out = out + past[:, :n_tokens] * weight[:, -1 - lag]
            lasting.insert(0, past[:, -1])
        return nn.functional.silu(out), torch.stack(lasting, dim=-1) if lasting else history


def recur_gated(
    delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, r: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Run h = exp(delta A) h + (delta a) B^T and y = h C, one token after the other.

    Parameters
    ----------
    delta, a
        (B, S C, E), step size and input of each token.
    A
        (E, n), negative.
    B, C
        (B, S C, n).
    r
        (B, S), the gate at each hop's start, as in ``SelectiveSSM.forward``.
    h
        (B, E, n), the state before the first token.

    Returns
    -------
    y (B, S C, E), and h after the last token.
    """
    kernels = find_kernels(h)
    learning = any(t.requires_grad for t in (delta, a, A, B, C, h))
    if kernels is not None and learning:
        if kernels.can_scan(r, h):
            return kernels.scan(delta, a, A, B, C, r, h)
        kernels = None
    if kernels is None and r.shape[1] > 1:
        whole = _recur_whole if learning else _recur_blocks
        return whole(delta, a, A, B, C, r, h)
    hops = (
        t.reshape(len(t), r.shape[1], -1, t.shape[-1]).unbind(1) for t in (delta, a, B, C)
    )  # (B, C, ...)
    ys = []
    for delta_s, a_s, B_s, C_s, r_s in zip(*hops, r.unbind(1), strict=True):
        h = apply_gate(h, r_s[:, None, None])
        if kernels is not None:
            rows = torch.arange(len(h), device=h.device).where(r_s >= 0, -1)
            y = kernels.step(delta_s, a_s, A, B_s, C_s, h, rows)  # writes to the new h
        else:
            y, h = _recur_hop(delta_s, a_s, A, B_s, C_s, h)
        ys.append(y)
    return torch.cat(ys, dim=1), h


def _recur_whole(
    delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, r: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over all hops: y (B, T, E), and h after them."""
    delta, a, B, C = (t.transpose(0, 1) for t in (delta, a, B, C))  # (T, B, ...)
    decay = (delta[..., None] * A).exp()  # (T, B, E, n)
    entering = (delta * a)[..., None] * B[:, :, None]
    hs = recur(decay, entering, r.T, h)
    return (hs @ C[..., None])[..., 0].transpose(0, 1), hs[-1]


def _recur_blocks(
    delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, r: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Like ``_recur_whole`` without gradients: some hops at a time, in place, E innermost."""
    A = (A.T / math.log(2)).contiguous()  # exp2 takes half the time of exp
    n_hops, n_tokens = r.shape[1], delta.shape[1] // r.shape[1]
    n_block = max(1, SCAN_BLOCK // (len(h) * n_tokens))
    hops = (t.reshape(len(t), n_hops, n_tokens, -1) for t in (delta, delta * a, B, C))
    h, ys = h.transpose(1, 2).contiguous(), []
    for delta_s, entering_s, B_s, C_s, r_s in zip(
        *(torch.split(t, n_block, dim=1) for t in (*hops, r)), strict=True
    ):
        decay = (delta_s[..., None, :] * A).exp2_()  # (B, block, C, n, E)
        decay[:, :, 0] *= r_s.clamp_min(0)[..., None, None]
        hs = entering_s[..., None, :] * B_s[..., None]
        kept = (r_s > 0)[..., None, None]
        starts = {n_tokens * int(hop): kept[:, hop] for hop in (~kept).any(0).nonzero()[:, 0]}
        tokens = zip(decay.flatten(1, 2).unbind(1), hs.flatten(1, 2).unbind(1), strict=True)
        for t, (decay_t, h_t) in enumerate(tokens):
            if t in starts:  # a product would keep NaN
                h = torch.where(starts[t], h, 0.0)
            h = h_t.addcmul_(decay_t, h)
        ys.append((C_s[..., None, :] @ hs)[..., 0, :].flatten(1, 2))
    return torch.cat(ys, dim=1), h.transpose(1, 2)


def _recur_hop(
    delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over the tokens of one hop: y (B, C, E), and h after them."""
    decays = (delta[..., None] * A).exp().unbind(1)  # C of (B, E, n)
    inputs = ((delta * a)[..., None] * B[:, :, None]).unbind(1)
    hs = []
    for decay, entering in zip(decays, inputs, strict=True):
        h = torch.addcmul(entering, decay, h)
        hs.append(h)
    return (torch.stack(hs, dim=1) @ C[..., None])[..., 0], h
