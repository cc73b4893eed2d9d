"""Simulated EEG artefacts: blinks, muscle bursts, electrode pops."""

from __future__ import annotations

import numpy as np
from scipy import signal

from mimamba.drivers.simulator.noise import Block, band_pass
from mimamba.drivers.simulator.scenario import Scenario

FRONTAL = np.array([0.12, 1.0, 1.0, 0.12])
"""Share of a blink at TP9, AF7, AF8, TP10."""
TEMPORAL = np.array([1.0, 0.35, 0.35, 1.0])
"""Share of the jaw muscles' activity at TP9, AF7, AF8, TP10."""


class Artefacts:
    """Generator of artefacts, block by block. An artefact ends in the next block at the latest.

    Parameters
    ----------
    scenario
        Rates of artefacts.
    seed
        Seed of all random draws.
    sfreq
        Hz.
    n_times
        Length of a block, samples: at least 4 s.
    """

    def __init__(self, scenario: Scenario, seed: int, sfreq: float, n_times: int) -> None:
        self._sfreq = sfreq
        self._n_times = n_times
        self._rng = np.random.default_rng([seed, 3])
        self._generators = (
            (scenario.blinks, self._blink),
            (scenario.bursts, self._burst),
            (scenario.pops, self._pop),
        )
        self._muscle = band_pass(20.0, min(100.0, 0.45 * sfreq), sfreq)
        self._pending: list[Block] = []
        """Ends of artefacts that go on in the next block."""

    def next(self) -> Block:
        """Generate the next block, (n_channels, n_times), µV."""
        minutes = self._n_times / self._sfreq / 60.0
        block = np.zeros((len(FRONTAL), self._n_times))
        for wave in self._pending:
            block[:, : wave.shape[1]] += wave
        self._pending = []
        for rate, draw in self._generators:
            for _ in range(self._rng.poisson(rate * minutes)):
                start = int(self._rng.integers(self._n_times))
                wave = draw()
                here = self._n_times - start
                block[:, start : start + wave.shape[1]] += wave[:, :here]
                if wave.shape[1] > here:
                    self._pending.append(wave[:, here:].copy())
        return block

    def _blink(self) -> Block:
        """Draw a blink of 100 to 300 µV: 0.1 s up, 0.2 s down, then a slight overshoot."""
        height = self._rng.uniform(100.0, 300.0)
        width = self._rng.uniform(0.8, 1.3)
        times = np.arange(round(0.8 * self._sfreq)) / self._sfreq / width
        lid = np.where(
            times < 0.12,
            np.sin(np.pi * times / 0.24) ** 2,
            np.exp(-(((times - 0.12) / 0.09) ** 2)),
        )
        swing = -0.1 * np.exp(-(((times - 0.36) / 0.08) ** 2))
        tilt = self._rng.uniform(0.85, 1.15)  # the two sides differ
        return np.outer(FRONTAL * (1.0, tilt, 1.0 / tilt, 1.0), height * (lid + swing))

    def _burst(self) -> Block:
        """Draw a muscle burst: 0.3 to 2 s above 20 Hz, 15 to 50 µV RMS at one temple."""
        n_times = round(self._rng.uniform(0.3, 2.0) * self._sfreq)
        noise = signal.sosfilt(self._muscle, self._rng.standard_normal((len(TEMPORAL), n_times)))
        level = self._rng.uniform(15.0, 50.0) / noise.std()
        side = self._rng.uniform(0.5, 1.0, 2)
        gains = TEMPORAL * np.repeat(side / side.max(), 2)
        burst: Block = level * gains[:, None] * noise * signal.windows.tukey(n_times, 0.5)
        return burst

    def _pop(self) -> Block:
        """Draw a step of 100 to 600 µV at one electrode that decays to 1/e in 0.1 to 0.4 s."""
        height = self._rng.choice((-1.0, 1.0)) * self._rng.uniform(100.0, 600.0)
        decay = self._rng.uniform(0.1, 0.4)
        times = np.arange(round(10.0 * decay * self._sfreq)) / self._sfreq
        wave = np.zeros((len(FRONTAL), times.size))
        wave[int(self._rng.integers(len(FRONTAL)))] = height * np.exp(-times / decay)
        return wave[:, : self._n_times]
