"""Meters of many sources together, whose windows are measured in parts."""

from __future__ import annotations

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.signal.channel_meters import GROUP, ChannelMeters, measure_all
from mimamba.models.signal.measures import BandPower, Quality

SFREQ = 256.0
SOURCES = GROUP + 8


@pytest.mark.parametrize("range_uv", [1000.0, None])
def test_many_sources_have_the_measures_of_each_alone(range_uv: float | None) -> None:
    """First in all eight quarters of their windows, then in the newest; half of them clip."""
    info = StreamInfo("Scripted", "scripted", SFREQ, ("a", "b", "c", "d"), range_uv=range_uv)
    rng, times = np.random.default_rng(3), np.arange(576) / SFREQ
    signals = 300 * rng.standard_normal((SOURCES, len(times), 4))
    signals[::2] = signals[::2].clip(-400, 400)
    chunks = [Chunk(each.astype(np.float32), times, 0) for each in signals]
    alone = [list(map(plain, ChannelMeters(info).feed(each))) for each in chunks]

    meters = [ChannelMeters(info) for _ in chunks]
    windows = [each.windows(chunk) for each, chunk in zip(meters, chunks, strict=True)]
    rounds = [
        measure_all(list(zip(meters, some, strict=True))) for some in zip(*windows, strict=True)
    ]
    assert len(rounds) == 9
    assert alone == [
        [plain(each) for measured in rounds for each in measured[source]]
        for source in range(SOURCES)
    ]
    assert any("railed" in reasons(each) for each in rounds[-1]) == (range_uv is None)


def plain(measure: Quality | BandPower) -> object:
    """What compares bit for bit, NaN included."""
    if isinstance(measure, BandPower):
        return measure.index, measure.timestamp, measure.power.tobytes()
    return measure


def reasons(measured: list[Quality | BandPower]) -> set[str | None]:
    """The reasons that a source's channels have."""
    return {
        channel.reason
        for each in measured
        if isinstance(each, Quality)
        for channel in each.channels.values()
    }
