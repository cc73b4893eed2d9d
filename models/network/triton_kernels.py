"""Selective scan and state step in Triton, written for this network; no compiler is needed.

Triton comes with PyTorch for CUDA. Unlike mamba-ssm's scan, this one takes gates, restarts and a
state to start from, also with gradients. A step is one launch per hop, not one per token.

It runs without a GPU only in Triton's interpreter (``TRITON_INTERPRET=1``), as the tests do.

Letters as in ``ssm.py``; T = S C tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import triton  # of PyTorch for CUDA
import triton.language as tl
from torch import Tensor

BLOCK, WARPS = 16, 1
"""Channels of d_inner (E) that one program computes, and its warps.

With more warps than there is work for, sums across them take most of the time: on an NVIDIA H200,
256 sequences of 128 hops with gradients take 1.4 ms with one warp, 2.8 ms with four.
"""


def _step(
    delta: tl.tensor,
    a: tl.tensor,
    A: tl.tensor,
    B: tl.tensor,
    C: tl.tensor,
    h: tl.tensor,
    rows: tl.tensor,
    y: tl.tensor,
    n_tokens: tl.tensor,
    width: tl.tensor,
    n: tl.tensor,
    h_row: tl.tensor,
    h_width: tl.tensor,
    h_n: tl.tensor,
    E_BLOCK: tl.constexpr,
    N_BLOCK: tl.constexpr,
) -> None:
    """Advance one stream's state, of some channels, over the tokens of a hop."""
    stream = tl.program_id(0).to(tl.int64)  # products with sizes may be large
    e = tl.program_id(1) * E_BLOCK + tl.arange(0, E_BLOCK)
    k = tl.arange(0, N_BLOCK)
    row = tl.load(rows + stream)
    live = row + 0 * e >= 0
    both = (e < width)[:, None] & (k < n)[None, :]
    decay = tl.load(A + e[:, None] * n + k[None, :], mask=both, other=0.0)
    place = h + tl.maximum(row, 0) * h_row + e[:, None] * h_width + k[None, :] * h_n
    state = tl.load(place, mask=both & live[:, None], other=0.0)
    for t in range(n_tokens):
        at = stream * n_tokens + t
        d = tl.load(delta + at * width + e, mask=e < width, other=0.0)
        x = tl.load(a + at * width + e, mask=e < width, other=0.0)
        b = tl.load(B + at * n + k, mask=k < n, other=0.0)
        c = tl.load(C + at * n + k, mask=k < n, other=0.0)
        state = tl.exp(d[:, None] * decay) * state + (d * x)[:, None] * b[None, :]
        out = tl.where(live, tl.sum(state * c[None, :], axis=1), 0.0)
        tl.store(y + at * width + e, out, mask=e < width)
    tl.store(place, state, mask=both & live[:, None])


def _scan(
    delta: tl.tensor,
    a: tl.tensor,
    A: tl.tensor,
    B: tl.tensor,
    C: tl.tensor,
    r: tl.tensor,
    h: tl.tensor,
    y: tl.tensor,
    starts: tl.tensor,
    last: tl.tensor,
    n_hops: tl.tensor,
    n_tokens: tl.tensor,
    width: tl.tensor,
    n: tl.tensor,
    E_BLOCK: tl.constexpr,
    N_BLOCK: tl.constexpr,
) -> None:
    """Run over one sequence, and keep the state at the start of each hop, after its gate."""
    sequence = tl.program_id(0).to(tl.int64)
    e = tl.program_id(1) * E_BLOCK + tl.arange(0, E_BLOCK)
    k = tl.arange(0, N_BLOCK)
    both = (e < width)[:, None] & (k < n)[None, :]
    own = e[:, None] * n + k[None, :]
    decay = tl.load(A + own, mask=both, other=0.0)
    state = tl.load(h + sequence * width * n + own, mask=both, other=0.0)
    for s in range(n_hops):
        hop = sequence * n_hops + s
        gate = tl.load(r + hop)
        state = tl.where(gate > 0, gate * state, 0.0)  # a product would keep NaN
        tl.store(starts + hop * width * n + own, state, mask=both)
        for t in range(n_tokens):
            at = hop * n_tokens + t
            d = tl.load(delta + at * width + e, mask=e < width, other=0.0)
            x = tl.load(a + at * width + e, mask=e < width, other=0.0)
            b = tl.load(B + at * n + k, mask=k < n, other=0.0)
            c = tl.load(C + at * n + k, mask=k < n, other=0.0)
            state = tl.exp(d[:, None] * decay) * state + (d * x)[:, None] * b[None, :]
            tl.store(y + at * width + e, tl.sum(state * c[None, :], axis=1), mask=e < width)
    tl.store(last + sequence * width * n + own, state, mask=both)


