"""Whatever can be held against the network: it learns, and says probabilities of hops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.hop_sequence import HopSequence


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
class Unlabelled:
    """A stream without its labels, its person and its trial: all that a contender is asked by.

    ``windows`` (n_hops, n_channels, n_times) µV, ``restart`` (n_hops,) as in Stream.
    """

    windows: NDArray[np.float32]
    restart: NDArray[np.bool_]


class Candidate(Protocol):
    """Learns from labelled streams, chooses by the validation, and is asked without labels."""

    @property
    def name(self) -> str:
        """What its rows are called."""

    @property
    def carries(self) -> bool:
        """Whether an answer hangs on earlier hops of the stream."""

    def fit(self, streams: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        """Begin anew, learn, and choose by the validation."""

    def refit(self, streams: Sequence[HopSequence]) -> None:
        """Begin anew and learn from all of these, which ``fit`` had in two parts, as it chose."""

    def probabilities(self, streams: Sequence[Unlabelled]) -> list[NDArray[np.float64]]:
        """(n_hops, n_outputs) of each stream: a softmax per output, side by side."""


def unlabelled(streams: Sequence[HopSequence]) -> list[Unlabelled]:
    """Take the labels off."""
    return [Unlabelled(stream.windows, stream.restart) for stream in streams]


def split_heads(
    probabilities: NDArray[np.float64], sizes: Sequence[int]
) -> list[NDArray[np.float64]]:
    """One (n_hops, n_labels) for each output."""
    return np.split(probabilities, np.cumsum(sizes)[:-1], axis=1)


class Majority:
    """Always says the shares of the labels in the training: the least that anything must beat."""

    name = "majority label"
    carries = False

    def __init__(self, task: ClassificationTask) -> None:
        self._sizes = task.sizes
        self._shares = np.zeros(sum(self._sizes))

    def fit(self, streams: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:  # noqa: ARG002
        labels = np.concatenate([stream.labels for stream in streams])
        counts = [np.bincount(k, minlength=n) for k, n in zip(labels.T, self._sizes, strict=True)]
        self._shares = np.concatenate(counts) / len(labels)

    def refit(self, streams: Sequence[HopSequence]) -> None:
        self.fit(streams, ())

    def probabilities(self, streams: Sequence[Unlabelled]) -> list[NDArray[np.float64]]:
        return [np.tile(self._shares, (len(stream.windows), 1)) for stream in streams]
