"""Signal quality and band power as values, light to import since messages carry them.

``channel_quality`` and ``band_power`` compute them. They hold no cycles, and the garbage collector
does not look at them: a session keeps thousands, and all threads would stop for that long.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QualityReason: TypeAlias = Literal["railed", "flat", "no contact", "mains hum", "muscle", "drift"]
REASONS: tuple[QualityReason, ...] = (
    "railed",
    "flat",
    "no contact",
    "mains hum",
    "muscle",
    "drift",
)
"""In order of precedence: of several with the same score, the first is reported."""


class ChannelQuality(msgspec.Struct, frozen=True, gc=False):
    """A score from 0 (useless) to 1 (good), and the main reason if it is below 0.7."""

    score: float
    reason: QualityReason | None


class Quality(msgspec.Struct, frozen=True, gc=False):
    """Quality of every channel over the 2 s up to a sample.

    Parameters
    ----------
    index
        Index of the newest sample in the window, counted like ``Chunk.first``.
    timestamp
        Time of that sample, seconds.
    channels
        Quality by channel name, in the source's order.
    motion
        That the head moved in this time, if the device's own sensors show it. It changes neither
        scores nor predictions.
    """

    index: int
    timestamp: float
    channels: dict[str, ChannelQuality]
    motion: str | None = None


Band: TypeAlias = Literal["delta", "theta", "alpha", "beta", "gamma"]
BANDS: Final[dict[Band, tuple[float, float]]] = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 40.0),
}
"""Lower and upper edge of each band, Hz."""


class ChannelBands(msgspec.Struct, frozen=True, gc=False):
    """Power of each band in µV²; None where there is no value."""

    delta: float | None
    theta: float | None
    alpha: float | None
    beta: float | None
    gamma: float | None


class BandPower(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Band power of every channel over the 2 s up to a sample.

    Parameters
    ----------
    index
        Index of the newest sample in the window, counted like ``Chunk.first``.
    timestamp
        Time of that sample, seconds.
    ch_names
        Names of the source's channels, in order.
    power
        (n_channels, n_bands) µV²; NaN where there is no value.
    """

    index: int
    timestamp: float
    ch_names: tuple[str, ...]
    power: NDArray[np.float64]

    @property
    def channels(self) -> dict[str, ChannelBands]:
        """Band power by channel name, in the source's order."""
        rows = ([None if isnan(each) else each for each in row] for row in self.power.tolist())
        return {name: ChannelBands(*row) for name, row in zip(self.ch_names, rows, strict=True)}
