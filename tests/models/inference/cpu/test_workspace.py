"""Rooms: what lies in one is apart, and all are in the same memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mimamba.models.inference.cpu.workspace import MANY, Workspace, Workspaces
from tests.models.network.test_msimamba import SMALL


def parts(room: Workspace) -> list[Tensor]:
    inputs = torch.from_numpy(room.inputs)
    return [room.e, inputs, room.az, room.low, room.decay, room.h, room.y, room.wide, room.spare]


@pytest.mark.parametrize("batch", [1, 2, MANY - 1, MANY])
def test_parts_are_apart(batch: int) -> None:
    room = Workspaces(replace(SMALL, d_conv=3), torch.zeros(1)).of(batch)
    for number, part in enumerate(parts(room)):
        part.fill_(number)
    for number, part in enumerate(parts(room)):
        assert (part == number).all()
    assert room.many == (batch >= MANY)


def test_all_are_in_the_memory_of_the_largest() -> None:
    rooms = Workspaces(SMALL, torch.zeros(1))
    large, small = rooms.of(9), rooms.of(2)
    assert small.e.untyped_storage().data_ptr() == large.e.untyped_storage().data_ptr()
    assert rooms.of(9) is large
    larger = rooms.of(10)
    assert larger.e.untyped_storage().data_ptr() != large.e.untyped_storage().data_ptr()
    assert rooms.of(2) is not small
