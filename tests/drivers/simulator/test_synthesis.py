from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from mimamba.drivers.driver import Samples
from mimamba.drivers.simulator.scenario import SCENARIOS
from mimamba.drivers.simulator.synthesis import (
    CH_NAMES,
    RANGE_UV,
    UV_PER_BIT,
    SimulatedRecording,
    Synthesizer,
    simulate_recording,
)

WINDOW = 1024
BANDS = ((1, 4), (4, 8), (8, 13), (13, 30), (30, 40))
THETA, ALPHA, BETA = 1, 2, 3


def log_power(samples: Samples, sfreq: float = 256.0) -> NDArray[np.float64]:
    """(n_windows, n_bands, n_channels) of windows of 4 s."""
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW, samples.shape[1])
    frequency, power = signal.welch(windows, sfreq, nperseg=256, axis=1)
    inside = [(frequency >= low) & (frequency < high) for low, high in BANDS]
    return np.stack([np.log(power[:, band].sum(axis=1)) for band in inside], axis=1)


def at_windows(state: NDArray[np.float64]) -> NDArray[np.float64]:
    """A state at the middle of each window."""
    return state[: len(state) // WINDOW * WINDOW].reshape(-1, WINDOW)[:, WINDOW // 2]


def spectrum(samples: Samples, sfreq: float = 256.0) -> tuple[NDArray[np.float64], Samples]:
    frequency, power = signal.welch(samples, sfreq, nperseg=1024, axis=0)
    return frequency, power


@pytest.fixture(scope="module")
def people() -> list[SimulatedRecording]:
    return [simulate_recording("random", seed, 300.0) for seed in range(24)]


@given(
    st.sampled_from(sorted(SCENARIOS)),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 30) | st.integers(0, 1500), max_size=8),
    st.sets(st.integers(0, 7)),
)
@settings(max_examples=40, deadline=None)
def test_any_chunking_gives_the_same_bits(
    name: str, seed: int, sizes: list[int], prepared: set[int]
) -> None:
    cut, whole = Synthesizer(name, seed), Synthesizer(name, seed)
    pieces = []
    for n, size in enumerate(sizes):
        if n in prepared:
            cut.prepare()
            assert not cut.prepare()
        pieces.append(cut.next(size))
    assert [len(piece) for piece in pieces] == sizes
    assert cut.position == sum(sizes)
    together = np.concatenate([*pieces, cut.next(12)])
    assert np.array_equal(together, whole.next(sum(sizes) + 12))


def test_no_seam_shows_where_blocks_meet() -> None:
    steps = np.abs(np.diff(simulate_recording("calm", 0, 1200.0).samples, axis=0))
    seams = steps[WINDOW - 1 :: WINDOW]
    assert len(seams) == 299
    assert seams.mean() < 1.2 * steps.mean()


def test_given_samples_are_not_written_again() -> None:
    made = Synthesizer()
    given_out = made.next(12)
    kept = given_out.copy()
    given_out[0] = 0.0
    made.next(2000)
    assert np.array_equal(given_out[1:], kept[1:])
    assert np.array_equal(Synthesizer().next(12), kept)


def test_seeds_and_scenarios_differ() -> None:
    made = {Synthesizer(name, seed).next(8192).tobytes() for name in SCENARIOS for seed in range(4)}
    assert len(made) == 4 * len(SCENARIOS)


def test_a_scenario_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="holiday"):
        Synthesizer("holiday")


@pytest.mark.parametrize("name", SCENARIOS)
def test_values_are_those_of_a_muse_converter(name: str) -> None:
    samples = simulate_recording(name, 0, 120.0).samples
    assert samples.dtype == np.float32
    assert samples.shape == (120 * 256, len(CH_NAMES))
    bits = samples / UV_PER_BIT
    assert np.array_equal(bits, np.rint(bits))
    assert np.abs(samples).max() <= RANGE_UV


@pytest.mark.parametrize("seed", range(6))
def test_levels_are_plausible(seed: int) -> None:
    samples = simulate_recording("calm", seed, 120.0).samples.reshape(-1, 256, 4)
    rms = np.median(samples.std(axis=1), axis=0)  # of 1 s windows: most have no blink
    assert np.all((rms > 6.0) & (rms < 25.0))


@pytest.mark.parametrize("sfreq", [128.0, 200.0, 250.0, 256.0, 500.0])
def test_power_falls_with_frequency_and_has_an_alpha_peak(sfreq: float) -> None:
    samples = simulate_recording("calm", 1, 180.0, sfreq, mains=0.0).samples[:, [0, 3]]
    frequency, power = signal.welch(samples, sfreq, nperseg=round(4 * sfreq), axis=0)
    mean = power.mean(axis=1)

    def level(low: float, high: float) -> float:
        return float(mean[(frequency >= low) & (frequency <= high)].mean())

    assert level(1, 2) > level(3, 5) > level(14, 16) > level(35, 45)
    assert level(8, 12) > 2 * level(14, 16)
    inside = (frequency > 7) & (frequency < 14)
    assert 8.5 < frequency[inside][mean[inside].argmax()] < 12.0


def test_neighbours_share_part_of_their_background() -> None:
    samples = simulate_recording("calm", 2, 120.0).samples
    slow = signal.sosfilt(signal.butter(2, (14, 40), "bandpass", fs=256, output="sos"), samples, 0)
    correlation = np.corrcoef(slow.T)
    assert 0.1 < correlation[1, 2] < 0.8
    assert correlation[0, 3] < correlation[1, 2]


