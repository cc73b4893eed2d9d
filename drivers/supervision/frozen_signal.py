"""Detection of a live source that repeats one sample, identical to the last bit."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Samples, StreamInfo


class FrozenSignalDetector:
    """Detector of a long run of identical samples.

    A converter has noise in each channel. Samples that do not change in any channel come from a
    hung device, or from a library that repeats its last packet. Exceptions are samples with every
    channel at the end of the converter's range (the headset is off the head), and sources with one
    channel (it could be the electrode).

    Parameters
    ----------
    info
        Facts about the source.
    seconds
        Length of a run that counts as frozen.
    """

    def __init__(self, info: StreamInfo, seconds: float) -> None:
        self._min_repeats = max(1, ceil(seconds * info.sfreq))
        self._edge = np.inf
        if info.range_uv is not None:
            self._edge = info.range_uv - 2 * (info.uv_per_bit or 0.0)
        self._enabled = info.n_channels > 1
        self._last: Samples | None = None
        self._repeats = 0

    def feed(self, data: Samples) -> bool:
        """Process the next samples, (n_times, n_channels) µV; True if a run has become too long."""
        if not (self._enabled and len(data)):
            return False
        if len(data) > 1 and self._repeats + len(data) < self._min_repeats:
            newest = data[-2:].tobytes()
            half = len(newest) // 2
            if newest[:half] != newest[half:]:
                # The chunk is too short for a long run, and does not end in one.
                self._last, self._repeats = data[-1:], 0
                return False
        rows = data if self._last is None else np.concatenate([self._last, data])
        self._last = data[-1:].copy()
        changes = np.flatnonzero(~self._repeated(rows))
        ends = np.append(changes, len(rows) - 1)
        runs = np.diff(ends, prepend=-1 - self._repeats) - 1
        self._repeats = int(runs[-1])
        return bool(runs.max() >= self._min_repeats)

    def _repeated(self, rows: Samples) -> NDArray[np.bool_]:
        """Mark the rows that equal the one before, (n_times - 1,)."""
        bits = np.ascontiguousarray(rows, np.float32).view(np.uint32)
        same = np.all(bits[1:] == bits[:-1], axis=1)
        off = np.all(np.abs(rows[1:]) >= self._edge, axis=1)
        repeated: NDArray[np.bool_] = same & ~off
        return repeated
