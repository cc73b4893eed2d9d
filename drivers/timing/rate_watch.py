"""Comparison of a live source's rate with the one that its session was opened with."""

from __future__ import annotations

import numpy as np

from mimamba.drivers.driver import Seconds
from mimamba.drivers.errors import BadSource
from mimamba.drivers.timing.stamp_check import RATE_TOLERANCE, measure_rate

WINDOW_SECONDS = 10.0
"""Signal from which the rate is measured, s."""
WINDOWS = 2
"""Windows in succession that must agree on another rate."""


class RateWatch:
    """Watch over the rate of a live source.

    A model is opened for one rate. If the source turns out to send at another one, every frequency
    that the model reads is wrong, so the session has to end.

    Parameters
    ----------
    sfreq
        Rate in use, Hz.
    what
        Phrase for the source, for the error.
    """

    def __init__(self, sfreq: float, what: str) -> None:
        self._sfreq = sfreq
        self._what = what
        self._length = round(WINDOW_SECONDS * sfreq)
        self._parts: list[Seconds] = []
        self._n_times = 0
        self._rates: list[float] = []

    def push(self, times: Seconds) -> None:
        """Process the times of the next samples, (n_times,), s.

        Raises
        ------
        BadSource
            If even stamps have shown another rate for ``WINDOWS`` windows.
        """
        self._parts.append(times)
        self._n_times += len(times)
        while self._n_times >= self._length:
            times = np.concatenate(self._parts)
            self._parts = [times[self._length :]]
            self._n_times -= self._length
            self._judge(times[: self._length])

    def _judge(self, times: Seconds) -> None:
        measured = measure_rate(times, self._sfreq)
        off = abs(measured.sfreq / self._sfreq - 1) if measured else 0.0
        if measured is None or not measured.even or off <= RATE_TOLERANCE + measured.uncertainty:
            self._rates = []
            return
        self._rates.append(measured.sfreq)
        if len(self._rates) < WINDOWS:
            return
        if max(self._rates) / min(self._rates) - 1 > RATE_TOLERANCE:
            self._rates = [measured.sfreq]
            return
        raise BadSource(
            f"{self._sfreq:g} Hz from {self._what}",
            f"{measured.sfreq:.4g} Hz by its stamps for {WINDOWS * WINDOW_SECONDS:g} s",
            f"open it again with sfreq={measured.sfreq:.4g}, or with sfreq={self._sfreq:g} if its "
            "stamps are wrong",
        )
