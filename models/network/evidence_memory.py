"""Selective SSM that begins as exponential means of each electrode's evidence.

Mamba's block writes and reads its memory through the newest window alone: B and C are products of
the token, without biases. A plain mean of the past is then hard to learn from few people. Here B
and C have a bias for each electrode, so the layer can begin as what a memory of noisy evidence
should be, and learn from there **(ours)**.

Letters as in ``ssm.py``; M time constants, and n = C M slots, one for each electrode and time
constant.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.ssm import recur_gated

DELTA = 1e-2
"""Step size delta at the start, the same for all tokens."""


class EvidenceMemory(nn.Module):
    """Exponential means of tokens, a slot for each electrode and time constant.

    Per token u of electrode c: a = W_in u; [delta, B, C] = W_x a; Delta = softplus(W_d delta +
    b_d); A = -exp(A_log); h = exp(Delta A) h + (Delta a) (B + beta_c)^T; y = h (C + gamma_c);
    out = W_out y. It is Mamba's recurrence without convolution, D and z, with the biases beta and
    gamma (C, n).

    At the start W_in and W_out are the identity and W_x is zero; beta_c has unit gain in the slots
    of electrode c and is zero elsewhere, and gamma_c takes their mean. So the output is the mean,
    over the time constants, of exponential means of the electrode's own tokens.

    It has the interface of ``SelectiveSSM``, with an empty convolution history.

    Parameters
    ----------
    config
        Architecture; ``time_constants`` are those of the slots.
    """

    def __init__(self, config: MSiMambaConfig) -> None:
        super().__init__()
        d, n, rank = config.d_model, config.d_state, math.ceil(config.d_model / 16)
        self.sizes = [rank, n, n]
        self.in_proj = nn.Linear(d, d, bias=False)
        self.x_proj = nn.Linear(d, sum(self.sizes), bias=False)
        self.dt_proj = nn.Linear(rank, d)
        self.A_log = nn.Parameter(torch.zeros(d, n))
        self.beta = nn.Parameter(torch.zeros(config.n_channels, n))
        self.gamma = nn.Parameter(torch.zeros(config.n_channels, n))
        self.out_proj = nn.Linear(d, d, bias=False)
        self._initialise(config)

    @torch.no_grad()
    def _initialise(self, config: MSiMambaConfig) -> None:
        for linear in (self.in_proj, self.out_proj):
            nn.init.eye_(linear.weight)
        nn.init.zeros_(self.x_proj.weight)
        scale = self.dt_proj.in_features**-0.5
        nn.init.uniform_(self.dt_proj.weight, -scale, scale)
        nn.init.constant_(self.dt_proj.bias, math.log(math.expm1(DELTA)))
        hops = torch.tensor(config.time_constants).repeat(config.n_channels)  # by slot
        own = torch.eye(config.n_channels).repeat_interleave(len(config.time_constants), 1)
        # A slot decays at each token of a hop, and takes in one of them.
        self.A_log.copy_((1 / (hops * config.n_channels * DELTA)).log().expand_as(self.A_log))
        self.beta.copy_(own * -torch.expm1(-1 / hops) / DELTA)
        self.gamma.copy_(own / len(config.time_constants))

    def forward(
        self, u: Tensor, r: Tensor, h: Tensor, history: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run over S hops of C tokens each, like ``SelectiveSSM.forward``."""
        a = self.in_proj(u)
        delta, B, C = self.x_proj(a).split(self.sizes, dim=-1)
        delta = nn.functional.softplus(self.dt_proj(delta))
        n_hops = r.shape[1]
        B, C = B + self.beta.repeat(n_hops, 1), C + self.gamma.repeat(n_hops, 1)
        y, h = recur_gated(delta, a, -self.A_log.exp(), B, C, r, h)
        return self.out_proj(y), h, history
