"""Meters of a source's channels: signal quality and band power, four times a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.signal.band_power import BandMeter, measure_bands
from mimamba.models.signal.channel_quality import QualityMeter, QuartersState, measure_quality
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.sliding_window import SlidingWindow, Window, WindowState


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
    """

    def __init__(self, info: StreamInfo) -> None:
        self._window = SlidingWindow(info)
        self.bands, self.quality = BandMeter(info), QualityMeter(info)

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


def measure_all(
    windows: Sequence[tuple[ChannelMeters, Window]],
) -> list[list[BandPower | Quality]]:
    """Measure one window of each of many sources; the result does not depend on the others.

    The quality of a window comes before its bands, which are judged by it.
    """
    bands = measure_bands([(meters.bands, window) for meters, window in windows])
    quality = measure_quality([(meters.quality, window) for meters, window in windows])
    return [
        [power] if score is None else [score, power]
        for power, score in zip(bands, quality, strict=True)
    ]
