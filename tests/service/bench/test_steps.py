"""Hops a second: counted operations, compared candidates, and the restored thread count."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from mimamba.models.network.config import REFERENCE
from mimamba.service.bench import steps
from mimamba.service.bench.roofline import multiply_adds


@given(st.integers(2, 128))
@settings(max_examples=20)
def test_taps_outside_of_a_map_are_not_counted(period: int) -> None:
    n_rows = math.ceil(REFERENCE.n_times / period)
    met = conv2d(torch.ones(1, 1, n_rows, period), torch.ones(1, 1, 5, 5), padding=2).sum()
    per_tap = 2 * REFERENCE.n_channels * REFERENCE.hidden
    found = multiply_adds(REFERENCE, [period]) - multiply_adds(REFERENCE, [])
    assert found == per_tap * int(met)


def test_each_batch_size_is_compared() -> None:
    threads = torch.get_num_threads()
    plan = steps.StepPlan(batches=(2, 3), aimed=3, published=())
    figures = {each.what: each for each in steps.measure(0.0, plan)}
    assert torch.get_num_threads() == threads
    for batch in (2, 3):
        for name in ("step", "naive", "step over naive", "step, share of the roofline"):
            assert figures[f"{name}, batch {batch}"].value > 0
    aims = [each for each in figures.values() if each.aim]
    assert [each.what for each in aims] == [
        "one hop, batch 1, p50",
        "step over naive, batch 3",
        "step, share of the roofline, batch 3",
        "workload over demo, batch 3",
    ]
    assert all(each.met is not None for each in aims)
    assert all(each.met is None for each in figures.values() if not each.aim)
