"""Coloured noise of the simulator, and its filters.

The filters are designed in closed form, up to their gain, which the noise does not need: SciPy's
designs took half of the time in which a simulated headset opens.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Block: TypeAlias = NDArray[np.float64]
"""(n_channels, n_times), µV: channels first, as the simulator computes."""
Sections: TypeAlias = NDArray[np.float64]
"""Second-order sections of a filter, (n_sections, 6)."""

# Left to right and back to front, in head radii.
POSITIONS = np.array([(-0.85, -0.35), (-0.55, 0.75), (0.55, 0.75), (0.85, -0.35)])
SLOWEST = 0.5
"""Hz: the pole of all filters that decays last."""
IMPULSE_SECONDS = 8.0
"""Length of an impulse response; at ``SLOWEST`` its power has decayed by 220 dB."""


class ColouredNoise:
    """Filter of white noise: unit variance, correlated between electrodes, continuous over blocks.

    Parameters
    ----------
    sections
        The filter; its gain does not matter.
    reach
        Distance at which the correlation of two electrodes is 1/e, head radii.
    sfreq
        Hz.
    """

    def __init__(self, sections: Sections, reach: float, sfreq: float) -> None:
        impulse = np.zeros(round(IMPULSE_SECONDS * sfreq))
        impulse[0] = 1.0
        self._sections = sections
        distance = np.linalg.norm(POSITIONS[:, None] - POSITIONS[None], axis=2)
        scale = 1.0 / np.linalg.norm(signal.sosfilt(sections, impulse))
        self._mix = scale * np.linalg.cholesky(np.exp(-distance / reach))
        self._state = np.zeros((len(sections), len(POSITIONS), 2))

    def next(self, white: Block) -> Block:
        """Filter the next block of white noise, (n_channels, n_times)."""
        block: Block
        block, self._state = signal.sosfilt(self._sections, self._mix @ white, zi=self._state)
        return block


def band_pass(low: float, high: float, sfreq: float) -> Sections:
    """Design a Butterworth band-pass with two poles at each edge (Hz), up to its gain.

    This is the bilinear transform of the analogue filter with the edges prewarped, as in
    ``scipy.signal.butter(2, (low, high), "bandpass")``.
    """
    lower, upper = np.tan(np.pi * np.array((low, high)) / sfreq)
    half = (upper - lower) / 2.0 * np.exp(0.75j * np.pi)
    root = np.sqrt(half**2 - lower * upper)
    analogue = np.array((half + root, half - root))  # and their conjugates
    poles = (1.0 + analogue) / (1.0 - analogue)
    return np.array([(1.0, 0.0, -1.0, 1.0, -2.0 * p.real, abs(p) ** 2) for p in poles])


def pink(slope: float, sfreq: float) -> Sections:
    """Design a filter whose power falls as 1 / f^slope above 0.5 Hz and is flat below.

    Poles and zeros alternate, evenly spaced in octaves; a zero follows its pole by slope / 2 of
    the spacing. Its gain is arbitrary.
    """
    top = np.log2(0.45 * sfreq / SLOWEST)
    octaves = np.linspace(0.0, top, 6, endpoint=False)
    poles = -np.pi * SLOWEST / sfreq * 2.0**octaves  # for the bilinear transform
    zeros = poles * 2.0 ** (slope / 2.0 * top / 6)
    numerators, denominators = (
        [(1.0, -(one + other), one * other) for one, other in roots.reshape(-1, 2)]
        for roots in ((1.0 + zeros) / (1.0 - zeros), (1.0 + poles) / (1.0 - poles))
    )
    return np.hstack((numerators, denominators))
