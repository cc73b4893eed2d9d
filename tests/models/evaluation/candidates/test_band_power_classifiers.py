"""Log band power: the power of a known wave, and classifiers that choose by the validation."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra train is not installed")

from mimamba.models.evaluation.candidates.band_power_classifiers import (
    log_band_power,
    logistic_regression,
    random_forest,
)
from mimamba.models.evaluation.candidates.candidate import ClassificationTask, without_labels
from mimamba.models.signal.measures import BANDS
from tests.models.evaluation.people import TASK, people, telling


@pytest.mark.parametrize("n_times", [64, 128, 256])
@pytest.mark.parametrize(("f", "band"), [(2.5, 0), (6, 1), (10, 2), (20, 3), (35, 4)])
def test_a_wave_is_in_its_band(f: float, band: int, n_times: int) -> None:
    times = np.arange(n_times) / 128
    window = np.zeros((1, 4, n_times), np.float32)
    window[0, 1] = 10 * np.sin(2 * np.pi * f * times)
    powers = log_band_power(window, 128.0).reshape(4, len(BANDS))
    assert powers[1].argmax() == band
    assert (powers[0] == np.log(1e-6)).all()


def test_white_noise_has_its_density_in_every_band() -> None:
    noise = np.random.default_rng(0).normal(0, 5, (400, 1, 256)).astype(np.float32)
    density = np.exp(log_band_power(noise, 128.0)).mean(0)
    assert density == pytest.approx(25 / 64, rel=0.15)  # variance over half the rate, µV²/Hz


@pytest.mark.parametrize("forest", [False, True])
def test_both_learn_and_repeat_themselves(forest: bool) -> None:
    sequences = people(4, 4, 6, telling)
    found = []
    for _ in range(2):
        candidate = random_forest(TASK, 0) if forest else logistic_regression(TASK)
        candidate.fit(sequences[:8], sequences[8:12])
        found.append(candidate.probabilities(without_labels(sequences[12:])))
    truth = [sequence.labels[0, 0] for sequence in sequences[12:]]
    assert [p.mean(0).argmax() for p in found[0]] == truth
    assert [p.shape for p in found[0]] == [(6, 2)] * 4
    assert all((a == b).all() for a, b in zip(*found, strict=True))


def test_a_label_that_was_never_learnt_has_no_share() -> None:
    task = ClassificationTask({"mood": ("low", "middle", "high")}, TASK.montage, TASK.signal)
    sequences = people(3, 4, 4, telling)
    for sequence in sequences:
        sequence.labels[:] *= 2
    candidate = logistic_regression(task)
    candidate.fit(sequences[:4], sequences[4:8])
    shares = np.concatenate(candidate.probabilities(without_labels(sequences[8:])))
    assert (shares[:, 1] == 0).all()
    assert shares.sum(1) == pytest.approx(1.0)
