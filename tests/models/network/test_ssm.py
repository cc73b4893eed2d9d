"""The selective SSM equals an independent one, in one go and step by step, gates included."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from mambapy.mamba import MambaBlock, MambaConfig
from torch import Tensor, nn

from mimamba.models.network.ssm import DT, SCAN_BLOCK, SelectiveSSM, apply_gate

D_MODEL, D_STATE, D_CONV, EXPAND, CHANNELS = 24, 5, 4, 2, 4
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


class Exact(nn.Parameter):
    """mambapy computes A in single precision, whatever the weights are; this one stays itself."""

    def float(self, memory_format: torch.memory_format | None = None) -> Tensor:  # noqa: ARG002
        return self


def make(dtype: torch.dtype = torch.float64, d_conv: int = D_CONV) -> SelectiveSSM:
    torch.manual_seed(1)
    ssm = SelectiveSSM(D_MODEL, D_STATE, d_conv, EXPAND).to(dtype)
    with torch.no_grad():
        ssm.dt_proj.bias.add_(3.0)  # faster: a carried state then matters within a few tokens
        ssm.A_log.add_(0.1 * torch.randn_like(ssm.A_log))
        ssm.D.normal_()
    return ssm


def independent(ssm: SelectiveSSM) -> MambaBlock:
    block = MambaBlock(MambaConfig(D_MODEL, 1, d_state=D_STATE, expand_factor=EXPAND, pscan=False))
    block.load_state_dict(ssm.state_dict())
    block = block.to(ssm.D.dtype)
    for name in ("A_log", "D"):
        setattr(block, name, Exact(getattr(ssm, name).detach()))
    return block


def fresh(ssm: SelectiveSSM, batch: int) -> tuple[Tensor, Tensor]:
    d_inner = EXPAND * D_MODEL
    taps = ssm.conv1d.kernel_size[0]
    return (
        ssm.D.new_zeros(batch, d_inner, D_STATE),
        ssm.D.new_zeros(batch, d_inner, taps - 1),
    )


def steps(ssm: SelectiveSSM, u: Tensor, r: Tensor, h: Tensor, history: Tensor) -> list[Tensor]:
    """Hop by hop: all outputs, then the states."""
    outs = []
    for hop, r_hop in zip(u.chunk(r.shape[1], 1), r.chunk(r.shape[1], 1), strict=True):
        y, h, history = ssm(hop, r_hop, h, history)
        outs.append(y)
    return [torch.cat(outs, dim=1), h, history]


def close(found: Tensor, expected: Tensor) -> None:
    bound = TOLERANCE[expected.dtype]
    torch.testing.assert_close(found, expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@torch.no_grad()
def test_scan_and_steps_equal_an_independent_mamba(dtype: torch.dtype) -> None:
    ssm = make(dtype)
    u = torch.randn(3, 10 * CHANNELS, D_MODEL, dtype=dtype)
    r = torch.ones(3, 10, dtype=dtype)
    with torch.no_grad():
        expected = independent(ssm)(u)
    assert expected.dtype == dtype
    close(ssm(u, r, *fresh(ssm, 3))[0], expected)
    close(steps(ssm, u, r, *fresh(ssm, 3))[0], expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@torch.no_grad()
def test_zero_gates_equal_independent_mambas_per_hop(dtype: torch.dtype) -> None:
    ssm = make(dtype)
    u = torch.randn(2, 6 * CHANNELS, D_MODEL, dtype=dtype)
    y = ssm(u, torch.zeros(2, 6, dtype=dtype), *fresh(ssm, 2))[0]
    hops = u.reshape(12, CHANNELS, D_MODEL)
    close(y.reshape(12, CHANNELS, D_MODEL), independent(ssm)(hops))


@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.parametrize("d_conv", [1, 2, 4, 7])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_steps_equal_the_scan_for_any_gates(d_conv: int, channels: int, learning: bool) -> None:
    """With fewer channels than taps, a token's history reaches over several gates."""
    ssm, n_hops = make(d_conv=d_conv), SCAN_BLOCK // (3 * channels) + 2
    u = torch.randn(3, n_hops * channels, D_MODEL, dtype=torch.float64)
    r = torch.rand(3, n_hops, dtype=torch.float64)
    r[1, 3] = r[2, 5] = 0.0
    start = [torch.randn_like(state) for state in fresh(ssm, 3)]
    with torch.set_grad_enabled(learning):
        for found, expected in zip(steps(ssm, u, r, *start), ssm(u, r, *start), strict=True):
            close(found, expected)


