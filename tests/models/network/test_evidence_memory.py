"""The memory of evidence begins as exponential means, and steps as it scans."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.evidence_memory import EvidenceMemory
from tests.models.network.test_msimamba import close, eeg, make, steps

TIME_CONSTANTS = (3.0, 10.0)
WHOLE = MSiMambaConfig(
    n_times=64,
    n_outputs=3,
    n_scales=2,
    kernels=(1, 3),
    hidden=2,
    d_model=8,
    d_ff=8,
    n_layers=1,
    d_state=8,
    d_conv=1,
    normalisation="scaled",
    embedding="spectral",
    bins=(1, 29),
    bands=14,
    mixer="evidence",
    time_constants=TIME_CONSTANTS,
    mstb_identity=True,
)


def plain_means(u: Tensor) -> Tensor:
    """Mean over the time constants of exponential means of tokens (B, S, C, d), begun at zero."""
    means = []
    for hops in TIME_CONSTANTS:
        kept, mean, found = math.exp(-1 / hops), torch.zeros_like(u[:, 0]), []
        for token in u.unbind(1):
            mean = kept * mean + (1 - kept) * token
            found.append(mean)
        means.append(torch.stack(found, 1))
    return torch.stack(means).mean(0)


@pytest.mark.parametrize("learning", [False, True])
def test_it_begins_as_exponential_means(learning: bool) -> None:
    torch.manual_seed(0)
    memory = EvidenceMemory(WHOLE)
    u = torch.randn(2, 40, 4, 8)
    with torch.set_grad_enabled(learning):
        empty = torch.zeros(2, 8, 8), torch.zeros(2, 8, 0)
        y, _, _ = memory(u.flatten(1, 2), torch.ones(2, 40), *empty)
    torch.testing.assert_close(y.view(2, 40, 4, 8), plain_means(u), rtol=1e-4, atol=1e-5)


def test_steps_equal_the_scan_and_go_on_from_a_saved_state() -> None:
    network, x = make(WHOLE), eeg(3, 9, 4, 64)
    r = torch.rand(3, 9, dtype=torch.float64)
    r[0, 4] = r[2, 7] = 0.0
    stepped, after = steps(network, x, r, None)
    scanned, expected = network.scan(x, r, None)
    close(stepped, scanned)
    assert after is not None
    close(after.h, expected.h)
    _, half = network.scan(x[:, :5], r[:, :5], None)
    close(network.scan(x[:, 5:], r[:, 5:], half)[0], scanned[:, 5:])


def test_the_multi_scale_block_begins_as_the_identity() -> None:
    network, x = make(WHOLE), eeg(5, 4, 64)
    assert network.mstb(x).equal(x)
    network.requires_grad_(True)
    torch.autograd.backward(network(x).sum())
    narrow = [p.grad for name, p in network.named_parameters() if "narrow" in name]
    assert all(grad is not None and grad.any() for grad in narrow)


@pytest.mark.parametrize(
    "wrong", [{"time_constants": ()}, {"time_constants": (0.0, 1.0)}, {"d_state": 4}, {"d_conv": 4}]
)
def test_impossible_memories_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        replace(WHOLE, **wrong)  # type: ignore[arg-type]
