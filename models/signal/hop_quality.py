"""Detection of poor signal in one hop, from its raw samples and the device's range alone.

Blinks and muscle are not poor signal. Neither is an electrode's constant offset (tens of mV on
OpenBCI) or mains hum, which the band-pass removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import StreamInfo

# Measured over hops of 0.25 s on four channels (OpenBCI: eight). A hop is poor if any channel is:
#
#   Muse, sub-04 of a study, two recordings whose AF8 rails with mains    2366 hops, all poor
#   Muse, the study's other 29 recordings                                25696 hops, 0.21 % poor
#   Muse, visual experiments                                              6720 hops, 0.03 % poor
#   laboratory, less the held values at its files' ends                  22614 hops, none poor
#   OpenBCI Cyton with blinks, jaw clenches, 240 µV RMS of mains           359 hops, none poor
FLAT_UV = 0.2
"""Peak to peak, µV, up to which a channel is flat; at least one bit of the converter.

Measured: the quietest real hop has 5.7 µV in the laboratory, 8.3 µV on a Muse.
"""
RAILED_FROM = 0.99
"""Share of the nominal range from which a sample counts as railed."""
RAILED_SHARE = 0.05
"""Share of a hop's samples beyond which railed samples are a fault.

Measured: mains that rails a Muse puts 25 to 35 % of the samples there; 5 to 25 % is rare.
"""
STUCK_SHARE = 0.5
"""Share of a hop's samples beyond which samples that repeat the one before are a fault.

Measured: a Muse repeats 1 to 5 % by chance. Some programs fill a lost packet of 12 with zeros; one
such packet is 19 % of a hop and no fault, three are.
"""
NOISY_UV = 600.0
"""RMS around the mean, µV, above which no EEG is left in the signal, whatever the range.

Measured: at most 437 µV on a working OpenBCI with mains and jaw clenches, 716 to 817 µV on a Muse
railed by mains. Peak to peak would not separate them: jaw clenches reach 1665 µV.
"""


@dataclass(frozen=True)
class QualityLimits:
    """Limits of one device.

    Parameters
    ----------
    flat
        Peak to peak, µV, up to which a channel is flat.
    railed
        Absolute value, µV, from which a sample is railed; None if the range is unknown.
    """

    flat: float
    railed: float | None

    @classmethod
    def of(cls, info: StreamInfo) -> QualityLimits:
        """Limits for a source, from its resolution and range."""
        # In float32, one bit can come out slightly larger.
        flat = max(FLAT_UV, 1.01 * (info.uv_per_bit or 0.0))
        return cls(flat, None if info.range_uv is None else RAILED_FROM * info.range_uv)


@dataclass(frozen=True, eq=False)
class ChannelFaults:
    """Faults of each channel, (..., n_channels): at most one of four; ``rms`` is in µV."""

    railed: NDArray[np.bool_]
    flat: NDArray[np.bool_]
    stuck: NDArray[np.bool_]
    noisy: NDArray[np.bool_]
    rms: NDArray[np.float64]


def detect_faults(samples: NDArray[np.float64], limits: QualityLimits) -> ChannelFaults:
    """Detect the faults in pieces of signal: (..., n_channels, n_times) raw µV, n_times >= 1."""
    # Reductions are called without the methods around them: of a hop, each takes a third longer.
    n_times = samples.shape[-1]
    swing = np.maximum.reduce(samples, -1) - np.minimum.reduce(samples, -1)
    repeats = np.add.reduce(samples[..., 1:] == samples[..., :-1], -1)
    centred = samples - np.add.reduce(samples, -1, keepdims=True) / n_times
    rms = np.sqrt(np.add.reduce(np.square(centred, out=centred), -1) / n_times)
    railed = np.zeros(rms.shape, np.bool_)
    if limits.railed is not None:
        beyond = np.add.reduce(np.abs(samples) >= limits.railed, -1)
        railed = beyond > RAILED_SHARE * n_times
    flat = ~railed & (swing <= limits.flat)
    stuck = ~(railed | flat) & (repeats > STUCK_SHARE * n_times)
    noisy = ~(railed | flat | stuck) & (rms > NOISY_UV)
    return ChannelFaults(railed, flat, stuck, noisy, rms)


def name_faults(
    pieces: Sequence[NDArray[np.float64]], limits: Sequence[QualityLimits]
) -> list[list[str | None]]:
    """Name the fault of each channel of each piece; None for a good channel.

    Parameters
    ----------
    pieces
        Each (n_times, n_channels) raw µV, n_times >= 1. Pieces of one shape and device are handled
        together, which does not change a bit of the result.
    limits
        Limits of the device of each piece.
    """
    faults: list[list[str | None]] = [[None] * each.shape[1] for each in pieces]
    alike: dict[tuple[QualityLimits, tuple[int, ...]], list[int]] = {}
    for place, (each, own) in enumerate(zip(pieces, limits, strict=True)):
        alike.setdefault((own, each.shape), []).append(place)
    for (own, _), same in alike.items():
        # A contiguous copy makes detection four times as fast.
        found = detect_faults(np.array([pieces[place].T for place in same], order="C"), own)
        poor = found.railed | found.flat | found.stuck | found.noisy
        for nth, k in zip(*poor.nonzero(), strict=True):
            faults[same[nth]][k] = _name_fault(found, (nth, k))
    return faults


def _name_fault(found: ChannelFaults, at: tuple[int, int]) -> str:
    """Name of the fault at one place of the arrays."""
    names = (found.railed[at], "railed"), (found.flat[at], "flat"), (found.stuck[at], "stuck")
    return next((name for present, name in names if present), f"{found.rms[at]:.0f} µV RMS")


def describe_faults(names: Sequence[str], faults: Sequence[str | None]) -> str | None:
    """Describe the faults in one line (``TP9: flat; AF7: railed``); None if all are good."""
    poor = [f"{name}: {fault}" for name, fault in zip(names, faults, strict=True) if fault]
    return "; ".join(poor) or None
