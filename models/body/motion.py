"""Motion of the head from a headset's accelerometer and gyroscope."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo, Samples

MOVED: Final = "the head moved"
MOTION_SENSORS = ("acceleration", "rotation")
"""Names of auxiliary streams that show motion."""
MAX_ROTATION = 20.0
"""Rotation, °/s, that counts as a movement. A gyroscope at rest shows its offset, a few °/s."""
MAX_ACCELERATION = 0.15
"""Difference of the acceleration from that of the ground, g, that counts as a movement."""
MEMORY_SECONDS = 60
"""Seconds that are remembered."""


def find_motion(info: AuxiliaryInfo, data: Samples) -> NDArray[np.bool_]:
    """Mark the samples (n_times,) at which the head moves.

    A sensor of another kind, or in a unit of unknown scale, shows none.
    """
    size = np.sqrt(np.add.reduce(data * data, axis=1))  # as `norm`, which takes three times as long
    found: NDArray[np.bool_]
    if info.name == "rotation" and info.unit == "°/s":
        found = size > MAX_ROTATION
    elif info.name == "acceleration" and info.unit == "g":
        found = np.abs(size - 1.0) > MAX_ACCELERATION
    else:
        found = np.zeros(len(data), np.bool_)
    return found


class MotionMemory:
    """The seconds in which the head moved.

    Attributes
    ----------
    newest
        Time of the newest sample at which it moved, s; None before that.
    """

    def __init__(self) -> None:
        self.newest: float | None = None
        self._seconds: deque[int] = deque(maxlen=MEMORY_SECONDS)

    @property
    def state(self) -> tuple[float | None, tuple[int, ...]]:
        """The newest time, and the seconds; set it to continue from there."""
        return self.newest, tuple(self._seconds)

    @state.setter
    def state(self, state: tuple[float | None, tuple[int, ...]]) -> None:
        self.newest, seconds = state
        self._seconds = deque(seconds, maxlen=MEMORY_SECONDS)

    def feed(self, chunk: AuxiliaryChunk) -> None:
        """Process the next samples of a sensor."""
        moved = chunk.timestamps[find_motion(chunk.info, chunk.data)]
        if not len(moved):
            return
        newest = float(moved[-1])
        self.newest = newest if self.newest is None else max(newest, self.newest)
        for second in np.unique(np.floor(moved)).astype(int).tolist():
            if second not in self._seconds:
                self._seconds.append(second)

    def count(self, start: float, stop: float) -> int:
        """Count the seconds from ``start`` to ``stop``, s, in which the head moved."""
        return sum(start - 1 < second < stop for second in self._seconds)
