"""The benchmark of a CUDA device: its reason to not run without one, and its figures on a CPU."""

from __future__ import annotations

import pytest
import torch

from mimamba.models.inference.cuda_graphs import CUDAGraphStepper
from mimamba.models.inference.stepper import CPUStepper
from mimamba.models.network.config import REFERENCE
from mimamba.service.bench.figures import NotRun
from mimamba.service.bench.steps import random_network
from tests.benchmarks import cuda
from tests.models.marks import without_cuda

SMALL = cuda.CUDAPlan(batches=(1, 3), streams=2, hops=2)


@without_cuda
def test_without_a_device_it_says_why() -> None:
    with pytest.raises(
        NotRun, match=r"Expected a CUDA device, but found .*PyTorch.*. Run it on a mach"
    ):
        cuda.measure(1.0)


def test_its_figures_are_complete() -> None:
    figures = cuda.measure_device("cpu", ["fp32", "bf16"], 0.0, SMALL)
    found = {each.what: each for each in figures}
    aims = [each for each in found.values() if each.met is not None]
    assert [each.what for each in aims] == [
        "one hop, batch 1, p50",
        "step over one core's naive way, batch 3",
    ]
    speeds = [what for what, each in found.items() if each.unit == "hops/s"]
    assert speeds == [
        *("fp32, batch 1", "naive, batch 1"),
        *("fp32, batch 3", "bf16, batch 3", "naive, batch 3"),
    ]
    assert all(found[what].value > 0 for what in speeds)


def test_logits_are_compared_with_the_cpu() -> None:
    network = random_network()
    exact = cuda.logits(CPUStepper(network), SMALL)
    assert exact.shape == (2, 2, REFERENCE.n_outputs)
    torch.testing.assert_close(
        cuda.logits(CUDAGraphStepper(network, "cpu", rows=4), SMALL), exact, atol=1e-5, rtol=0
    )
    (fine, _), (coarse, share) = (
        [each.value for each in cuda.errors(network, "cpu", precision, SMALL)]
        for precision in ("fp32", "bf16")
    )
    assert fine < 1e-5 < coarse < 0.1
    assert 0 < share < 10
