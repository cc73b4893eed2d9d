"""Band power against known signals, SciPy's periodogram, and itself in other chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import detrend, periodogram

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.signal.band_power import BandMeter
from mimamba.models.signal.measures import BANDS, Band, BandPower
from mimamba.models.signal.sliding_window import SlidingWindow

MUSE = StreamInfo("Muse", "test", 256.0, ("TP9", "AF7", "AF8", "TP10"))
NAMES = list(BANDS)

Values = NDArray[np.floating]


def cut(values: Values, cuts: list[int], sfreq: float = 256.0) -> Iterator[Chunk]:
    """The samples as chunks that end at these places."""
    for start, stop in pairwise(sorted({0, len(values), *cuts})):
        yield Chunk(values[start:stop].astype(np.float32), np.arange(start, stop) / sfreq, start)


def follow(chunks: list[Chunk], info: StreamInfo = MUSE) -> list[BandPower]:
    quarters, meter = SlidingWindow(info), BandMeter(info)
    return [meter.measure(newest) for chunk in chunks for newest in quarters.feed(chunk)]


def newest(values: Values, sfreq: float = 256.0) -> dict[Band, float]:
    """The last word on one channel, (n_times,) µV."""
    info = replace(MUSE, sfreq=sfreq, ch_names=("x",))
    [row] = follow(list(cut(values[:, np.newaxis], [], sfreq)), info)[-1].power
    return dict(zip(NAMES, row.tolist(), strict=True))


@pytest.mark.parametrize("sfreq", [125.0, 200.0, 250.0, 256.0, 1000.0])
@pytest.mark.parametrize(
    ("frequency", "band"),
    [(2.5, "delta"), (6, "theta"), (10, "alpha"), (10.2, "alpha"), (20, "beta"), (35, "gamma")],
)
def test_a_sine_has_half_its_squared_amplitude(sfreq: float, frequency: float, band: Band) -> None:
    times = np.arange(round(3 * sfreq)) / sfreq
    power = newest(20 * np.sin(2 * np.pi * frequency * times), sfreq)
    assert power.pop(band) == pytest.approx(200, rel=0.03)
    assert max(power.values()) < 6


def test_white_noise_has_as_much_as_the_band_is_wide() -> None:
    noise = np.random.default_rng(0).normal(0, 10, (256 * 400, 1))
    told = follow(list(cut(noise, [])), replace(MUSE, ch_names=("x",)))
    mean = np.nanmean([each.power[0] for each in told], axis=0)
    for power, (low, high) in zip(mean, BANDS.values(), strict=True):
        # The line that is taken off has some of delta.
        assert power == pytest.approx(100 * (high - low) / 128, rel=0.06)


@pytest.mark.parametrize("drift", [0.0, 5000.0])
def test_offsets_of_tens_of_millivolts_do_not_leak(drift: float) -> None:
    times = np.arange(1024) / 256
    rhythm = 10 * np.sin(2 * np.pi * 10 * times)
    power, moved = newest(rhythm), newest(rhythm + 60_000 + drift * times)
    assert moved == pytest.approx(power, abs=0.01)
    assert moved["delta"] < 0.05


def test_it_is_scipys_periodogram() -> None:
    values = np.random.default_rng(1).normal(0, 30, 512).astype(np.float32)
    taper = np.hanning(513)[:-1]
    freqs, density = periodogram(detrend(values.astype(float)), 256, taper, detrend=False)
    power = newest(values)
    for name, (low, high) in BANDS.items():
        edges = (freqs == low) | (freqs == high)
        inside = np.sum(density[(freqs > low) & (freqs < high)]) + np.sum(density[edges]) / 2
        assert power[name] == pytest.approx(0.5 * inside)


def test_updates_come_four_times_a_second_and_are_empty_at_first() -> None:
    told = follow(list(cut(np.ones((700, 4)), [300, 301])))
    assert [each.index for each in told] == list(range(63, 700, 64))
    assert [each.timestamp for each in told] == [each.index / 256 for each in told]
    assert [bool(np.isnan(each.power).all()) for each in told] == 7 * [True] + 3 * [False]
    assert list(told[0].channels) == list(MUSE.ch_names)
    assert told[0].channels["TP9"].alpha is None
    assert told[-1].channels["TP9"].alpha == pytest.approx(0)


def test_a_band_beyond_the_sources_rate_has_no_value() -> None:
    power = newest(np.random.default_rng(2).normal(size=300), sfreq=64.0)
    assert [name for name in NAMES if np.isnan(power[name])] == ["gamma"]


def test_a_channel_without_values_silences_no_other() -> None:
    values = np.random.default_rng(3).normal(size=(1024, 4))
    values[600:, 1] = np.nan
    values[700:720, 2] = np.inf
    values[700:, 3] = 3e8
    told = follow(list(cut(values, [])))[-1].power
    assert np.isnan(told).all(axis=1).tolist() == [False, True, False, True]


def test_a_short_gap_is_bridged_and_a_long_one_leaves_nothing_for_two_seconds() -> None:
    times = np.arange(2560) / 256
    values = np.tile(20 * np.sin(2 * np.pi * 6 * times)[:, np.newaxis], 4)
    for lost, empty in ((25, 0), (26, 7), (200, 8)):
        told = follow([c for c in cut(values, [1000, 1000 + lost]) if c.first != 1000])
        without = [each.index for each in told[7:] if np.isnan(each.power).any()]
        assert len(without) == empty
        theta = [each.power[0, 1] for each in told[7:] if each.index not in without]
        np.testing.assert_allclose(theta, 200, rtol=0.25)  # a line for half a wave
    # No sample came in two quarters of the last one: they are left out.
    assert [each.index for each in told] == [
        n for n in range(63, 2560, 64) if n not in (1087, 1151)
    ]


def test_a_new_epoch_starts_empty() -> None:
    values = np.random.default_rng(4).normal(size=(640, 4))
    chunks = list(cut(values, [100, 300]))
    told = follow([replace(chunk, epoch=epoch) for epoch in range(3) for chunk in chunks])
    powers = np.array([each.power for each in told]).reshape(3, 10, 4, 5)
    np.testing.assert_array_equal(powers[0], powers[1])
    np.testing.assert_array_equal(powers[0], powers[2])
