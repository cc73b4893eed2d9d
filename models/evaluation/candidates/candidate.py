"""Interface of a candidate in an evaluation, its task, and the majority-label baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.windowing import HopSequence


@dataclass(frozen=True)
class ClassificationTask:
    """Task of all candidates.

    Parameters
    ----------
    outputs
        Labels by output, in order.
    montage
        Names of the electrodes, in channel order.
    signal
        Preprocessing and windows.
    """

    outputs: Mapping[str, tuple[str, ...]]
    montage: tuple[str, ...]
    signal: SignalConfig

    @property
    def sizes(self) -> list[int]:
        """Number of labels of each output."""
        return [len(labels) for labels in self.outputs.values()]


@dataclass(frozen=True, eq=False)
class UnlabelledSequence:
    """Hop sequence without label, person and trial, given to candidates for prediction.

    ``windows`` are (n_hops, n_channels, n_times) in µV; ``restart`` is (n_hops,) as in
    ``HopSequence``.
    """

    windows: NDArray[np.float32]
    restart: NDArray[np.bool_]


class Candidate(Protocol):
    """Model or method to evaluate."""

    @property
    def name(self) -> str:
        """Name of its rows in the report."""

    @property
    def carries_state(self) -> bool:
        """True if a prediction depends on earlier hops of the sequence."""

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        """Train from scratch, with hyperparameters chosen on the validation sequences."""

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        """Train from scratch on all sequences given to ``fit``, with the hyperparameters chosen."""

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        """Predict each sequence: (n_hops, n_outputs), each output's probabilities side by side."""


def without_labels(sequences: Sequence[HopSequence]) -> list[UnlabelledSequence]:
    """Remove the labels."""
    return [UnlabelledSequence(sequence.windows, sequence.restart) for sequence in sequences]


def split_outputs(
    probabilities: NDArray[np.float64], sizes: Sequence[int]
) -> list[NDArray[np.float64]]:
    """Split probabilities (n_hops, n_outputs) into (n_hops, n_labels) for each output."""
    return np.split(probabilities, np.cumsum(sizes)[:-1], axis=1)


class ClassDistribution:
    """Baseline that draws labels at random, by their shares in the training data."""

    name = "class distribution"
    carries_state = False

    def __init__(self, task: ClassificationTask, seed: int) -> None:
        self._majority = MajorityLabel(task)
        self._sizes, self._seed = task.sizes, seed

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        self._majority.fit(sequences, validation)

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        self._majority.refit(sequences)

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        rng = np.random.default_rng(self._seed)
        heads = [
            [
                np.eye(share.shape[1])[rng.choice(share.shape[1], len(share), p=share[0])]
                for share in split_outputs(shares, self._sizes)
            ]
            for shares in self._majority.probabilities(sequences)
        ]
        return [np.concatenate(each, axis=1) for each in heads]


class MajorityLabel:
    """Baseline that always predicts the label shares of the training data."""

    name = "majority label"
    carries_state = False

    def __init__(self, task: ClassificationTask) -> None:
        self._sizes = task.sizes
        self._shares = np.zeros(sum(self._sizes))

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:  # noqa: ARG002
        labels = np.concatenate([sequence.labels for sequence in sequences])
        counts = [np.bincount(k, minlength=n) for k, n in zip(labels.T, self._sizes, strict=True)]
        self._shares = np.concatenate(counts) / len(labels)

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        self.fit(sequences, ())

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        return [np.tile(self._shares, (len(sequence.windows), 1)) for sequence in sequences]
