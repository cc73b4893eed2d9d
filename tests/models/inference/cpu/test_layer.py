"""Workspaces: the arrays of one do not overlap, and all share one memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mimamba.models.inference.cpu.layer import TOKENWISE_FROM, Workspace, Workspaces
from tests.models.network.test_msimamba import SMALL


def parts(space: Workspace) -> list[Tensor]:
    inputs = torch.from_numpy(space.inputs)
    return [
        space.e,
        inputs,
        space.az,
        space.low,
        space.decay,
        space.h,
        space.y,
        space.wide,
        space.spare,
    ]


@pytest.mark.parametrize("batch", [1, 2, TOKENWISE_FROM - 1, TOKENWISE_FROM])
def test_parts_are_apart(batch: int) -> None:
    space = Workspaces(replace(SMALL, d_conv=3), torch.zeros(1)).get(batch)
    for number, part in enumerate(parts(space)):
        part.fill_(number)
    for number, part in enumerate(parts(space)):
        assert (part == number).all()
    assert space.tokenwise == (batch >= TOKENWISE_FROM)


def test_all_are_in_the_memory_of_the_largest() -> None:
    workspaces = Workspaces(SMALL, torch.zeros(1))
    large, small = workspaces.get(9), workspaces.get(2)
    assert small.e.untyped_storage().data_ptr() == large.e.untyped_storage().data_ptr()
    assert workspaces.get(9) is large
    larger = workspaces.get(10)
    assert larger.e.untyped_storage().data_ptr() != large.e.untyped_storage().data_ptr()
    assert workspaces.get(2) is not small