def _scan_back(
    delta: tl.tensor,
    a: tl.tensor,
    A: tl.tensor,
    B: tl.tensor,
    C: tl.tensor,
    r: tl.tensor,
    starts: tl.tensor,
    dy: tl.tensor,
    dlast: tl.tensor,
    ddelta: tl.tensor,
    da: tl.tensor,
    dA: tl.tensor,
    dB: tl.tensor,
    dC: tl.tensor,
    dh: tl.tensor,
    n_hops: tl.tensor,
    n_tokens: tl.tensor,
    width: tl.tensor,
    n: tl.tensor,
    E_BLOCK: tl.constexpr,
    N_BLOCK: tl.constexpr,
) -> None:
    """Run back over one sequence; states within a hop are computed again from its start.

    ``dB`` and ``dC`` are by block of channels, ``dA`` by sequence: the caller sums them.
    """
    sequence, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    e = block * E_BLOCK + tl.arange(0, E_BLOCK)
    k = tl.arange(0, N_BLOCK)
    both = (e < width)[:, None] & (k < n)[None, :]
    own = e[:, None] * n + k[None, :]
    rate = tl.load(A + own, mask=both, other=0.0)
    back = tl.load(dlast + sequence * width * n + own, mask=both, other=0.0)
    drate = tl.zeros((E_BLOCK, N_BLOCK), tl.float32)
    n_sequences = tl.num_programs(0)
    for s_back in range(n_hops):
        hop = sequence * n_hops + n_hops - 1 - s_back
        for t_back in range(n_tokens):
            t = n_tokens - 1 - t_back
            state = tl.load(starts + hop * width * n + own, mask=both, other=0.0)
            for u in range(t):
                at = hop * n_tokens + u
                d = tl.load(delta + at * width + e, mask=e < width, other=0.0)
                x = tl.load(a + at * width + e, mask=e < width, other=0.0)
                b = tl.load(B + at * n + k, mask=k < n, other=0.0)
                state = tl.exp(d[:, None] * rate) * state + (d * x)[:, None] * b[None, :]
            at = hop * n_tokens + t
            d = tl.load(delta + at * width + e, mask=e < width, other=0.0)
            x = tl.load(a + at * width + e, mask=e < width, other=0.0)
            b = tl.load(B + at * n + k, mask=k < n, other=0.0)
            c = tl.load(C + at * n + k, mask=k < n, other=0.0)
            g = tl.load(dy + at * width + e, mask=e < width, other=0.0)
            decay = tl.exp(d[:, None] * rate)
            after = decay * state + (d * x)[:, None] * b[None, :]
            part = (block * n_sequences * n_hops * n_tokens + at) * n + k
            tl.store(dC + part, tl.sum(g[:, None] * after, axis=0), mask=k < n)
            back += g[:, None] * c[None, :]
            tl.store(dB + part, tl.sum(back * (d * x)[:, None], axis=0), mask=k < n)
            entering = tl.sum(back * b[None, :], axis=1)
            faded = back * state * decay
            drate += faded * d[:, None]
            tl.store(da + at * width + e, entering * d, mask=e < width)
            step = entering * x + tl.sum(faded * rate, axis=1)
            tl.store(ddelta + at * width + e, step, mask=e < width)
            back = back * decay
        gate = tl.load(r + hop)
        back = tl.where(gate > 0, gate * back, 0.0)
    tl.store(dA + sequence * width * n + own, drate, mask=both)
    tl.store(dh + sequence * width * n + own, back, mask=both)


step_kernel, scan_kernel, scan_back_kernel = map(triton.jit, (_step, _scan, _scan_back))


class SelectiveScan(torch.autograd.Function):
    """The scan with gradients for all but the gates."""

    @staticmethod
    def forward(
        ctx: Any, delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, r: Tensor, h: Tensor
    ) -> tuple[Tensor, Tensor]:
        delta, a, A, B, C, r, h = (t.contiguous() for t in (delta, a, A, B, C, r, h))
        batch, n_hops = r.shape
        y, last, starts = torch.empty_like(a), torch.empty_like(h), h.new_empty(n_hops, *h.shape)
        sizes = (n_hops, a.shape[1] // n_hops, *A.shape)
        grid, options = _launch(batch, A)
        scan_kernel[grid](delta, a, A, B, C, r, h, y, starts, last, *sizes, **options)
        ctx.save_for_backward(delta, a, A, B, C, r, starts)
        return y, last

    @staticmethod
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        delta, a, A, B, C, r, starts = ctx.saved_tensors
        batch, n_hops = r.shape
        grid, options = _launch(batch, A)
        ddelta, da, dh = torch.empty_like(delta), torch.empty_like(a), torch.empty_like(starts[0])
        dA, dB, dC = torch.empty_like(dh), *(B.new_empty(grid[1], *B.shape) for _ in range(2))
        scan_back_kernel[grid](
            *(delta, a, A, B, C, r, starts, dy.contiguous(), dlast.contiguous()),
            *(ddelta, da, dA, dB, dC, dh),
            *(n_hops, a.shape[1] // n_hops, *A.shape),
            **options,
        )
        return ddelta, da, dA.sum(0), dB.sum(0), dC.sum(0), None, dh


def _launch(batch: int, A: Tensor) -> tuple[tuple[int, int], dict[str, int]]:
    """Return the grid, and the options of a launch; sizes of blocks are powers of two."""
    n_block = triton.next_power_of_2(A.shape[1])
    options = {"E_BLOCK": BLOCK, "N_BLOCK": n_block, "num_warps": WARPS}
    return (batch, math.ceil(A.shape[0] / BLOCK)), options


@dataclass(frozen=True)
class TritonKernels:
    """These kernels, called like ``MambaKernels``."""

    version: str = str(triton.__version__)

    def step(
        self, delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor, rows: Tensor
    ) -> Tensor:
        """Advance h over the tokens of one hop, in place, like ``MambaKernels.step``."""
        delta, a, A, B, C = (t.contiguous() for t in (delta, a, A, B, C))
        y = torch.empty_like(a)
        grid, options = _launch(len(a), A)
        sizes = (a.shape[1], *A.shape, *h.stride())
        step_kernel[grid](delta, a, A, B, C, h, rows, y, *sizes, **options)
        return y

    def scan(
        self, delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, r: Tensor, h: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run over whole sequences from any state, like ``recur_gated``, with gradients."""
        y, last = SelectiveScan.apply(delta, a, A, B, C, r, h)  # type: ignore[no-untyped-call]
        return y, last

    def can_scan(self, r: Tensor, h: Tensor) -> bool:  # noqa: ARG002
        """Return True: any gates and states will do."""
        return True
