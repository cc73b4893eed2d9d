"""A live link that repeats itself: samples that are identical to the last bit."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Samples, StreamInfo


class FrozenSignalDetector:
    """Watches a live source for one and the same sample, again and again.

    A converter has noise in each channel, so what does not change in any of them comes from a hung
    device, or from a library that repeats its last packet. Not taken for that are samples with
    every channel at the end of the converter's range: the headset is off the head. Nor is a source
    of one channel, where it could be the electrode.

    Parameters
    ----------
    info
        The source.
    seconds
        The same sample for this long is no signal any more.
    """

    def __init__(self, info: StreamInfo, seconds: float) -> None:
        self._least = max(1, ceil(seconds * info.sfreq))
        self._edge = np.inf
        if info.range_uv is not None:
            self._edge = info.range_uv - 2 * (info.uv_per_bit or 0.0)
        self._judged = info.n_channels > 1
        self._last: Samples | None = None
        self._repeats = 0

    def feed(self, data: Samples) -> bool:
        """Take the next samples, (n_times, n_channels) µV; say if among them it was long enough."""
        if not (self._judged and len(data)):
            return False
        if len(data) > 1 and self._repeats + len(data) < self._least and _differ(data[-2:]):
            # It ends in no run, and has no long one.
            self._last, self._repeats = data[-1:].copy(), 0
            return False
        rows = data if self._last is None else np.concatenate([self._last, data])
        self._last = data[-1:].copy()
        changes = np.flatnonzero(~self._repeated(rows))
        ends = np.append(changes, len(rows) - 1)
        runs = np.diff(ends, prepend=-1 - self._repeats) - 1
        self._repeats = int(runs[-1])
        return bool(runs.max() >= self._least)

    def _repeated(self, rows: Samples) -> NDArray[np.bool_]:
        """(n_times - 1,): which rows are the same as the one before."""
        bits = np.ascontiguousarray(rows, np.float32).view(np.uint32)
        same = np.all(bits[1:] == bits[:-1], axis=1)
        off = np.all(np.abs(rows[1:]) >= self._edge, axis=1)
        repeated: NDArray[np.bool_] = same & ~off
        return repeated


def _differ(rows: Samples) -> bool:
    """Whether two rows are not the same to the last bit."""
    return bool(rows[0].tobytes() != rows[1].tobytes())
