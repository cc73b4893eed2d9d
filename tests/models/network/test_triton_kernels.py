"""The Triton kernels equal PyTorch: on a CUDA device, else in Triton's interpreter."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mimamba.models.network import ssm
from mimamba.models.network.mamba_kernels import check_kernels
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.network.ssm import States, recur_gated
from mimamba.models.network.static_shapes import step_rows, to_static
from tests.models.network.test_msimamba import SMALL, eeg, make

os.environ.setdefault("TRITON_INTERPRET", str(int(not torch.cuda.is_available())))  # at the import
pytest.importorskip("triton", reason="triton is not installed")

from mimamba.models.network.triton_kernels import TritonKernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
KERNELS = TritonKernels()


def near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def inputs(n_hops: int, width: int, n: int) -> list[Tensor]:
    """Return delta, a, A, B, C, gates with restarts and fading, and h; float32."""
    generator = torch.Generator().manual_seed(n)
    shapes = [(3, 4 * n_hops, width)] * 2 + [(width, n)] + [(3, 4 * n_hops, n)] * 2
    made = [torch.randn(shape, generator=generator) for shape in [*shapes, (3, width, n)]]
    made[0], made[2] = made[0].abs() / 2, -made[2].exp()
    r = torch.rand(3, n_hops, generator=generator)
    r[0] = 1.0
    r[1, 1:2] = 0.0
    return [t.to(DEVICE) for t in (*made[:5], r, made[5])]


@pytest.mark.parametrize(("width", "n"), [(5, 3), (20, 8)])
def test_the_scan_and_its_gradients(width: int, n: int) -> None:
    """From any state, with gates and restarts; the last state has a gradient, too."""
    delta, a, A, B, C, r, h = inputs(3, width, n)
    results = []
    for scan in (KERNELS.scan, recur_gated):
        own = [t.clone().requires_grad_(True) for t in (delta, a, A, B, C, h)]
        delta, a, A, B, C, h = own
        y, last = scan(delta, a, A, B, C, r, h)
        loss = (y * y.detach().cos()).sum() + (last * last.detach().sin()).sum()
        results.append([y, last, *torch.autograd.grad(loss, own)])
    for found, expected in zip(*results, strict=True):
        near(found, expected)


def test_a_restart_forgets_what_is_no_number() -> None:
    delta, a, A, B, C, r, h = inputs(2, 5, 3)
    h[1] = torch.nan
    r[1, 0] = 0.0
    y, last = KERNELS.scan(delta, a, A, B, C, r, h)
    assert y.isfinite().all()
    assert last.isfinite().all()


def test_the_step_updates_the_slots_of_its_streams_only() -> None:
    delta, a, A, B, C, _, _ = inputs(1, 5, 3)
    pool = torch.randn(4, 3, 5, device=DEVICE).transpose(1, 2)  # as the pool of states has it
    before = pool.clone()
    y = KERNELS.step(delta, a, A, B, C, pool, torch.tensor([2, -1, 0], device=DEVICE))
    delta, a, B, C = (t[[0, 2]] for t in (delta, a, B, C))
    expected, after = recur_gated(
        delta, a, A, B, C, torch.ones(2, 1, device=DEVICE), before[[2, 0]]
    )
    near(y[[0, 2]], expected)
    near(pool[[2, 0]], after)
    assert pool[[1, 3]].equal(before[[1, 3]])
    assert not y[1].any()
    check_kernels(KERNELS, DEVICE)


def test_a_network_steps_and_learns_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make(replace(SMALL, dropout=0.0), torch.float32).to(DEVICE)
    x = eeg(2, 3, 4, 64, dtype=torch.float32).to(DEVICE)
    r = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, 1.0]], device=DEVICE)

    def results(network: MSiMamba) -> list[Tensor]:
        network.zero_grad()
        logits, states = network.requires_grad_(True).scan(x, r, None)
        torch.autograd.backward(
            cross_entropy(logits.flatten(0, 1), torch.arange(6, device=DEVICE) % 5)
        )
        found = [logits, *(p.grad.clone() for p in network.parameters() if p.grad is not None)]
        pool = States(*(t.detach().clone() for t in states))
        network.requires_grad_(False)
        rows = torch.tensor([1, -1], device=DEVICE)
        stepped = step_rows(to_static(network), x[:, 0], r[:, 1], pool, rows)
        return [*found, stepped[:1], *pool]

    monkeypatch.setattr(ssm, "find_kernels", lambda _: None)
    expected = results(network)
    monkeypatch.setattr(ssm, "find_kernels", lambda _: KERNELS)
    for own, wanted in zip(results(network), expected, strict=True):
        near(own, wanted)
