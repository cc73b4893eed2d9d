"""Features are a function of the samples, and a baseline shifts them."""

from __future__ import annotations

import numpy as np
import pytest

from mimamba.models.personal.features import (
    EDGES,
    SIGNAL,
    BandFeatures,
    FeatureStream,
    columns,
    track_features,
)
from mimamba.models.signal.baseline import BandSpectrum, Baseline
from tests.models.personal.sittings import INFO, MUSE, SFREQ, noise


def test_a_wave_is_in_its_band() -> None:
    times = np.arange(SIGNAL.window) / SIGNAL.sfreq
    rng = np.random.default_rng(0)
    for band, f in enumerate([2.5, 6, 10, 16, 25, 35]):
        window = rng.standard_normal((4, SIGNAL.window))
        quiet = BandFeatures().measure(window.astype(np.float32))
        window[1] += 20 * np.sin(2 * np.pi * f * times)
        loud = BandFeatures().measure(window.astype(np.float32))
        gained = (loud - quiet).reshape(len(EDGES) - 1, 4)
        assert int(gained.argmax()) == 4 * band + 1


def test_sets_of_features_are_columns() -> None:
    assert columns("below-20", 4) == slice(0, 16)
    assert columns("above-20", 4) == slice(16, 24)
    assert columns("below-40", 3) == slice(0, 18)


def test_aligning_adds_a_constant() -> None:
    rng = np.random.default_rng(1)
    spectrum = BandSpectrum(SIGNAL)
    windows = [20 * rng.standard_normal((2, SIGNAL.window)).astype(np.float32) for _ in range(99)]
    rest = Baseline(np.mean([spectrum.log_power(each) for each in windows[:3]], axis=0), 3.0)
    measured = BandFeatures()
    plain = np.array([measured.measure(each) for each in windows])
    power = np.array([spectrum.log_power(each)[:, 7:12].mean(axis=1) for each in windows])
    assert np.allclose(plain[:, 4:6], power)  # alpha
    # It is what aligning the windows themselves adds, which differs a little from one to another.
    aligned = np.array([measured.measure(spectrum.align(each, rest)) for each in windows])
    assert np.allclose(measured.shift(rest), (aligned - plain).mean(axis=0), atol=0.2)
    [chunk] = noise(8, 1).chunks(10**6)
    stream = FeatureStream(INFO, MUSE, Baseline(np.zeros((4, 39)), 3.0))
    quiet = FeatureStream(INFO, MUSE)
    added = [
        one.values - other.values
        for one, other in zip(stream.feed(chunk), quiet.feed(chunk), strict=True)
        if one.values is not None and other.values is not None
    ]
    assert len(added) == 4
    assert np.allclose(added, measured.shift(Baseline(np.zeros((4, 39)), 3.0)))


def test_a_track_has_a_row_for_each_hop() -> None:
    recording = noise(20, 2)
    track = track_features(recording, MUSE)
    assert track.values.shape == (20, 24)
    assert track.ok.tolist() == [False] * 4 + [True] * 16
    assert track.baseline is None
    # The hops at 12 s and 13 s see nothing before 8 s, and nothing from 13 s on.
    inside = track.within(round(8 * SFREQ), round(13 * SFREQ))
    assert (track.index[inside] / SFREQ).round().tolist() == [12, 13]


def test_a_baseline_is_taken_at_the_start() -> None:
    track = track_features(noise(30, 3), MUSE, 12.0)
    assert track.baseline is not None
    assert track.baseline.seconds == 12.0
    assert track.ok.tolist() == [False] * 16 + [True] * 14


def test_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="Cz"):
        track_features(noise(8, 4), ("Cz",))
