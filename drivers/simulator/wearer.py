"""A simulated wearer who does what a calibration asks for.

The session passes each cue on, and the wearer's signal follows within a second. In the first of the
two states there is more alpha, in the second one more activity of the forehead's muscles, each by
as much as the source's URL says. So the verdicts of a calibration can be tried without a headset.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from mimamba.drivers.driver import Samples
from mimamba.drivers.simulator.noise import Block, ColouredNoise, band_pass
from mimamba.drivers.simulator.synthesis import ALPHA, BLOCK_SECONDS
from mimamba.drivers.url import SourceURL

MUSCLE_UV = 2.0
"""RMS of the muscles in the first state, µV."""
MUSCLE_BAND = (22.0, 40.0)
"""Hz."""
FOREHEAD = (0.2, 1.0, 1.0, 0.2)
"""Share of the muscles at each electrode."""
RAMP_SECONDS = 1.0
"""Time in which the signal follows a cue."""
DRIFT_SECONDS = 600.0
"""Time of the rise that ``drift`` is given for."""
LARGEST_DB = 30.0


class Wearer:
    """Generator of what a wearer adds to the simulated signal.

    Parameters
    ----------
    seed
        Seed of the noise.
    sfreq
        Hz.
    effect, muscle, drift
        As in the source's URL, dB.
    """

    def __init__(self, seed: int, sfreq: float, effect: float, muscle: float, drift: float) -> None:
        self._rng = np.random.default_rng([seed, 5])
        self._alpha = ColouredNoise(ALPHA.resonator(sfreq), 2.0, sfreq)
        low, high = MUSCLE_BAND
        muscles = band_pass(low, min(high, 0.45 * sfreq), sfreq)
        self._muscle = ColouredNoise(muscles, 0.5, sfreq)
        self._sfreq = sfreq
        self._effect, self._drift = effect, drift
        self._tense = MUSCLE_UV * np.sqrt(10 ** (muscle / 10) - 1)
        self._length = round(BLOCK_SECONDS * sfreq)
        self._waiting = np.zeros((2, len(ALPHA.shape), 0))
        self._next_noise()  # so that the filters settle
        self._position = 0
        self._levels = np.zeros(2)  # of the first and second state, 0 to 1
        self._place: int | None = None

    @classmethod
    def from_url(cls, source: SourceURL, seed: int, sfreq: float) -> Self:
        """Read the parameters of a URL; raises BadSource."""
        effect = source.number("effect", 6.0, 0.0, LARGEST_DB)
        muscle = source.number("muscle", 0.0, 0.0, LARGEST_DB)
        return cls(seed, sfreq, effect, muscle, source.number("drift", 0.0, 0.0, LARGEST_DB))

    def cue(self, place: int | None) -> None:
        """Be in the first (0) or second (1) state from the next sample on; None for neither."""
        self._place = place

    def next(self, n_times: int) -> Samples:
        """Generate what is added to the next samples, (n_times, n_channels), µV."""
        wanted = np.array([self._place == 0, self._place == 1], float)
        step = np.arange(1, n_times + 1)[:, np.newaxis] / (RAMP_SECONDS * self._sfreq)
        change = wanted - self._levels
        levels = self._levels + np.sign(change) * np.minimum(step, np.abs(change))
        self._levels = levels[-1]
        passed = (self._position + np.arange(n_times)) / (DRIFT_SECONDS * self._sfreq)
        self._position += n_times
        more = 10 ** ((self._effect * levels[:, 0] + self._drift * passed) / 10) - 1
        alpha, muscle = self._noise(n_times)
        alpha = ALPHA.level * np.sqrt(more) * alpha
        tense = self._tense * levels[:, 1] * muscle
        added = alpha * np.array(ALPHA.shape)[:, np.newaxis]
        added += tense * np.array(FOREHEAD)[:, np.newaxis]
        return np.ascontiguousarray(added.T, np.float32)

    def _noise(self, n_times: int) -> Block:
        """Return the next noise of alpha and muscle, (2, n_channels, n_times)."""
        while self._waiting.shape[2] < n_times:
            self._waiting = np.concatenate([self._waiting, self._next_noise()], axis=2)
        noise, self._waiting = self._waiting[..., :n_times], self._waiting[..., n_times:]
        return noise

    def _next_noise(self) -> Block:
        """Generate noise in blocks, so that it does not depend on how it is asked for."""
        alpha, muscle = self._rng.standard_normal((2, len(ALPHA.shape), self._length))
        return np.stack([self._alpha.next(alpha), self._muscle.next(muscle)])
