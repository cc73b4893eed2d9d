"""Small sets of people and trials, with labels that do or do not depend on the signals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mimamba.models.evaluation.candidates.candidate import ClassificationTask
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.windowing import HopSequence

N_TIMES = 128
TASK = ClassificationTask(
    {"mood": ("low", "high")}, ("TP9", "AF7", "AF8", "TP10"), SignalConfig(window=N_TIMES, hop=128)
)


def trial(
    person: str, name: str, labels: tuple[int, ...], f: float, n_hops: int, rng: np.random.Generator
) -> HopSequence:
    """A wave of f Hz in noise, as loud in each channel as this trial happens to be."""
    times = np.arange(N_TIMES) / N_TIMES
    waves = np.sin(2 * np.pi * (f * times + rng.random((n_hops, 1, 1))))
    loud = rng.uniform(5, 60, (4, 1))
    windows = loud * waves + 5 * rng.standard_normal((n_hops, 4, N_TIMES))
    restart = np.zeros(n_hops, np.bool_)
    restart[0] = True
    rows = np.tile(np.array(labels, np.int64), (n_hops, 1))
    return HopSequence(windows.astype(np.float32), restart, rows, person, name)


def people(
    n_people: int,
    n_trials: int,
    n_hops: int,
    frequency: Callable[[int, np.random.Generator], float],
    seed: int = 0,
) -> list[HopSequence]:
    """As many trials of each label; the frequency is of a trial's label, or drawn."""
    rng = np.random.default_rng(seed)
    return [
        trial(f"p{person}", f"t{i}", (label,), frequency(label, rng), n_hops, rng)
        for person in range(n_people)
        for i, label in enumerate(rng.permutation(np.arange(n_trials) % 2).tolist())
    ]


def telling(label: int, _rng: np.random.Generator) -> float:
    """The frequency tells the label."""
    return (6.0, 20.0)[label]


def silent(_label: int, rng: np.random.Generator) -> float:
    """The frequency is the trial's own, and tells nothing of the label."""
    return float(rng.uniform(4, 36))
