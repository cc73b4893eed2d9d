from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from mimamba.drivers.simulator.artefacts import Artefacts
from mimamba.drivers.simulator.scenario import Scenario

SFREQ = 256.0
BLOCK = 1024


def ten_minutes(
    seed: int = 0, *, blinks: float = 0.0, bursts: float = 0.0, pops: float = 0.0
) -> NDArray[np.float64]:
    """(n_channels, n_times) of these many artefacts per minute, and nothing else."""
    made = Artefacts(Scenario("", blinks=blinks, bursts=bursts, pops=pops), seed, SFREQ, BLOCK)
    return np.concatenate([made.next() for _ in range(150)], axis=1)


def test_none_asked_for_is_silence() -> None:
    assert not ten_minutes().any()


def test_blinks_are_frontal_and_of_plausible_height() -> None:
    wave = ten_minutes(blinks=6.0)
    peaks, _ = signal.find_peaks(wave[1], height=60.0, distance=round(0.3 * SFREQ))
    assert 30 <= len(peaks) <= 90
    heights = wave[1, peaks]
    assert np.percentile(heights, 5) >= 80.0
    assert np.percentile(heights, 90) <= 345.0
    assert np.abs(wave[[0, 3]]).max() < 0.2 * wave[1:3].max()
    widths = signal.peak_widths(wave[1], peaks, rel_height=0.5)[0] / SFREQ
    assert 0.08 < np.median(widths) < 0.3


def test_bursts_are_fast_and_strongest_at_the_temples() -> None:
    wave = ten_minutes(bursts=6.0)
    frequency, power = signal.welch(wave, SFREQ, nperseg=512)
    assert power[:, frequency > 15].sum() > 20 * power[:, frequency <= 15].sum()
    rms = np.sqrt(np.mean(wave**2, axis=1))
    assert min(rms[0], rms[3]) > 2 * max(rms[1], rms[2])
    tense = wave[:, wave[0] != 0.0].std(axis=1)
    assert np.all((tense[[0, 3]] > 12.0) & (tense[[0, 3]] < 45.0))


def test_a_pop_is_a_step_at_one_electrode_that_decays() -> None:
    wave = ten_minutes(pops=2.0)
    steps = np.argwhere(np.abs(np.diff(wave, axis=1)) > 60.0)
    assert len(steps) > 5
    assert len(set(steps[:, 0])) > 1
    row, before = steps[0]
    assert not wave[np.arange(4) != row, before + 1].any()
    after = np.abs(wave[row, before + 1 : before + 100])
    assert np.all(np.diff(after) < 0)


def test_an_artefact_goes_on_over_the_end_of_its_block() -> None:
    wave = ten_minutes(pops=20.0)
    edges = np.arange(BLOCK, wave.shape[1], BLOCK)
    carried = np.abs(wave[:, edges]).max(axis=0) > 1.0
    assert carried.sum() > 10
    # No pop starts in the very first sample of most blocks: nothing is cut off there.
    jumps = np.abs(wave[:, edges] - wave[:, edges - 1]).max(axis=0)
    assert np.median(jumps[carried]) < 20.0


def test_a_seed_repeats() -> None:
    one, again, other = (ten_minutes(seed, blinks=12.0, bursts=6.0, pops=2.0) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
