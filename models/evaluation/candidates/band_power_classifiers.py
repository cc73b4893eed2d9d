"""Log band power with two classifiers of scikit-learn: what every network has to beat.

Imported where it is used: it needs the extra ``train``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mimamba.models.evaluation.candidates.candidate import ClassificationTask, UnlabelledSequence
from mimamba.models.evaluation.metrics import balanced_accuracy, confusion
from mimamba.models.signal.band_power import BANDS
from mimamba.models.training.windowing import HopSequence

MIN_POWER = 1e-6
"""µV²/Hz below which power is rounding: that of a flat channel."""
C_VALUES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of the logistic regression, tried as C on the validation."""


def log_band_power(windows: NDArray[np.float32], sfreq: float) -> NDArray[np.float64]:
    """(n_hops, n_channels, n_times) µV to (n_hops, n_channels * n_bands), log µV²/Hz.

    Welch's method with segments of a second, zero-padded where the window is shorter, so that the
    narrowest band has bins; a band has those from its lower edge up to below its upper one.
    """
    second = round(sfreq)
    n = min(second, windows.shape[-1])
    f, density = welch(windows.astype(np.float64), sfreq, nperseg=n, nfft=second)
    powers = [density[..., (low <= f) & (f < high)].mean(-1) for low, high in BANDS.values()]
    logs = np.log(np.maximum(np.stack(powers, axis=-1), MIN_POWER))
    return np.asarray(logs.reshape(len(windows), -1))


class BandPowerCandidate:
    """Standardised log band power with one classifier per output, all labels weighing the same.

    Parameters
    ----------
    name
        What its rows are called.
    task
        Whose outputs it learns.
    classifiers
        Make the classifiers; the one that is best on the validation is kept.
    """

    carries_state = False

    def __init__(
        self, name: str, task: ClassificationTask, classifiers: Sequence[Callable[[], Pipeline]]
    ) -> None:
        self.name = name
        self._task = task
        self._classifiers = classifiers
        self._chosen: list[Pipeline] = []

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        x, y = self._features(sequences), np.concatenate([s.labels for s in sequences])
        x_val, y_val = self._features(validation), np.concatenate([s.labels for s in validation])
        self._chosen = []
        for k, size in enumerate(self._task.sizes):
            fitted = [make().fit(x, y[:, k]) for make in self._classifiers]
            scores = [
                balanced_accuracy(confusion(y_val[:, k], _shares(model, x_val, size)))
                for model in fitted
            ]
            self._chosen.append(fitted[int(np.argmax(scores))])

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        x, y = self._features(sequences), np.concatenate([s.labels for s in sequences])
        self._chosen = [clone(model).fit(x, y[:, k]) for k, model in enumerate(self._chosen)]

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        x = self._features(sequences)
        heads = zip(self._chosen, self._task.sizes, strict=True)
        whole = np.concatenate([_shares(model, x, size) for model, size in heads], axis=1)
        return np.split(whole, np.cumsum([len(s.windows) for s in sequences])[:-1])

    def _features(
        self, sequences: Sequence[HopSequence] | Sequence[UnlabelledSequence]
    ) -> NDArray[np.float64]:
        sfreq = self._task.signal.sfreq
        return log_band_power(np.concatenate([s.windows for s in sequences]), sfreq)


def logistic_regression(task: ClassificationTask) -> BandPowerCandidate:
    """C is chosen on the validation."""

    def maker(c: float) -> Callable[[], Pipeline]:
        return lambda: make_pipeline(
            StandardScaler(), LogisticRegression(C=c, class_weight="balanced", max_iter=1000)
        )

    return BandPowerCandidate("band power, logistic regression", task, [maker(c) for c in C_VALUES])


def random_forest(task: ClassificationTask, seed: int) -> BandPowerCandidate:
    """200 trees, leaves of at least 5 hops: neighbours in time are nearly the same."""

    def make() -> Pipeline:
        forest = RandomForestClassifier(
            200, min_samples_leaf=5, class_weight="balanced", random_state=seed
        )
        return make_pipeline(StandardScaler(), forest)

    return BandPowerCandidate("band power, random forest", task, [make])


def _shares(model: Pipeline, x: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Probabilities (n, size) with zeros for labels that were never learnt."""
    shares = np.zeros((len(x), size))
    shares[:, model.classes_] = model.predict_proba(x)
    return shares
