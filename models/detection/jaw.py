"""Jaw clenches from the muscle's noise, sample by sample.

A clench is a burst of muscle activity at the temples: the power from 20 to 45 Hz, below any mains,
rises to many times what is usual, and stays there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.models.detection.band_filter import BandFilter, BandFilterState

BAND = (20.0, 45.0)
"""Hz."""
ORDER = 4
"""Of the filter, which has to keep mains out."""
ENVELOPE_SECONDS = 0.1
"""Memory of the power, s."""
RISE_SECONDS, FALL_SECONDS = 20.0, 5.0
"""Memory of the usual power while it rises and while it falls, s: bursts should not raise it."""
CLIP = 4.0
"""Multiple of the usual power above which a sample counts no more for it."""
RISE = 6.0
"""Multiple of the usual power from which a burst begins."""
FALL = 4.0
"""Multiple of the usual power below which it ends."""
LEAST_UV = 4.0
"""Least root mean square of a burst, µV."""
HOLD_SECONDS = 0.25
"""Time that a burst must last, s: shorter ones are steps and clicks of an electrode."""
SETTLE_SECONDS = 2.0
"""Time after a start or a gap without an event, s."""
PAUSE_SECONDS = 0.15
"""Time without a burst, s, after which the next one is another clench."""
NEVER = -(10**12)


@dataclass(frozen=True)
class JawMemory:
    """State of a ``JawDetector``, but for its filter's.

    Parameters
    ----------
    power, usual
        Present and usual power of each channel, µV².
    seen
        Samples so far.
    start, strong
        First sample of the present burst, and the last one of it.
    reported
        Whether that burst was reported.
    """

    power: tuple[float, ...]
    usual: tuple[float, ...]
    seen: int
    start: int
    strong: int
    reported: bool


class JawDetector:
    """Detector of jaw clenches in several channels: the strongest one counts.

    The result does not depend on how the samples are split over calls.

    Parameters
    ----------
    sfreq
        Hz.
    n_channels
        Number of channels.
    """

    def __init__(self, sfreq: float, n_channels: int) -> None:
        self._filter = BandFilter(ORDER, BAND, sfreq, n_channels)
        self._sfreq = sfreq
        self._power = np.zeros(n_channels)
        self._usual = np.full(n_channels, LEAST_UV**2 / RISE)
        self._seen = 0
        self._start = NEVER
        """First sample of the present burst."""
        self._strong = NEVER
        """Last sample of it."""
        self._reported = False

    @property
    def state(self) -> tuple[BandFilterState, JawMemory]:
        """Complete state; set it to continue from there."""
        power, usual = tuple(self._power.tolist()), tuple(self._usual.tolist())
        memory = JawMemory(power, usual, self._seen, self._start, self._strong, self._reported)
        return self._filter.state, memory

    @state.setter
    def state(self, state: tuple[BandFilterState, JawMemory]) -> None:
        self._filter.state, memory = state
        self._power, self._usual = np.array(memory.power), np.array(memory.usual)
        self._seen, self._start, self._strong = memory.seen, memory.start, memory.strong
        self._reported = memory.reported

    def push(self, samples: NDArray[np.float64]) -> list[int]:
        """Return the first samples of clenches that are certain by now, counted from the start.

        Parameters
        ----------
        samples
            (n_times, n_channels), µV, without a gap.
        """
        found = []
        fast = 1 / (ENVELOPE_SECONDS * self._sfreq)
        for squares in self._filter.push(samples) ** 2:
            self._power += fast * (squares - self._power)
            strong = self._power > LEAST_UV**2
            loud = bool((strong & (self._power > RISE * self._usual)).any())
            if self._step(loud, bool((strong & (self._power > FALL * self._usual)).any())):
                found.append(self._start)
            early = self._seen < self._sfreq
            usual = self._power if early else np.minimum(self._power, CLIP * self._usual)
            memory = np.where(usual > self._usual, RISE_SECONDS, FALL_SECONDS) * self._sfreq
            self._usual += np.maximum(1 / (self._seen + 1), 1 / memory) * (usual - self._usual)
            self._seen += 1
        return found

    def _step(self, loud: bool, going_on: bool) -> bool:
        """Follow the burst; return True once when it is a clench."""
        at = self._seen
        if at < SETTLE_SECONDS * self._sfreq:
            return False
        active = at - self._strong <= PAUSE_SECONDS * self._sfreq
        if loud and not active:
            self._start, self._reported = at, False
        if loud or (active and going_on):
            self._strong = at
        lasting = self._strong == at and at - self._start >= HOLD_SECONDS * self._sfreq
        if active and lasting and not self._reported:
            self._reported = True
            return True
        return False
