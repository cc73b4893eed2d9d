"""Meters of a source's channels: signal quality and band power, four times a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.signal.band_power import BandMeter, measure_bands
from mimamba.models.signal.channel_quality import QualityMeter, QuartersState, measure_quality
from mimamba.models.signal.hop_quality import QualityLimits
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.sliding_window import QUARTERS, SlidingWindow, Window, WindowState
from mimamba.models.signal.window_spectra import PART_BYTES

Kind: TypeAlias = tuple[float, int, QualityLimits]
"""Sampling frequency, Hz; number of channels; limits of the device."""


@dataclass(frozen=True, eq=False)
class MetersState:
    """Complete state of ``ChannelMeters``."""

    window: WindowState
    quarters: QuartersState


class ChannelMeters:
    """The meters of all channels of a source, over its newest 2 s; one for each epoch.

    Parameters
    ----------
    info
        The source.

    Attributes
    ----------
    kind
        Meters of one kind measure together.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._window = SlidingWindow(info)
        self.bands, self.quality = BandMeter(info), QualityMeter(info)
        self.kind: Kind = info.sfreq, info.n_channels, self.quality.limits

    @property
    def state(self) -> MetersState:
        """Complete state, once all windows are measured; set it to continue from there."""
        return MetersState(self._window.state, self.quality.state)

    @state.setter
    def state(self, state: MetersState) -> None:
        self._window.state, self.quality.state = state.window, state.quarters

    def windows(self, chunk: Chunk) -> list[Window]:
        """The windows that a chunk completes, oldest first, to be measured in this order.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        return self._window.feed(chunk)

    def feed(self, chunk: Chunk) -> list[BandPower | Quality]:
        """The measures that a chunk completes, oldest first; raises ValueError as ``windows``."""
        windows = self.windows(chunk)
        return [measure for each in windows for measure in measure_all([(self, each)])[0]]


GROUP = 32
"""Most windows that are measured together: more of them leave the cache."""


def measure_all(
    windows: Sequence[tuple[ChannelMeters, Window]],
) -> list[list[BandPower | Quality]]:
    """Measure one window of each of many sources; the result does not depend on the others.

    The quality of a window comes before its bands, which are judged by it.
    """
    measured: list[list[BandPower | Quality]] = []
    alike: dict[tuple[Kind, int], list[int]] = {}
    for place, (meters, window) in enumerate(windows):
        if fresh := meters.quality.begin(window):
            alike.setdefault((meters.kind, fresh), []).append(place)
            measured.append([])
        else:
            measured.append([meters.bands.unknown(window)])
    for (_, fresh), same in alike.items():
        size = _group_size(windows[same[0]][1], fresh)
        for start in range(0, len(same), size):
            places = same[start : start + size]
            group = [windows[place] for place in places]
            for place, score, power in zip(places, *_measure_alike(group, fresh), strict=True):
                measured[place] = [score, power]
    return measured


def _group_size(window: Window, fresh: int) -> int:
    """Return how many such windows are measured together: all their new quarters fit a part."""
    assert window.samples is not None
    return min(GROUP, max(1, PART_BYTES * QUARTERS // (window.samples.nbytes * fresh)))


def _measure_alike(
    windows: Sequence[tuple[ChannelMeters, Window]], fresh: int
) -> tuple[list[Quality], list[BandPower]]:
    """Measure windows of one kind and number of quarters to examine."""
    meters = windows[0][0]
    samples = [window.samples for _, window in windows if window.samples is not None]
    centred, detrended = meters.bands.transform.sum_power(
        samples, meters.quality.weights, meters.bands.weights
    )
    quality = [(meters.quality, window) for meters, window in windows]
    bands = [(meters.bands, window) for meters, window in windows]
    return measure_quality(quality, centred, fresh), measure_bands(bands, detrended)