@pytest.mark.parametrize("learning", [False, True])
def test_a_zero_gate_removes_nan_in_one_stream(learning: bool) -> None:
    ssm = make()
    u = torch.randn(2, 6 * CHANNELS, D_MODEL, dtype=torch.float64)
    r = torch.ones(2, 6, dtype=torch.float64)
    r[1, 2] = 0.0
    h, history = fresh(ssm, 2)
    h[1], history[1] = torch.nan, torch.nan
    with torch.set_grad_enabled(learning):
        y, *after = ssm(u, r, h, history)
    assert y[0].isfinite().all()
    assert y[1, : 2 * CHANNELS].isnan().all()
    assert y[1, 2 * CHANNELS :].isfinite().all()
    assert all(state.isfinite().all() for state in after)


@torch.no_grad()
def test_a_gate_multiplies_all_that_is_remembered() -> None:
    ssm = make()
    u = torch.randn(2, CHANNELS, D_MODEL, dtype=torch.float64)
    h, history = (torch.randn_like(state) for state in fresh(ssm, 2))
    r = torch.full((2, 1), 0.3, dtype=torch.float64)
    one = torch.ones_like(r)
    for found, expected in zip(
        ssm(u, r, h, history), ssm(u, one, 0.3 * h, 0.3 * history), strict=True
    ):
        close(found, expected)


@torch.no_grad()
def test_random_resets_equal_independent_segments() -> None:
    ssm = make()
    u = torch.randn(1, 12 * CHANNELS, D_MODEL, dtype=torch.float64)
    r = torch.ones(1, 12, dtype=torch.float64)
    starts = [0, 2, 3, 8, 12]
    r[0, starts[1:-1]] = 0.0
    whole = ssm(u, r, *fresh(ssm, 1))[0]
    block = independent(ssm)
    for first, stop in pairwise(starts):
        span = slice(first * CHANNELS, stop * CHANNELS)
        close(whole[:, span], block(u[:, span]))


def test_gradients_flow_through_the_gates() -> None:
    ssm = make()
    u = torch.randn(1, 2 * CHANNELS, D_MODEL, dtype=torch.float64, requires_grad=True)
    for r, reaches in ((1.0, True), (0.0, False)):
        gates = torch.tensor([[0.0, r]], dtype=torch.float64)
        last = ssm(u, gates, *fresh(ssm, 1))[0][0, -1].sum()
        (gradient,) = torch.autograd.grad(last, u)
        assert bool(gradient[0, : CHANNELS - 1].abs().sum() > 0) is reaches
        assert gradient.isfinite().all()


def test_nothing_of_nan_is_kept_by_a_zero_gate() -> None:
    memory = torch.tensor([[float("nan"), float("inf"), 2.0]])
    assert apply_gate(memory, torch.zeros(1, 1)).tolist() == [[0.0, 0.0, 0.0]]
    assert apply_gate(memory, torch.full((1, 1), 0.5))[0, 2] == 1.0


def test_initialisation_is_mambas() -> None:
    ssm = SelectiveSSM(64, 16, 4, 2)
    delta = nn.functional.softplus(ssm.dt_proj.bias)
    assert delta.min() >= DT[0] * 0.99
    assert delta.max() <= DT[1] * 1.01
    torch.testing.assert_close(ssm.A_log[5].exp(), torch.arange(1.0, 17.0))
    assert ssm.D.eq(1).all()
    assert {name: tuple(p.shape) for name, p in ssm.named_parameters()} == {
        "A_log": (128, 16),
        "D": (128,),
        "in_proj.weight": (256, 64),
        "conv1d.weight": (128, 1, 4),
        "conv1d.bias": (128,),
        "x_proj.weight": (36, 128),
        "dt_proj.weight": (128, 4),
        "dt_proj.bias": (128,),
        "out_proj.weight": (64, 128),
    }
