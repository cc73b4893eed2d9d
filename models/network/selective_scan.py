"""The recurrence of the selective SSM over whole sequences, with its gradient.

One operation a token in each direction, and the rest at once for all of them: recorded step by
step, the same gradient takes two to three times as long on a processor.

Letters: T tokens, S hops, B batch, E d_inner, n d_state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Recurrence(torch.autograd.Function):
    """h_t = decay_t h + entering_t, where at a hop's start h is r h, or 0 where r is 0.

    Takes decay and entering (T, B, E, n), r (S, B) and h (B, E, n) before the first token; gives h
    after each one (T, B, E, n). NaN before a gate of 0 is forgotten like all else.
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
        entering = torch.empty_like(hs)  # the gradient of what entered, which is that of h
        behind = torch.zeros_like(hs[0])  # of h before the token that follows
        for t in reversed(range(len(decay))):
            at = torch.add(grad[t], behind, out=entering[t])
            behind = decay[t] * at
            if t % n_tokens == 0:
                behind = r[t // n_tokens][:, None, None] * behind
        before = torch.cat([starts[:1], hs[:-1]])
        before[::n_tokens] = starts
        return entering * before, entering, None, behind


def recur(decay: Tensor, entering: Tensor, r: Tensor, h: Tensor) -> Tensor:
    """``Recurrence`` as a function."""
    hs: Tensor = Recurrence.apply(decay, entering, r, h)  # type: ignore[no-untyped-call]
    return hs
