"""Whether the signal of one hop is poor, from its raw samples and the device's facts alone.

Blinks and muscle are not poor signal, nor is an electrode's constant offset (tens of mV on
OpenBCI), nor mains hum that the band-pass removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.base import StreamInfo

FLAT_UV = 0.2
"""Peak to peak, µV, at or under which a channel is flat; one bit where that is more."""
AT_RANGE = 0.99
"""Part of the nominal range from which a sample counts as railed."""
RAILED_SHARE = 0.05
"""Share of a hop's samples beyond which railed samples are a fault."""
STUCK_SHARE = 0.5
"""Share of a hop's samples beyond which samples that repeat the one before are a fault."""
WILD_UV = 1500.0
"""Peak to peak, µV, beyond which nothing of a brain is left, whatever the range."""


@dataclass(frozen=True)
class Limits:
    """What is flat and what is railed on one device, µV; ``railed`` is None where unknown."""

    flat: float
    railed: float | None

    @classmethod
    def of(cls, info: StreamInfo) -> Limits:
        # A bit as a float32 can come out a little larger than it is.
        flat = max(FLAT_UV, 1.01 * (info.uv_per_bit or 0.0))
        return cls(flat, None if info.range_uv is None else AT_RANGE * info.range_uv)


def find_faults(samples: NDArray[np.float64], limits: Limits) -> list[str | None]:
    """Why each channel is poor, in words; None where it is good.

    Parameters
    ----------
    samples
        (n_times, n_channels), raw µV, n_times at least 1.
    limits
        The device's.
    """
    n_times = len(samples)
    low, high = samples.min(axis=0), samples.max(axis=0)
    swing = high - low
    repeats = (samples[1:] == samples[:-1]).sum(axis=0)
    stuck = repeats > STUCK_SHARE * n_times
    flat = swing <= limits.flat
    railed = np.zeros(swing.shape, bool)
    if limits.railed is not None:
        railed = (np.abs(samples) >= limits.railed).sum(axis=0) > RAILED_SHARE * n_times
    wild = swing > WILD_UV
    return [
        "railed"
        if railed[k]
        else "flat"
        if flat[k]
        else "stuck"
        if stuck[k]
        else f"{swing[k]:.0f} µV peak to peak"
        if wild[k]
        else None
        for k in range(len(swing))
    ]


def describe_faults(names: Sequence[str], faults: Sequence[str | None]) -> str | None:
    """One line for a person, ``TP9: flat; AF7: railed``; None where all channels are good."""
    poor = [f"{name}: {fault}" for name, fault in zip(names, faults, strict=True) if fault]
    return "; ".join(poor) or None
