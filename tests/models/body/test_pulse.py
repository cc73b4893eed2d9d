"""The heart rate of planted pulses, and none of what shows no pulse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import AuxiliaryChunk
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.body.pulse import MIN_CONFIDENCE, PulseMeter
from tests.models.body.planted import chunks_of, pulse


def measure(chunks: list[AuxiliaryChunk], sfreq: float = 64.0) -> list[HeartRate]:
    meter = PulseMeter(sfreq, 3)
    return [rate for chunk in chunks for rate in meter.feed(chunk)]


@pytest.mark.parametrize("beats", [40, 55, 70, 90, 120, 160, 190])
@pytest.mark.parametrize(("noise", "share"), [(0.0, 1.0), (0.5, 1.0), (1.0, 0.8)])
def test_a_planted_rate_is_found_in_noise(beats: float, noise: float, share: float) -> None:
    made = measure(chunks_of(pulse(60, beats, noise)))
    assert [each.reason for each in made[:9]] == ["too little signal"] * 9
    rates = [each.rate for each in made[9:] if each.rate is not None]
    assert len(rates) >= share * len(made[9:])
    assert rates == pytest.approx([beats] * len(rates), rel=0.04)
    assert [each.index for each in made] == [64 * n + 63 for n in range(60)]


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
def test_noise_has_no_heart_rate(colour: float) -> None:
    white = np.random.default_rng(1).normal(0, 100, (64 * 310, 3))
    spectrum = np.fft.rfft(white, axis=0)
    spectrum[1:] /= np.arange(1, len(spectrum))[:, None] ** (colour / 2)
    noise = np.fft.irfft(spectrum, axis=0).astype(np.float32)
    made = measure(chunks_of(noise, (64,)))[9:]
    assert [each for each in made if each.rate is not None] == []
    assert {each.reason for each in made} == {"no clear pulse"}
    assert max(each.confidence for each in made) < MIN_CONFIDENCE


@pytest.mark.parametrize("value", [0.0, 50_000.1, -3.7])
def test_a_constant_has_no_heart_rate(value: float) -> None:
    made = measure(chunks_of(np.full((64 * 15, 3), value, np.float32)))
    assert {(each.rate, each.confidence) for each in made} == {(None, 0.0)}


def test_movements_of_the_sensor_give_no_false_rate() -> None:
    data = pulse(120, 66, 0.2)
    rng = np.random.default_rng(2)
    shaken = np.zeros(len(data))
    for second in range(30, 60, 2):  # a push every two seconds or so, of any size
        at = round(64 * (second + rng.uniform(0, 1.5)))
        shaken[at : at + 32] += rng.normal(0, 1500) * np.hanning(32)
    made = measure(chunks_of(data + shaken[:, None].astype(np.float32)))
    rates = [each.rate for each in made if each.rate is not None]
    assert rates == pytest.approx([66] * len(rates), rel=0.05)
    assert len(rates) >= 60  # before and after the movements
    assert {each.reason for each in made[40:60]} == {"no clear pulse"}


def test_missing_samples_are_bridged_if_few() -> None:
    data = pulse(60, 72, 0.2)
    few = [(64 * n + 10, 64 * n + 16) for n in range(0, 60, 2)]
    made = measure(chunks_of(data, lost=few))
    rates = [each.rate for each in made[9:]]
    assert rates == pytest.approx([72.0] * len(rates), rel=0.04)
    many = [(64 * n, 64 * n + 30) for n in range(60)]
    assert {each.reason for each in measure(chunks_of(data, lost=many))[9:]} == {
        "samples are missing"
    }


def test_after_a_long_gap_it_waits_for_signal() -> None:
    made = measure(chunks_of(pulse(60, 72, 0.1), lost=[(64 * 20, 64 * 40)]))
    seconds = {round(each.timestamp - 100): each for each in made}
    assert seconds[20].rate == pytest.approx(72, rel=0.04)
    assert seconds[45].reason == "samples are missing"
    assert seconds[55].rate == pytest.approx(72, rel=0.04)


def test_a_light_that_is_missing_is_left_out() -> None:
    data = pulse(30, 80, 0.2)
    data[:, 0] = np.nan
    made = measure(chunks_of(data))
    assert made[-1].rate == pytest.approx(80, rel=0.04)


@pytest.mark.parametrize("sfreq", [25.0, 50.0, 250.0])
def test_other_rates_of_sampling(sfreq: float) -> None:
    made = measure(chunks_of(pulse(30, 65, 0.2, sfreq=sfreq)), sfreq)
    assert made[-1].rate == pytest.approx(65, rel=0.04)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 900), min_size=1, max_size=12),
    lost=st.lists(st.tuples(st.integers(0, 64 * 20), st.integers(1, 400)), max_size=4),
)
def test_any_chunks_give_the_same(sizes: list[int], lost: list[tuple[int, int]]) -> None:
    data = pulse(20, 75, 0.4)
    gone = [(start, start + length) for start, length in lost]
    assert measure(chunks_of(data, sizes, gone)) == measure(chunks_of(data, (6,), gone))


def test_what_was_there_already_is_left_out() -> None:
    chunks = chunks_of(pulse(15, 75, 0.2))
    meter = PulseMeter(64.0, 3)
    doubled = [rate for chunk in chunks for _ in range(2) for rate in meter.feed(chunk)]
    assert doubled == measure(chunks)
