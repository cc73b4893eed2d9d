"""Whether the signal of one hop is poor, from its raw samples and the device's facts alone.

Blinks and muscle are not poor signal, nor is an electrode's constant offset (tens of mV on
OpenBCI), nor mains hum that the band-pass removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import StreamInfo

# Measured over hops of 0.25 s, on four channels (OpenBCI: eight); a hop is poor if any channel is:
#
#   Muse, sub-04 of a study, two recordings whose AF8 rails with mains    2366 hops, all poor
#   Muse, the study's other 29 recordings                                25696 hops, 0.21 % poor
#   Muse, visual experiments                                              6720 hops, 0.03 % poor
#   laboratory, less the held values at its files' ends                  22614 hops, none poor
#   OpenBCI Cyton with blinks, jaw clenches, 240 µV RMS of mains           359 hops, none poor
FLAT_UV = 0.2
"""Peak to peak, µV, at or under which a channel is flat; one bit where that is more.

Measured: the quietest real hop has 5.7 µV in the laboratory, 8.3 µV on a Muse.
"""
AT_RANGE = 0.99
"""Part of the nominal range from which a sample counts as railed."""
RAILED_SHARE = 0.05
"""Share of a hop's samples beyond which railed samples are a fault.

Measured: mains that rails a Muse puts 25 to 35 % of the samples there; 5 to 25 % is rare.
"""
STUCK_SHARE = 0.5
"""Share of a hop's samples beyond which samples that repeat the one before are a fault.

Measured: a Muse repeats 1 to 5 % by chance. Some programs fill a lost packet of 12 with zeros; one
such packet is 19 % of a hop and no fault, three are.
"""
WILD_UV = 600.0
"""RMS about the mean, µV, beyond which no brain is left in it, whatever the range.

Measured: 437 µV at most on a sound OpenBCI with mains and jaw clenches, 716 to 817 µV on a Muse
whose mains rails. Peak to peak would not do: there jaw clenches reach 1665 µV.
"""


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


@dataclass(frozen=True, eq=False)
class ChannelFaults:
    """What is wrong with each channel, (..., n_channels): one of four at most; ``rms`` in µV."""

    railed: NDArray[np.bool_]
    flat: NDArray[np.bool_]
    stuck: NDArray[np.bool_]
    wild: NDArray[np.bool_]
    rms: NDArray[np.float64]


def judge(samples: NDArray[np.float64], limits: Limits) -> ChannelFaults:
    """The faults of stretches of signal, (..., n_channels, n_times) raw µV, n_times at least 1."""
    n_times = samples.shape[-1]
    swing = samples.max(axis=-1) - samples.min(axis=-1)
    repeats = (samples[..., 1:] == samples[..., :-1]).sum(axis=-1)
    centred = samples - samples.mean(axis=-1, keepdims=True)
    rms = np.sqrt(np.square(centred).mean(axis=-1))
    railed = np.zeros(rms.shape, np.bool_)
    if limits.railed is not None:
        railed = (np.abs(samples) >= limits.railed).sum(axis=-1) > RAILED_SHARE * n_times
    flat = ~railed & (swing <= limits.flat)
    stuck = ~(railed | flat) & (repeats > STUCK_SHARE * n_times)
    wild = ~(railed | flat | stuck) & (rms > WILD_UV)
    return ChannelFaults(railed, flat, stuck, wild, rms)


def find_faults(stretches: Sequence[NDArray[np.float64]], limits: Limits) -> list[list[str | None]]:
    """Why each channel of each stretch is poor, in words; None where it is good.

    Parameters
    ----------
    stretches
        Each (n_times, n_channels), raw µV, n_times at least 1. Those of one length are judged at
        once.
    limits
        The device's.
    """
    faults: list[list[str | None]] = [[None] * each.shape[1] for each in stretches]
    places: dict[int, list[int]] = {}
    for place, each in enumerate(stretches):
        places.setdefault(len(each), []).append(place)
    for same in places.values():
        alike = np.array([stretches[place].T for place in same], order="C")  # four times as fast
        found = judge(alike, limits)
        poor = found.railed | found.flat | found.stuck | found.wild
        for nth, k in zip(*poor.nonzero(), strict=True):
            faults[same[nth]][k] = _words(found, (nth, k))
    return faults


def _words(found: ChannelFaults, at: tuple[int, int]) -> str:
    """What is wrong with the channel at this place."""
    words = (found.railed[at], "railed"), (found.flat[at], "flat"), (found.stuck[at], "stuck")
    return next((word for so, word in words if so), f"{found.rms[at]:.0f} µV RMS")


def describe_faults(names: Sequence[str], faults: Sequence[str | None]) -> str | None:
    """One line for a person, ``TP9: flat; AF7: railed``; None where all channels are good."""
    poor = [f"{name}: {fault}" for name, fault in zip(names, faults, strict=True) if fault]
    return "; ".join(poor) or None
