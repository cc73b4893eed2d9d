"""A band-pass filter over the pieces of a stream, which begins without a step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt


@dataclass(frozen=True, eq=False)
class BandFilterState:
    """State of a ``BandFilter``; its arrays are never modified.

    Parameters
    ----------
    zi
        (n_sections, 2, n_channels) of the sections.
    offset
        (n_channels,) first sample; None before it.
    """

    zi: NDArray[np.float64]
    offset: NDArray[np.float64] | None


class BandFilter:
    """A Butterworth band-pass filter for each channel.

    The first sample is subtracted from all, as an electrode's offset of millivolts would ring. The
    result does not depend on how the samples are split over calls.

    Parameters
    ----------
    order
        Order of the filter's low-pass prototype.
    band
        Lower and upper edge, Hz.
    sfreq
        Hz.
    n_channels
        Number of channels.

    Attributes
    ----------
    state
        Its state; set it to continue from there.
    """

    def __init__(
        self, order: int, band: tuple[float, float], sfreq: float, n_channels: int
    ) -> None:
        self._sos = butter(order, band, "bandpass", fs=sfreq, output="sos")
        self.state = BandFilterState(np.zeros((len(self._sos), 2, n_channels)), None)

    def push(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the next samples (n_times, n_channels), at least one, filtered."""
        offset = self.state.offset
        if offset is None:
            offset = samples[0].copy()
        filtered, zi = sosfilt(self._sos, samples - offset, axis=0, zi=self.state.zi)
        self.state = BandFilterState(zi, offset)
        return np.asarray(filtered)
