"""The recurrence over whole sequences: what one step after the other gives, and its gradient."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mimamba.models.network.selective_scan import recur


def inputs(n_hops: int, n_tokens: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (n_hops * n_tokens, 2, 3, 2)
    decay = torch.rand(shape, generator=generator, dtype=torch.float64)
    entering = torch.randn(shape, generator=generator, dtype=torch.float64)
    r = torch.rand((n_hops, 2), generator=generator, dtype=torch.float64)
    r = torch.where(r < 0.3, 0.0, r)
    h = torch.randn(shape[1:], generator=generator, dtype=torch.float64)
    return decay, entering, r, h


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 100))
def test_it_is_one_step_after_the_other(n_hops: int, n_tokens: int, seed: int) -> None:
    decay, entering, r, h = inputs(n_hops, n_tokens, seed)
    expected = []
    for t in range(n_hops * n_tokens):
        if t % n_tokens == 0:
            h = r[t // n_tokens][:, None, None] * h
        h = decay[t] * h + entering[t]
        expected.append(h)
    found = recur(*inputs(n_hops, n_tokens, seed))
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-12, atol=1e-12)


@settings(max_examples=10)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 100))
def test_its_gradient_is_that_of_differences(n_hops: int, n_tokens: int, seed: int) -> None:
    decay, entering, r, h = inputs(n_hops, n_tokens, seed)
    learnt = [t.requires_grad_() for t in (decay, entering, h)]

    def run(decay: Tensor, entering: Tensor, h: Tensor) -> Tensor:
        return recur(decay, entering, r, h)

    assert torch.autograd.gradcheck(run, learnt)


def test_a_gate_of_0_removes_nan() -> None:
    decay, entering, r, h = inputs(3, 2, 1)
    r[1:] = 0.0
    h[:] = torch.nan
    found = recur(decay, entering, r, h)
    assert found[:2].isnan().all() or (r[0] == 0).any()
    assert found[2:].isfinite().all()
