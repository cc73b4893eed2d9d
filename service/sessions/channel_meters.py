"""Meters of a session's channels: signal quality and band power, four times a second."""

from __future__ import annotations

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.signal.band_power import BandMeter
from mimamba.models.signal.channel_quality import QualityMeter
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.sliding_window import SlidingWindow


class ChannelMeters:
    """The meters of all channels of a source, over its newest 2 s; one for each epoch.

    Parameters
    ----------
    info
        The source.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._window = SlidingWindow(info)
        self._meters = (BandMeter(info), QualityMeter(info))

    def feed(self, chunk: Chunk) -> list[BandPower | Quality]:
        """The measures that a chunk completes, oldest first.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        measures = (
            meter.measure(window) for window in self._window.feed(chunk) for meter in self._meters
        )
        return [measure for measure in measures if measure is not None]
