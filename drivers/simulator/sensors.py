"""Pulse, motion and battery of the simulated headset, as a Muse 2 measures them.

The heart beats 60 to 72 times a minute, breathing changes its intervals, and every 30 s the head
turns for a second, which shakes the pulse sensor. All values depend on the index and the seed only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo

Lost = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
"""Marks the times (n,), s since the start, whose samples are lost."""
Floats = NDArray[np.float64]

PPG = AuxiliaryInfo("ppg", "counts", 64.0, ("ambient", "infrared", "red"))
ACCELERATION = AuxiliaryInfo("acceleration", "g", 52.0, ("X", "Y", "Z"))
ROTATION = AuxiliaryInfo("rotation", "°/s", 52.0, ("X", "Y", "Z"))
PACKETS = {"ppg": 6, "acceleration": 3, "rotation": 3}
"""Samples that come together."""

MEAN_BEATS, SWING_BEATS, SWING_SECONDS = 66.0, 6.0, 60.0
"""Beats per minute, their slow change to either side, and its period, s."""
BREATHS, BREATH_SHARE = 0.25, 0.04
"""Breaths per second, and their share in the heart rate."""
TURN_EVERY, TURN_SECONDS, TURN_DEGREES = 30.0, 1.0, 80.0
"""Time between two turns of the head, s, their length, s, and their fastest rotation, °/s."""
LEVELS = np.array([2_000.0, 60_000.0, 40_000.0])
DEPTHS = np.array([0.0, 600.0, 250.0])
"""Mean and pulse of each light, counts."""
FULL, SECONDS_PER_PERCENT = 85.0, 360.0
"""Charge at the start, percent: a battery lasts ten hours."""


def heart_phase(time: Floats) -> Floats:
    """Return the phase of the heart (n,), beats, at times, s."""
    swing = 2 * np.pi / SWING_SECONDS
    breath = 2 * np.pi * BREATHS
    phase: Floats = (
        MEAN_BEATS * time
        + SWING_BEATS * (1 - np.cos(swing * time)) / swing
        + MEAN_BEATS * BREATH_SHARE * (1 - np.cos(breath * time)) / breath
    ) / 60
    return phase


def head_turn(time: Floats) -> Floats:
    """Return the rotation of the head (n,) at times, s: from 0 to 1."""
    within = np.mod(time, TURN_EVERY) - (TURN_EVERY - TURN_SECONDS)
    turned: Floats = np.where(within > 0, np.sin(np.pi * within / TURN_SECONDS), 0.0)
    return turned


class SimulatedSensors:
    """Samples of all sensors up to a time, each once.

    Parameters
    ----------
    seed
        Seed of the noise.
    start
        Time of sample 0, s on the LSL clock.
    lost
        Marks the times whose samples are lost.
    """

    def __init__(self, seed: int, start: float, lost: Lost) -> None:
        self._seed = seed
        self._start = start
        self._lost = lost
        self._next = dict.fromkeys(PACKETS, 0)

    def take(self, now: float, longest: float) -> list[AuxiliaryChunk]:
        """Return the samples since the last call, at most those of the last ``longest`` s."""
        taken: list[AuxiliaryChunk] = []
        for number, info in enumerate((PPG, ACCELERATION, ROTATION)):
            packet = PACKETS[info.name]
            stop = int((now - self._start) * info.sfreq) // packet * packet
            first = max(self._next[info.name], stop - int(longest * info.sfreq))
            if first < stop:
                self._next[info.name] = stop
                taken += self._chunks(info, number, first, stop)
        return taken

    def charge(self, now: float) -> float:
        """Return the battery's charge, percent."""
        return max(1.0, FULL - (now - self._start) / SECONDS_PER_PERCENT)

    def _chunks(
        self, info: AuxiliaryInfo, number: int, first: int, stop: int
    ) -> list[AuxiliaryChunk]:
        """Return the samples from ``first`` to before ``stop``, without those that are lost."""
        index = np.arange(first, stop)
        time = index / info.sfreq
        data = (_VALUES[info.name](time) + self._noise(info, number, first, stop)).astype(
            np.float32
        )
        there = np.flatnonzero(~self._lost(time))
        runs = np.split(there, np.flatnonzero(np.diff(there) != 1) + 1)
        return [
            AuxiliaryChunk(info, data[run], self._start + time[run], first + int(run[0]))
            for run in runs
            if len(run)
        ]

    def _noise(self, info: AuxiliaryInfo, number: int, first: int, stop: int) -> Floats:
        """Return noise that depends on the index only: it is drawn in blocks of a second."""
        step = round(info.sfreq)
        blocks = range(first // step, (stop - 1) // step + 1)
        drawn = [
            np.random.default_rng([self._seed, 3, number, block]).normal(
                0, _NOISE[info.name], (step, len(info.ch_names))
            )
            for block in blocks
        ]
        start = first - blocks.start * step
        noise: Floats = np.concatenate(drawn)[start : start + stop - first]
        return noise


def _pulse(time: Floats) -> Floats:
    angle = 2 * np.pi * heart_phase(time)
    wave = -(np.cos(angle) + 0.35 * np.cos(2 * angle - 1.0) + 0.1 * np.cos(3 * angle))
    shaken = 4 * head_turn(time) * np.sin(2 * np.pi * 1.7 * time)
    values: Floats = LEVELS + (wave + shaken)[:, None] * DEPTHS
    return values


def _acceleration(time: Floats) -> Floats:
    values: Floats = np.stack(
        [0.2 * head_turn(time), np.zeros(len(time)), np.ones(len(time))], axis=1
    )
    return values


def _rotation(time: Floats) -> Floats:
    turned = TURN_DEGREES * head_turn(time)
    values: Floats = np.stack([0.5 + 0 * turned, -0.8 + 0 * turned, turned], axis=1)
    return values


_VALUES = {"ppg": _pulse, "acceleration": _acceleration, "rotation": _rotation}
_NOISE = {"ppg": 40.0, "acceleration": 0.004, "rotation": 0.3}
"""Standard deviation of the noise, in the sensor's unit."""
