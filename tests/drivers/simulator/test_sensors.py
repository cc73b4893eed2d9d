"""Pulse, motion and battery of the simulated headset."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.drivers.driver import AuxiliaryChunk, HasAuxiliary, HasBattery
from mimamba.drivers.open import open_driver
from mimamba.drivers.simulator.sensors import SimulatedSensors, heart_phase

START = 1000.0


def nothing(time: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.zeros(len(time), np.bool_)


def rows(chunks: list[AuxiliaryChunk], name: str) -> dict[int, tuple[float, list[float]]]:
    """Time and values by index; each index once."""
    found = {}
    for each in chunks:
        for n, (stamp, row) in enumerate(zip(each.timestamps, each.data, strict=True)):
            if each.info.name == name:
                assert each.first + n not in found
                found[each.first + n] = (float(stamp), row.tolist())
    return found


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=8), st.integers(0, 3))
def test_whenever_it_is_asked_it_gives_the_same(waits: list[float], seed: int) -> None:
    end = START + sum(waits)
    whole = SimulatedSensors(seed, START, nothing).take(end, 60.0)
    sensors = SimulatedSensors(seed, START, nothing)
    parts: list[AuxiliaryChunk] = []
    for now in START + np.cumsum(waits):
        parts += sensors.take(float(now), 60.0)
    parts += sensors.take(end, 60.0)
    for name in ("ppg", "acceleration", "rotation"):
        assert rows(parts, name) == rows(whole, name)


def test_what_the_link_loses_is_lost_for_all() -> None:
    def lost(time: NDArray[np.float64]) -> NDArray[np.bool_]:
        return (time >= 2) & (time < 3)

    chunks = SimulatedSensors(0, START, lost).take(START + 6, 60.0)
    for name, sfreq in (("ppg", 64), ("acceleration", 52), ("rotation", 52)):
        index = list(rows(chunks, name))
        assert index[: 2 * sfreq + 1] == [*range(2 * sfreq), 3 * sfreq]


def test_after_a_long_pause_only_the_last_is_given() -> None:
    chunks = SimulatedSensors(0, START, nothing).take(START + 100, 10.0)
    stamps = [stamp for stamp, _ in rows(chunks, "ppg").values()]
    assert START + 89.8 < stamps[0] <= stamps[-1] < START + 100


def test_the_heart_beats_at_the_rate_it_should() -> None:
    rate = np.diff(heart_phase(np.arange(0.0, 121.0, 1.0))) * 60
    assert 56 < rate.min() < rate.max() < 76


def test_a_headset_has_them_only_if_asked() -> None:
    for url, there in (("simulate://", False), ("simulate://?sensors=1", True)):
        with open_driver(url) as driver:
            assert isinstance(driver, HasAuxiliary)
            assert isinstance(driver, HasBattery)
            assert driver.has_auxiliary == there
            assert (driver.battery is not None) == there
            for _, _ in zip(range(8), driver, strict=False):
                pass
            assert bool(driver.take_auxiliary()) == there


def test_the_link_s_losses_are_those_of_the_eeg() -> None:
    with open_driver("simulate://?sensors=1&loss=0.5,0.25") as driver:
        assert isinstance(driver, HasAuxiliary)
        for chunk in driver:
            if chunk.end > 256:
                break
        taken = driver.take_auxiliary()
    for name, sfreq in (("ppg", 64.0), ("rotation", 52.0)):
        times = np.array(list(rows(taken, name))) / sfreq
        assert ((times < 0.5) | (np.mod(times, 0.5) >= 0.25 - 1 / 256)).all()
        assert times.max() > 0.7
