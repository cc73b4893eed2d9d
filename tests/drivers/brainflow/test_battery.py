"""The charge of BrainFlow's synthetic board, through the driver, the supervisor and the service."""

from __future__ import annotations

import time

import pytest

from mimamba.drivers.brainflow.battery import BatteryRow
from mimamba.drivers.brainflow.boards import find_board, load_brainflow
from mimamba.drivers.driver import Driver, HasBattery
from mimamba.drivers.open import open_driver, open_source
from tests.service.live import live


def charge(driver: Driver) -> float | None:
    assert isinstance(driver, HasBattery)
    return driver.battery


def test_the_board_tells_its_charge_once_there_are_samples() -> None:
    with open_source("brainflow://synthetic", lambda _: None) as driver:
        assert charge(driver) is None
        next(iter(driver))
        assert 0 < (charge(driver) or 0) <= 100


def test_a_charge_in_another_preset_is_found_and_read() -> None:
    shim = load_brainflow()
    athena = BatteryRow.for_board(find_board("muse_s_athena").number)
    assert athena is not None
    assert athena.preset == shim.BrainFlowPresets.ANCILLARY_PRESET
    with open_driver("brainflow://synthetic") as driver:
        next(iter(driver))
        board = shim.BoardShim(-1, shim.BrainFlowInputParams())
        nothing = board.get_current_board_data(0)
        other = BatteryRow(shim.BrainFlowPresets.AUXILIARY_PRESET, 1)
        value, end = None, time.monotonic() + 20
        while value is None:  # the driver has taken what was there
            assert time.monotonic() < end
            value = other.read(board, nothing)
        assert 0 < value <= 100


@pytest.mark.parametrize("board", ["cyton", "muse_2", "ganglion_native"])
def test_most_headsets_do_not_tell(board: str) -> None:
    assert BatteryRow.for_board(find_board(board).number) is None


def test_the_service_shows_it() -> None:
    with live("brainflow://synthetic", "simulate://", model="none") as service:
        service.opened("synthetic-1", "simulate-2")
        service.until(lambda: service.sessions()["synthetic-1"]["battery"] is not None)
        assert 0 < service.sessions()["synthetic-1"]["battery"] <= 100
        assert service.sessions()["simulate-2"]["battery"] is None
