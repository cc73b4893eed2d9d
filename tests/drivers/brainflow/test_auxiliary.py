"""Pulse and motion of BrainFlow's boards: the rows of each, and the synthetic board's samples."""

from __future__ import annotations

import numpy as np
import pytest

from mimamba.drivers.brainflow.auxiliary import AuxiliaryPreset
from mimamba.drivers.brainflow.boards import find_board
from mimamba.drivers.driver import AuxiliaryChunk, HasAuxiliary
from mimamba.drivers.open import open_source
from mimamba.drivers.timing.clock import local_clock


def sensors(board: str) -> dict[str, tuple[str, float, int]]:
    """Unit, rate and number of channels of each sensor."""
    return {
        info.name: (info.unit, info.sfreq, len(info.ch_names))
        for preset in AuxiliaryPreset.for_board(find_board(board).number)
        for info in preset.infos
    }


def test_the_sensors_of_known_boards() -> None:
    assert sensors("muse_2") == {
        "ppg": ("counts", 64.0, 3),
        "acceleration": ("g", 52.0, 3),
        "rotation": ("°/s", 52.0, 3),
    }
    assert sensors("muse_s_athena")["ppg"] == ("counts", 64.0, 16)
    assert sensors("explore_8_chan")["acceleration"] == ("counts", 20.0, 3)


@pytest.mark.parametrize("board", ["cyton", "ganglion_native"])
def test_boards_without_presets_of_their_own_have_none(board: str) -> None:
    assert sensors(board) == {}


def test_the_synthetic_board_gives_pulse_and_motion_beside_the_eeg() -> None:
    with open_source("brainflow://synthetic", lambda _: None) as driver:
        assert isinstance(driver, HasAuxiliary)
        assert driver.has_auxiliary
        taken: list[AuxiliaryChunk] = []
        for _ in driver:
            taken += driver.take_auxiliary()
            if sum(len(each.data) for each in taken) > 3 * 150:
                break
    assert {each.info.name for each in taken} == {"ppg", "acceleration", "rotation"}
    for name, n_channels in (("ppg", 2), ("acceleration", 3), ("rotation", 3)):
        chunks = [each for each in taken if each.info.name == name]
        stamps = np.concatenate([each.timestamps for each in chunks])
        assert (np.diff(stamps) > 0).all()
        assert abs(stamps[-1] - local_clock()) < 5
        assert {each.data.shape[1] for each in chunks} == {n_channels}
        ends = [each.first + len(each.data) for each in chunks]
        assert all(each.first >= end for each, end in zip(chunks[1:], ends[:-1], strict=True))
