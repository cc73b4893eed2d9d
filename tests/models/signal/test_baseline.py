"""A person's baseline: taken from good hops only, the same in any chunks, and undone by nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import periodogram

from mimamba.models.signal.baseline import (
    BAND_CENTRES,
    BAND_EDGES,
    TARGET_LOG_POWER,
    BandSpectrum,
    Baseline,
    BaselineAligner,
)
from mimamba.models.signal.hops import Hop
from mimamba.models.signal.preprocessing import SignalConfig

SIGNAL = SignalConfig(window=256, hop=64)
SECONDS = SIGNAL.hop / SIGNAL.sfreq


def hop(seed: int, scale: float = 10.0, status: str = "ok") -> Hop:
    """Noise in four channels, the first one the loudest."""
    rng = np.random.default_rng(seed)
    loud = scale * np.array([8.0, 4.0, 2.0, 1.0])[:, None]
    window = (loud * rng.standard_normal((4, SIGNAL.window))).astype(np.float32)
    good = status == "ok"
    return Hop(
        seed,
        seed * SECONDS,
        "ok" if good else "poor_signal",
        None if good else "TP9: flat",
        window if good else None,
        seed == 0,
        0,
    )


def facts(said: Hop) -> tuple[object, ...]:
    """All of a hop but its window."""
    return said.index, said.timestamp, said.status, said.reason, said.restart, said.epoch


def test_log_power_is_that_of_scipy() -> None:
    window = hop(3).window
    assert window is not None
    _, density = periodogram(window, SIGNAL.sfreq, np.hanning(SIGNAL.window), detrend=False)
    f = np.fft.rfftfreq(SIGNAL.window, 1 / SIGNAL.sfreq)
    wanted = [density[:, (a <= f) & (f < a + 1)].mean(1) for a in BAND_EDGES[:-1]]
    assert BandSpectrum(SIGNAL).log_power(window) == pytest.approx(np.log(wanted).T, abs=1e-5)


@pytest.mark.parametrize("window", [64, 128, 256, 500])
def test_a_window_of_any_length_has_all_bands(window: int) -> None:
    signal = SignalConfig(window=window, hop=32)
    noise = np.random.default_rng(1).standard_normal((4, window)).astype(np.float32)
    assert np.isfinite(BandSpectrum(signal).log_power(noise)).all()
    assert BandSpectrum(signal).log_power(np.zeros_like(noise)).shape == (4, len(BAND_CENTRES))


def test_the_baseline_itself_comes_out_as_the_reference() -> None:
    aligner = BaselineAligner(SIGNAL)
    aligner.start(100 * SECONDS)
    for seed in range(100):
        aligner.feed(hop(seed))
    spectrum = BandSpectrum(SIGNAL)
    seen = [aligner.feed(hop(seed)).window for seed in range(100)]
    power = np.mean([spectrum.log_power(window) for window in seen if window is not None], axis=0)
    # Between two bands the filter passes from one scale to the next; below 3 Hz that is steep.
    assert power[:, 2:] == pytest.approx(np.tile(TARGET_LOG_POWER[2:], (4, 1)), abs=0.2)


def test_what_a_headset_amplifies_is_taken_out() -> None:
    """Twice as much of everything, at rest and after it: the model sees no difference."""
    seen = []
    for scale in (10.0, 20.0):
        aligner = BaselineAligner(SIGNAL)
        aligner.start(20 * SECONDS)
        for seed in range(20):
            aligner.feed(hop(seed, scale))
        seen.append(aligner.feed(hop(50, scale)).window)
    assert seen[0] == pytest.approx(seen[1], rel=1e-3, abs=1e-3)


def test_the_model_abstains_while_measuring_and_restarts_after_it() -> None:
    aligner = BaselineAligner(SIGNAL)
    aligner.start(3 * SECONDS)
    taken = [aligner.feed(hop(seed)) for seed in range(3)]
    assert [each.status for each in taken] == ["warming_up"] * 3
    assert [each.reason for each in taken] == [
        "baseline 0 of 2 s",
        "baseline 1 of 2 s",
        "baseline 2 of 2 s",
    ]
    assert all(each.window is None and not each.restart for each in taken)
    first, second = aligner.feed(hop(3)), aligner.feed(hop(4))
    assert (first.status, first.restart) == ("ok", True)
    assert (second.status, second.restart) == ("ok", False)


def test_poor_signal_is_in_no_baseline_and_says_why() -> None:
    aligner, clean = BaselineAligner(SIGNAL), BaselineAligner(SIGNAL)
    for each in (aligner, clean):
        each.start(4 * SECONDS)
    for seed in range(4):
        poor = hop(100 + seed, status="poor")
        assert aligner.feed(poor) == poor
        aligner.feed(hop(seed))
        clean.feed(hop(seed))
    one, other = aligner.state.baseline, clean.state.baseline
    assert one is not None
    assert other is not None
    assert (one.log_power == other.log_power).all()
    assert one.seconds == 4 * SECONDS


def test_poor_signal_postpones_the_restart() -> None:
    aligner = BaselineAligner(SIGNAL)
    aligner.set_baseline(Baseline(np.zeros((4, len(BAND_CENTRES))), 60.0))
    assert not aligner.feed(hop(5, status="poor")).restart
    assert aligner.feed(hop(6)).restart


def test_a_cancelled_baseline_leaves_the_one_before() -> None:
    before, never = BaselineAligner(SIGNAL), BaselineAligner(SIGNAL)
    for each in (before, never):
        each.set_baseline(Baseline(np.ones((4, len(BAND_CENTRES))), 60.0))
        each.feed(hop(1))
    before.start(3 * SECONDS)
    assert before.feed(hop(2)).window is None
    before.cancel()
    one, other = before.feed(hop(3)), never.feed(hop(3))
    assert one.restart
    assert one.window is not None
    assert other.window is not None
    assert (one.window == other.window).all()
    assert not before.feed(hop(4)).restart


def test_without_a_baseline_hops_are_as_they_came() -> None:
    aligner, plain = BaselineAligner(SIGNAL), hop(7)
    seen = aligner.feed(plain)
    assert seen.window is plain.window
    assert facts(seen) == facts(plain)


def test_a_second_baseline_is_taken_of_the_signal_as_it_came() -> None:
    aligner, fresh = BaselineAligner(SIGNAL), BaselineAligner(SIGNAL)
    aligner.set_baseline(Baseline(np.ones((4, len(BAND_CENTRES))), 60.0))
    for each in (aligner, fresh):
        each.start(2 * SECONDS)
        each.feed(hop(1))
        each.feed(hop(2))
    one, other = aligner.state.baseline, fresh.state.baseline
    assert one is not None
    assert other is not None
    assert (one.log_power == other.log_power).all()


@settings(max_examples=20)
@given(st.integers(0, 30), st.integers(1, 20))
def test_a_state_that_is_set_again_goes_on_as_if_nothing_had_been(at: int, wanted: int) -> None:
    whole, first, second = BaselineAligner(SIGNAL), BaselineAligner(SIGNAL), BaselineAligner(SIGNAL)
    for each in (whole, first):
        each.start(wanted * SECONDS)
    hops = [hop(seed) for seed in range(32)]
    expected = [whole.feed(each) for each in hops]
    found = [first.feed(each) for each in hops[:at]]
    second.state = first.state
    found += [second.feed(each) for each in hops[at:]]
    for one, other in zip(found, expected, strict=True):
        assert facts(one) == facts(other)
        assert (one.window is None) == (other.window is None)
        if one.window is not None and other.window is not None:
            assert (one.window == other.window).all()
