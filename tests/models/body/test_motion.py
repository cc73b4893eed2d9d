"""Movements of the head in motion sensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mimamba.drivers.driver import AuxiliaryInfo
from mimamba.models.body.motion import MotionMemory, find_motion
from tests.models.body.planted import ACCELERATION, PPG, ROTATION, chunks_of


@pytest.mark.parametrize(
    ("info", "row", "moved"),
    [
        (ROTATION, [2.0, -3.0, 1.0], False),
        (ROTATION, [0.0, 25.0, 0.0], True),
        (ROTATION, [15.0, -15.0, 0.0], True),
        (ACCELERATION, [0.0, 0.0, -1.03], False),
        (ACCELERATION, [0.6, 0.6, 0.53], False),  # tilted
        (ACCELERATION, [0.0, 0.7, 1.0], True),
        (ACCELERATION, [0.0, 0.1, 0.2], True),
        (ACCELERATION, [np.nan, 0.1, 0.2], False),
        (replace(ROTATION, unit="counts"), [0.0, 9000.0, 0.0], False),
        (PPG, [9000.0, 9000.0, 9000.0], False),
    ],
)
def test_a_movement_is_more_than_rest_and_tilt(
    info: AuxiliaryInfo, row: list[float], moved: bool
) -> None:
    assert find_motion(info, np.array([row], np.float32)).tolist() == [moved]


def test_the_seconds_of_movements_are_counted() -> None:
    data = np.zeros((52 * 20, 3), np.float32)
    data[52 * 5 + 10 : 52 * 7, 1] = 90.0  # in the seconds 105 and 106
    data[52 * 12 + 1, 1] = 90.0
    memory = MotionMemory()
    assert memory.newest is None
    for chunk in chunks_of(data, (3,), info=ROTATION):
        memory.feed(chunk)
    assert memory.newest == pytest.approx(112 + 1 / 52)
    assert memory.count(100.0, 110.0) == 2
    assert memory.count(104.0, 114.0) == 3
    assert memory.count(107.5, 112.0) == 0
    assert memory.count(113.5, 120.0) == 0
