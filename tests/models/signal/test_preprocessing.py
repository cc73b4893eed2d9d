"""The signal path: hop by hop it equals the whole; what it passes, stops and delays."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import hilbert, sosfilt, upfirdn

from mimamba.models.signal.preprocessing import Preprocessor, SignalConfig, SignalError

RATES = (256, 250, 200, 128, 500, 100, 125, 220, 1000, 255.3)


def through(path: Preprocessor, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """All whole hops of x, one after the other."""
    state, at, made = path.start(x[0]), 0, [np.empty((0, x.shape[1]))]
    while at + (n := path.samples_needed(state.hops)) <= len(x):
        state, hop = path.process(state, x[at : at + n])
        at += n
        made.append(hop)
    return np.concatenate(made)


def sine(frequency: float, sfreq: float, seconds: float) -> NDArray[np.float64]:
    phase = 2 * np.pi * frequency * np.arange(int(seconds * sfreq)) / sfreq
    return np.asarray(np.sin(phase)[:, np.newaxis])


@settings(max_examples=60, deadline=None)
@given(
    sfreq=st.sampled_from(RATES),
    hop=st.sampled_from([16, 32, 33, 64, 200]),
    offset=st.sampled_from([0.0, -40.0, 9e4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_hops_equal_the_whole_bit_for_bit(sfreq: float, hop: int, offset: float, seed: int) -> None:
    path = Preprocessor(SignalConfig(hop=hop), sfreq)
    x = offset + 30 * np.random.default_rng(seed).standard_normal((int(4 * sfreq), 2))
    whole = sosfilt(path.sos, upfirdn(path.fir, x - x[0], path.up, path.down, axis=0), axis=0)
    made = through(path, x)
    assert len(made) >= (4 - hop / 128) * 128 - 1
    assert np.array_equal(made, whole[: len(made)])


@settings(max_examples=60, deadline=None)
@given(
    sfreq=st.sampled_from(RATES),
    hop=st.sampled_from([16, 32, 33]),
    counts=st.lists(st.integers(1, 12), max_size=6),
    spare=st.integers(0, 5),
)
def test_many_hops_at_once_equal_one_by_one_bit_for_bit(
    sfreq: float, hop: int, counts: list[int], spare: int
) -> None:
    path = Preprocessor(SignalConfig(hop=hop), sfreq)
    n_times = path.samples_needed(0, sum(counts)) + min(spare, path.samples_needed(sum(counts)) - 1)
    x = np.random.default_rng(sum(counts)).standard_normal((n_times + 1, 2))
    assert path.count_hops(0, n_times) == sum(counts)
    state, at, made = path.start(x[0]), 0, [np.empty((0, 2))]
    for count in counts:
        n = path.samples_needed(state.hops, count)
        assert path.count_hops(state.hops, n) == count > path.count_hops(state.hops, n - 1)
        state, hops = path.process(state, x[at : at + n], count)
        made.append(hops)
        at += n
    assert np.array_equal(np.concatenate(made), through(path, x)[: sum(counts) * hop])


@pytest.mark.parametrize(
    ("sfreq", "ratio"),
    [(256, (1, 2)), (250, (64, 125)), (200, (16, 25)), (128, (1, 1)), (100, (32, 25))],
)
def test_the_ratio_of_rates(sfreq: float, ratio: tuple[int, int]) -> None:
    path = Preprocessor(SignalConfig(), sfreq)
    assert (path.up, path.down) == ratio


def test_a_hop_is_due_with_its_last_model_sample() -> None:
    path = Preprocessor(SignalConfig(), 250)
    assert [path.samples_needed(hop) for hop in range(6)] == [61, 63, 62, 63, 62, 63]
    for hop in range(200):
        newest = int(np.floor((32 * (hop + 1) - 1) / 128 * 250 + 1e-9))
        assert path.last_sample(hop) == newest


def test_a_state_can_be_gone_on_from_twice() -> None:
    path = Preprocessor(SignalConfig(), 250)
    x = np.random.default_rng(1).standard_normal((200, 3))
    state, _ = path.process(path.start(x[0]), x[:61])
    after, once = path.process(state, x[61:124])
    path.process(after, x[124:186])
    assert np.array_equal(once, path.process(state, x[61:124])[1])


@pytest.mark.parametrize("sfreq", RATES)
def test_a_constant_gives_nothing_from_the_first_sample_on(sfreq: float) -> None:
    made = through(Preprocessor(SignalConfig(), sfreq), np.full((int(3 * sfreq), 1), 187_500.0))
    assert not made.any()


@pytest.mark.parametrize("sfreq", [250, 200, 125, 100])
def test_a_drifting_offset_leaves_no_pattern_of_the_resamplers_phases(sfreq: float) -> None:
    seconds = np.arange(int(30 * sfreq)) / sfreq
    drift = 50_000 * np.sin(2 * np.pi * 0.01 * seconds)[:, np.newaxis]  # 50 mV in 25 s
    made = through(Preprocessor(SignalConfig(), sfreq), drift)
    late = made[10 * 128 :]
    assert np.abs(np.diff(late, axis=0)).max() < 0.2  # µV from one sample to the next


@pytest.mark.parametrize("sfreq", [256, 250, 128, 100])
@pytest.mark.parametrize("frequency", [3.0, 10.0, 25.0])
def test_the_band_passes_unchanged(sfreq: float, frequency: float) -> None:
    made = through(Preprocessor(SignalConfig(), sfreq), sine(frequency, sfreq, 8))[4 * 128 :]
    assert np.sqrt(2) * made.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("sfreq", "frequency", "most"),
    # 50 Hz is near the band; 100 Hz and 128 +- 10 Hz would fold into it.
    [(256, 50, 0.1), (256, 60, 1e-3), (256, 100, 2e-3), (250, 118, 2e-3), (500, 138, 2e-3)],
)
def test_what_is_above_the_band_is_stopped(sfreq: float, frequency: float, most: float) -> None:
    made = through(Preprocessor(SignalConfig(), sfreq), sine(frequency, sfreq, 8))[4 * 128 :]
    assert np.abs(made).max() < most


@pytest.mark.parametrize("sfreq", [500, 256, 250, 200, 128, 125, 100])
def test_the_delay_is_that_of_a_burst_of_alpha(sfreq: float) -> None:
    path = Preprocessor(SignalConfig(), sfreq)
    seconds = np.arange(int(8 * sfreq)) / sfreq
    burst = np.exp(-(((seconds - 4) / 0.4) ** 2)) * np.sin(2 * np.pi * 10 * seconds)
    made = through(path, burst[:, np.newaxis])[:, 0]
    envelope = np.abs(hilbert(made)) ** 2
    middle = (envelope * np.arange(len(made))).sum() / envelope.sum() / 128
    assert path.delay == pytest.approx(middle - 4, abs=0.003)
    assert path.delay < 0.1


@pytest.mark.parametrize("sfreq", [80, 0, -1, np.nan, np.inf, 1e9])
def test_a_source_of_an_impossible_rate_is_refused(sfreq: float) -> None:
    with pytest.raises(SignalError, match="Expected a source of 88 to 12800 Hz"):
        Preprocessor(SignalConfig(), sfreq)


def test_a_hop_of_too_few_samples_is_refused() -> None:
    with pytest.raises(SignalError, match="at least 8 source samples"):
        Preprocessor(SignalConfig(hop=4), 128)


@pytest.mark.parametrize(
    "wrong",
    [
        {"band": (0.0, 40.0)},
        {"band": (40.0, 1.0)},
        {"band": (1.0, 64.0)},
        {"sfreq": 0.0},
        {"sfreq": float("nan")},
        {"order": 0},
        {"window": 1},
        {"hop": 0},
        {"hop": 1.5},
        {"settle": -1},
        {"fir_half": 0},
        {"fir_beta": float("nan")},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SignalError, match=r"^Expected .*, but found .*. "):
        SignalConfig(**wrong)


def test_a_config_survives_being_written_down() -> None:
    config = SignalConfig(sfreq=100.0, band=(4.0, 30.0), hop=25)
    assert SignalConfig(**asdict(config)) == config
