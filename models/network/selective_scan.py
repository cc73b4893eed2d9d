"""The recurrence of the selective SSM over whole sequences, with its gradient.

Each direction needs one operation per token; all others run on all tokens together. If autograd
recorded every token, the gradient would take two to three times as long on a CPU.

Letters: T tokens, S hops, B batch, E d_inner, n d_state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Recurrence(torch.autograd.Function):
    """h_t = decay_t h + entering_t, with h multiplied by r at each hop's start.

    Inputs are decay and entering (T, B, E, n), r (S, B), and h (B, E, n) before the first token.
    The output is h after each token, (T, B, E, n). A gate of 0 also removes NaN.
    """

    @staticmethod
    def forward(ctx: Any, decay: Tensor, entering: Tensor, r: Tensor, h: Tensor) -> Tensor:
        hs = torch.empty_like(entering)
        starts, n_tokens = [], len(decay) // len(r)
        for t in range(len(decay)):
            if t % n_tokens == 0:
                gate = r[t // n_tokens][:, None, None]
                h = torch.where(gate > 0, gate * h, 0.0)
                starts.append(h)
            h = torch.addcmul(entering[t], decay[t], h, out=hs[t])
        ctx.save_for_backward(decay, hs, r, torch.stack(starts))
        return hs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, Tensor]:
        (grad,) = grads
        decay, hs, r, starts = ctx.saved_tensors
        n_tokens = len(decay) // len(r)
        entering = torch.empty_like(hs)  # the gradient of entering, equal to that of h
        behind = torch.zeros_like(hs[0])  # gradient of h before the next token
        for t in reversed(range(len(decay))):
            at = torch.add(grad[t], behind, out=entering[t])
            behind = decay[t] * at
            if t % n_tokens == 0:
                behind = r[t // n_tokens][:, None, None] * behind
        before = torch.cat([starts[:1], hs[:-1]])
        before[::n_tokens] = starts
        return entering * before, entering, None, behind


def recur(decay: Tensor, entering: Tensor, r: Tensor, h: Tensor) -> Tensor:
    """Apply ``Recurrence``."""
    hs: Tensor = Recurrence.apply(decay, entering, r, h)  # type: ignore[no-untyped-call]
    return hs
