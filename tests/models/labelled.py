"""A small data set in memory, whose signals tell its labels, and a recipe that learns at once."""

from __future__ import annotations

import numpy as np

from mimamba.drivers.driver import StreamInfo
from mimamba.models.datasets.dataset import Dataset, Trial
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.signal.montage import match_montage
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.recipes import Recipe
from mimamba.models.training.trainer import TrainingConfig

CH_NAMES = ("T7", "Fp1", "Fp2", "T8")
MUSE = ("TP9", "AF7", "AF8", "TP10")
SFREQ = 128.0
TINY = Recipe(
    "tiny",
    MSiMambaConfig(
        mstb=False, hidden=2, d_model=8, d_ff=8, n_layers=1, d_state=2, d_conv=2, dropout=0.2
    ),
    SignalConfig(window=64, hop=64, settle=64),
    TrainingConfig(epochs=2, batch=4, sequence=(4, 8), learning_rate=1e-2, averaging=0.5),
    r=0.9,
)


def labelled(n_people: int = 4, n_trials: int = 4, seconds: int = 6, seed: int = 0) -> Dataset:
    """Each person has as many slow as fast trials, and 8 s of rest."""
    rng = np.random.default_rng(seed)
    info = StreamInfo("waves", "nowhere", SFREQ, CH_NAMES, live=False, notices=("It is made up.",))
    trials = tuple(
        trial(f"p{person}", f"t{n}", (n % 2,), seconds, rng)
        for person in range(n_people)
        for n in range(n_trials)
    )
    rest = {f"p{person}": trial(f"p{person}", "rest", (), 8, rng) for person in range(n_people)}
    outputs: dict[str, tuple[str, ...]] = {"pitch": ("low", "high")}
    montage = tuple(match_montage(MUSE, CH_NAMES))
    return Dataset("waves", "waves by nobody", info, montage, outputs, trials, rest)


def trial(
    person: str, name: str, labels: tuple[int, ...], seconds: int, rng: np.random.Generator
) -> Trial:
    """4 Hz for the label 0, 12 Hz for any other; 20 µV in noise of 5 µV."""
    index = np.arange(round(seconds * SFREQ))
    waves = 20 * np.sin(2 * np.pi * (12 if any(labels) else 4) * index[:, None] / SFREQ)
    data = waves + 5 * rng.standard_normal((len(index), len(CH_NAMES)))
    return Trial(person, name, data.astype(np.float32), index, labels)
