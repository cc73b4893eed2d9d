"""The stepper of a CUDA device; where there is none, without graphs: padding, growth, precision."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mimamba.models.inference.cuda_graphs import (
    CUDAGraphStepper,
    StagingBuffers,
    round_up_batch,
    use_precision,
)
from mimamba.models.inference.precision import Precision
from mimamba.models.inference.stepper import CPUStepper
from mimamba.models.network.config import REFERENCE
from tests.models.marks import on_cuda
from tests.models.network.test_msimamba import SMALL, eeg, make


def test_batches_are_padded_to_powers_of_two() -> None:
    assert [round_up_batch(n) for n in (1, 2, 3, 4, 5, 9, 4095, 4096)] == [
        1,
        2,
        4,
        4,
        8,
        16,
        4096,
        4096,
    ]


def test_what_is_staged_arrives_in_one_copy() -> None:
    staging = StagingBuffers(4, SMALL, torch.device("cpu"))
    windows = eeg(4, 4, 64, dtype=torch.float32)
    staging.fill([7, 5, 6, 9], list(windows.numpy()), [0.1, 0.2, 0.3, 0.4])
    staging.fill([3, 2], list(windows[2:].numpy()), [0.0, 1.0])
    assert staging.rows.tolist() == [3, 2, -1, -1]
    assert staging.gates[:2].tolist() == [0.0, 1.0]
    assert staging.windows[:2].equal(windows[2:])
    assert staging.host.nbytes == 4 * (8 + 4 + 4 * 4 * 64)


def check_equal(device: str, precision: Precision, bound: float) -> None:
    """Streams that open while others are stepped, in batches of all sizes up to 5."""
    network = make(replace(REFERENCE, n_outputs=5), torch.float32)
    graph = CUDAGraphStepper(network, device, precision, rows=4)
    plain = CPUStepper(network)
    pairs: list[tuple[int, int]] = []
    worst = 0.0
    for hop in range(6):
        pairs.append((graph.pool.open(), plain.pool.open()))
        chosen = pairs[-5:][:: -1 if hop % 2 else 1]
        windows = list(eeg(len(chosen), 4, 128, dtype=torch.float32, seed=hop).numpy())
        gates = [0.0, 0.9, 1.0, 0.5, 0.3][: len(chosen)]
        found = graph.step([row for row, _ in chosen], windows, gates)
        expected = plain.step([row for _, row in chosen], windows, gates)
        worst = max(worst, float((found - expected).abs().max()))
    assert worst < bound
    for mine, other in pairs:
        torch.testing.assert_close(
            graph.pool.read(mine), plain.pool.read(other), atol=bound, rtol=0
        )
        assert graph.pool.read(mine).h.dtype == torch.float32
    assert not graph.pool.h[:, 0].any()  # padding


def test_without_a_graph_it_equals_the_cpu() -> None:
    check_equal("cpu", "fp32", 1e-5)


def test_half_precision_stays_near_and_its_state_whole() -> None:
    check_equal("cpu", "bf16", 0.1)
    with pytest.raises(AssertionError):
        check_equal("cpu", "bf16", 1e-5)


@on_cuda
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-4), ("tf32", 2e-2), ("bf16", 0.1)])
def test_graphs_equal_the_cpu(precision: Precision, bound: float) -> None:
    check_equal("cuda", precision, bound)


def test_precision_is_as_before_afterwards() -> None:
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, products.allow_tf32
    with use_precision(torch.device("cpu"), "tf32"):
        assert (cudnn.allow_tf32, products.allow_tf32) == (True, True)
        with use_precision(torch.device("cpu"), "fp32"):
            assert (cudnn.allow_tf32, products.allow_tf32) == (False, False)
    assert (cudnn.allow_tf32, products.allow_tf32) == before
