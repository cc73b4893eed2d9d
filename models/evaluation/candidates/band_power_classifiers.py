"""Log band power with two scikit-learn classifiers, the simple baselines of an evaluation.

Needs the extra ``train``.
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
from mimamba.models.signal.measures import BANDS
from mimamba.models.training.windowing import HopSequence

MIN_POWER = 1e-6
"""Lower limit of power, µV²/Hz; a flat channel has less by rounding."""
C_VALUES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of C of the logistic regression to try on the validation set."""


def log_band_power(windows: NDArray[np.float32], sfreq: float) -> NDArray[np.float64]:
    """Compute log band power by Welch's method with segments of a second.

    Shorter windows are zero-padded so that the narrowest band has bins. A band includes its lower
    edge and excludes its upper one.

    Parameters
    ----------
    windows
        (n_hops, n_channels, n_times), µV.
    sfreq
        Sampling rate, Hz.

    Returns
    -------
    (n_hops, n_channels * n_bands), natural logarithm of µV²/Hz.
    """
    second = round(sfreq)
    n = min(second, windows.shape[-1])
    f, density = welch(windows.astype(np.float64), sfreq, nperseg=n, nfft=second)
    powers = [density[..., (low <= f) & (f < high)].mean(-1) for low, high in BANDS.values()]
    logs = np.log(np.maximum(np.stack(powers, axis=-1), MIN_POWER))
    return np.asarray(logs.reshape(len(windows), -1))


class FeatureCandidate:
    """Standardised features of single windows with a classifier per output and balanced labels.

    Its features are log band power; a subclass may have others.

    Parameters
    ----------
    name
        Name of its rows in the report.
    task
        The outputs to learn.
    classifiers
        Factories of the classifiers to try; the best on the validation set is used.
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
        x, y = self.features(sequences), np.concatenate([s.labels for s in sequences])
        x_val, y_val = self.features(validation), np.concatenate([s.labels for s in validation])
        self._chosen = []
        for k, size in enumerate(self._task.sizes):
            fitted = [make().fit(x, y[:, k]) for make in self._classifiers]
            scores = [
                balanced_accuracy(confusion(y_val[:, k], _shares(model, x_val, size)))
                for model in fitted
            ]
            self._chosen.append(fitted[int(np.argmax(scores))])

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        x, y = self.features(sequences), np.concatenate([s.labels for s in sequences])
        self._chosen = [clone(model).fit(x, y[:, k]) for k, model in enumerate(self._chosen)]

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        x = self.features(sequences)
        heads = zip(self._chosen, self._task.sizes, strict=True)
        whole = np.concatenate([_shares(model, x, size) for model, size in heads], axis=1)
        return np.split(whole, np.cumsum([len(s.windows) for s in sequences])[:-1])

    def features(
        self, sequences: Sequence[HopSequence] | Sequence[UnlabelledSequence]
    ) -> NDArray[np.float64]:
        """Compute the features (n_hops, n_features) of all sequences, concatenated."""
        sfreq = self._task.signal.sfreq
        return log_band_power(np.concatenate([s.windows for s in sequences]), sfreq)


def logistic_regression(task: ClassificationTask) -> FeatureCandidate:
    """Make the logistic regression, with C chosen on the validation set."""
    return FeatureCandidate("band power, logistic regression", task, logistic_regressions())


def logistic_regressions() -> list[Callable[[], Pipeline]]:
    """Return factories of the logistic regressions to try, one for each C."""

    def maker(c: float) -> Callable[[], Pipeline]:
        return lambda: make_pipeline(
            StandardScaler(), LogisticRegression(C=c, class_weight="balanced", max_iter=1000)
        )

    return [maker(c) for c in C_VALUES]


def random_forest(task: ClassificationTask, seed: int) -> FeatureCandidate:
    """Make the random forest of 200 trees.

    Leaves have at least 5 hops, since neighbouring hops are nearly the same.
    """

    def make() -> Pipeline:
        forest = RandomForestClassifier(
            200, min_samples_leaf=5, class_weight="balanced", random_state=seed
        )
        return make_pipeline(StandardScaler(), forest)

    return FeatureCandidate("band power, random forest", task, [make])


def _shares(model: Pipeline, x: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return probabilities (n, size), with zeros for labels absent from the training."""
    shares = np.zeros((len(x), size))
    shares[:, model.classes_] = model.predict_proba(x)
    return shares
