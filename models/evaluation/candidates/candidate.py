"""Whatever can be held against the network: it learns, and says probabilities of hops."""

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
    """What is to be said of what: the outputs in order with their labels, and the windows."""

    outputs: Mapping[str, tuple[str, ...]]
    montage: tuple[str, ...]
    signal: SignalConfig

    @property
    def sizes(self) -> list[int]:
        """How many labels each output has."""
        return [len(labels) for labels in self.outputs.values()]


@dataclass(frozen=True, eq=False)
class UnlabelledSequence:
    """A sequence without its labels, its person and its trial: all that a candidate is asked by.

    ``windows`` (n_hops, n_channels, n_times) µV, ``restart`` (n_hops,) as in Stream.
    """

    windows: NDArray[np.float32]
    restart: NDArray[np.bool_]


class Candidate(Protocol):
    """Learns from labelled sequences, chooses by the validation, and is asked without labels."""

    @property
    def name(self) -> str:
        """What its rows are called."""

    @property
    def carries_state(self) -> bool:
        """Whether an answer hangs on earlier hops of the sequence."""

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        """Begin anew, learn, and choose by the validation."""

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        """Begin anew and learn from all of these, which ``fit`` had in two parts, as it chose."""

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        """(n_hops, n_outputs) of each sequence: a softmax per output, side by side."""


def without_labels(sequences: Sequence[HopSequence]) -> list[UnlabelledSequence]:
    """Take the labels off."""
    return [UnlabelledSequence(sequence.windows, sequence.restart) for sequence in sequences]


def split_outputs(
    probabilities: NDArray[np.float64], sizes: Sequence[int]
) -> list[NDArray[np.float64]]:
    """One (n_hops, n_labels) for each output."""
    return np.split(probabilities, np.cumsum(sizes)[:-1], axis=1)


class MajorityLabel:
    """Always says the shares of the labels in the training: the least that anything must beat."""

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