@pytest.mark.parametrize(("mains", "at"), [(50.0, 50.0), (60.0, 60.0)])
def test_mains_hums_at_its_frequency(mains: float, at: float) -> None:
    frequency, power = spectrum(simulate_recording("calm", 0, 60.0, mains=mains).samples)
    quiet = spectrum(simulate_recording("calm", 0, 60.0, mains=0.0).samples)[1]
    rise = (power / quiet).mean(axis=1)
    assert frequency[rise.argmax()] == at
    assert rise.max() > 3.0
    added = (power - quiet)[np.abs(frequency - at) <= 1.0].sum(axis=0) * frequency[1]
    assert np.all((added > 0.3) & (added < 20.0))  # the power of 1 to 4 µV at the crest


def test_state_shows_in_the_bands(people: list[SimulatedRecording]) -> None:
    asymmetry, alpha, beta = [], [], []
    for person in people:
        power = log_power(person.samples)
        valence, arousal = (
            at_windows(state) > 0 for state in (person.truth.valence, person.truth.arousal)
        )
        tilt = power[:, ALPHA, 2] - power[:, ALPHA, 1]
        asymmetry.append(tilt[valence].mean() - tilt[~valence].mean())
        temples = power[:, :, [0, 3]].mean(axis=2)
        shift = temples[arousal].mean(axis=0) - temples[~arousal].mean(axis=0)
        alpha.append(shift[ALPHA])
        beta.append(shift[BETA])
    assert 0.4 < np.mean(asymmetry) < 2.0  # more alpha on the right when pleased
    assert np.mean(alpha) < -0.3
    assert np.mean(beta) > 0.3
    assert np.mean(np.array(asymmetry) > 0) > 0.9


@pytest.mark.parametrize("output", ["valence", "arousal"])
def test_new_people_can_be_told_fairly_well(people: list[SimulatedRecording], output: str) -> None:
    """A least-squares classifier of log band power: neither hopeless nor trivial."""
    features = [log_power(person.samples).reshape(-1, 20) for person in people]
    labels = [at_windows(getattr(person.truth, output)) >= 0 for person in people]
    known, asked = np.concatenate(features[:16]), np.concatenate(features[16:])
    design = np.c_[known, np.ones(len(known))]
    weights = np.linalg.lstsq(design, np.where(np.concatenate(labels[:16]), 1.0, -1.0))[0]
    said = np.c_[asked, np.ones(len(asked))] @ weights > 0
    truth = np.concatenate(labels[16:])
    accuracy = (np.mean(said[truth]) + np.mean(~said[~truth])) / 2
    assert 0.74 < accuracy < 0.92


def test_people_differ(people: list[SimulatedRecording]) -> None:
    means = np.array([log_power(person.samples).mean(axis=0) for person in people])
    assert np.all(means.std(axis=0)[[THETA, ALPHA, BETA]] > 0.1)


def test_poor_signal_is_as_poor_as_it_says() -> None:
    made = Synthesizer("poor", 3)
    samples = made.next(120 * 256)
    faulty = made.faulty(0, len(samples))
    cues = [cue for cue in made.events(0, len(samples)) if cue.label.startswith("fault=")]
    assert np.all(np.isfinite(samples))
    assert {cue.label.split()[0] for cue in cues} == {
        "fault=flat",
        "fault=railed",
        "fault=noise",
        "fault=none",
    }
    for cue, after in zip(cues[::2], cues[1::2], strict=False):
        kind, electrode = (word.split("=")[1] for word in cue.label.split())
        rows = list(range(4)) if electrode == "all" else [CH_NAMES.index(electrode)]
        part = samples[cue.index : after.index, rows]
        assert faulty[cue.index : after.index, rows].all()
        assert not faulty[cue.index - 1].any()
        assert not faulty[after.index].any()
        if kind == "flat":
            assert not part.any()
        elif kind == "railed":
            assert np.all(part == RANGE_UV - UV_PER_BIT)
        else:
            assert np.all(part.std(axis=0) > 200.0)
    assert np.abs(samples[~faulty]).max() < 600.0


@given(st.integers(0, 20_000), st.integers(0, 5_000))
@settings(max_examples=30, deadline=None)
def test_faulty_of_a_part_is_part_of_the_whole(first: int, length: int) -> None:
    made = Synthesizer("poor", 1)
    whole = made.faulty(0, 25_000)
    assert np.array_equal(made.faulty(first, first + length), whole[first : first + length])


def test_a_stretch_is_the_stream_with_its_truth() -> None:
    made = Synthesizer("poor", 7, 250.0)
    whole = simulate_recording("poor", 7, 31.0, 250.0)
    assert np.array_equal(whole.samples, made.next(7750))
    truth = made.truth(np.arange(7750))
    assert np.array_equal(whole.truth.valence, truth.valence)
    assert np.array_equal(whole.truth.arousal, truth.arousal)
    assert np.array_equal(whole.faulty, made.faulty(0, 7750).any(axis=1))
    assert 0 < whole.faulty.mean() < 1


def test_cues_come_in_order() -> None:
    index = [cue.index for cue in Synthesizer("poor").events(0, 60 * 256)]
    assert index[0] == 0
    assert index == sorted(index)
    assert len(index) > 6
