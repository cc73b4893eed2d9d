"""MS-iMamba and its ablations as candidates, with and without the carried state.

Each recipe is trained once for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassificationTask,
    UnlabelledSequence,
    split_outputs,
    without_labels,
)
from mimamba.models.evaluation.live_streams import join_streams
from mimamba.models.evaluation.metrics import balanced_accuracy, confusion
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.recipes import Recipe
from mimamba.models.training.scoring import sequence_logits
from mimamba.models.training.trainer import (
    TrainingConfig,
    TrainingProgress,
    limit_crop_length,
    new_network,
    train,
    train_epochs,
)
from mimamba.models.training.windowing import HopSequence

PARALLEL_SEQUENCES = 64
"""Sequences scanned in parallel. It limits memory and does not change the result."""

R_VALUES = (0.8, 0.9, 0.95, 0.98)
"""Gates of the carried state to try by the live reading, besides the recipe's own."""


def choose_gate(own: float, live_accuracy: Callable[[float], float]) -> float:
    """Choose the gate with the best live accuracy among ``R_VALUES`` and the recipe's own.

    Of equals, the smallest is chosen. ``live_accuracy`` is a mean balanced accuracy over streams.
    """
    return max(sorted({*R_VALUES, own}), key=live_accuracy)


class SharedWeights:
    """Weights of a recipe, trained once for all candidates that use them.

    There are two sets: those of ``fit``, and those of ``refit``.
    """

    def __init__(self, recipe: Recipe, task: ClassificationTask) -> None:
        self._recipe, self._task = recipe, task
        self._fitted_on: Sequence[HopSequence] = ()
        self._refitted_on: Sequence[HopSequence] = ()
        self._chosen: MSiMamba | None = None
        self._whole: MSiMamba | None = None
        self._epochs = 0

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> MSiMamba:
        """Train a new network, unless the last one was fitted on the same sequences."""
        if self._chosen is None or self._fitted_on is not sequences:
            network, config = self._make(sequences)
            found: list[TrainingProgress] = []
            r, outputs = self._recipe.r, self._task.outputs
            learn, choose = self._shortened(sequences), self._shortened(validation)
            train(network, outputs, learn, choose, r, config, found.append)
            self._epochs = max(progress.epoch for progress in found if progress.best)
            self._fitted_on, self._chosen = sequences, network
        return self._chosen

    def refit(self, sequences: Sequence[HopSequence]) -> MSiMamba:
        """Train a new network on all sequences, for the number of epochs that ``fit`` chose."""
        if self._whole is None or self._refitted_on is not sequences:
            network, config = self._make(sequences)
            outputs, r = self._task.outputs, self._recipe.r
            train_epochs(network, outputs, self._shortened(sequences), self._epochs, r, config)
            self._refitted_on, self._whole = sequences, network
        return self._whole

    def _make(self, sequences: Sequence[HopSequence]) -> tuple[MSiMamba, TrainingConfig]:
        recipe = self._recipe.adapted(self._task.montage, sum(self._task.sizes))
        config = recipe.training
        network = new_network(recipe.architecture, config.seed)
        return network, limit_crop_length(
            config, max(len(sequence.windows) for sequence in sequences)
        )

    def _shortened(self, sequences: Sequence[HopSequence]) -> list[HopSequence]:
        return [replace(sequence, windows=self._newest(sequence.windows)) for sequence in sequences]

    def _newest(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the end of each window: the recipe's may be shorter than the task's."""
        return windows[..., -self._recipe.signal.window :]

    def probabilities(
        self, network: MSiMamba, sequences: Sequence[UnlabelledSequence], r: float
    ) -> list[NDArray[np.float64]]:
        """Return the probabilities of whole sequences, with the state carried by ``r``."""
        blank = [
            HopSequence(self._newest(s.windows), s.restart, np.zeros((len(s.windows), 0), np.int64))
            for s in sequences
        ]
        groups = [
            blank[i : i + PARALLEL_SEQUENCES] for i in range(0, len(blank), PARALLEL_SEQUENCES)
        ]
        logits = [whole for group in groups for whole in sequence_logits(network, group, r)]
        heads = (torch.split(whole.double(), self._task.sizes, -1) for whole in logits)
        return [torch.cat([head.softmax(-1) for head in each], -1).numpy() for each in heads]


class RecipeCandidate:
    """Trained recipe evaluated with one gate ``r`` of the carried state."""

    def __init__(self, name: str, weights: SharedWeights, r: float) -> None:
        self.name = name
        self.r = r
        self._weights = weights
        self._network: MSiMamba | None = None

    @property
    def carries_state(self) -> bool:
        return self.r > 0

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        self._network = self._weights.fit(sequences, validation)

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        self._network = self._weights.refit(sequences)

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        if self._network is None:
            raise RuntimeError("Call fit before probabilities.")
        return self._weights.probabilities(self._network, sequences, self.r)


class ChosenGateCandidate(RecipeCandidate):
    """Trained recipe whose gate ``r`` is chosen by the live reading of the validation set.

    Among ``R_VALUES`` and the recipe's own r, the one with the best mean balanced accuracy over the
    validation set's streams is used; of equals, the smallest.
    """

    def __init__(self, recipe: Recipe, task: ClassificationTask, weights: SharedWeights) -> None:
        super().__init__(f"{recipe.name}, carried, r chosen", weights, recipe.r)
        self._own = recipe.r
        self._sizes = task.sizes

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        super().fit(sequences, validation)
        joined = [stream.joined for stream in join_streams(validation)]
        self.r = choose_gate(self._own, lambda r: self._live_accuracy(joined, r))

    def _live_accuracy(self, streams: Sequence[HopSequence], r: float) -> float:
        self.r = r
        labels = np.concatenate([stream.labels for stream in streams])
        said = np.concatenate(self.probabilities(without_labels(streams)))
        heads = zip(labels.T, split_outputs(said, self._sizes), strict=True)
        return float(np.mean([balanced_accuracy(confusion(k, p)) for k, p in heads]))


def recipe_candidates(recipe: Recipe, task: ClassificationTask) -> list[Candidate]:
    """Make candidates that share one training of a recipe.

    There is one window by window and, if the recipe carries state, one with its r and one with r
    chosen by the live reading.
    """
    weights = SharedWeights(recipe, task)
    alone = RecipeCandidate(f"{recipe.name}, r = 0", weights, 0.0)
    if recipe.r == 0:
        return [alone]
    return [
        RecipeCandidate(f"{recipe.name}, carried, r = {recipe.r:.3g}", weights, recipe.r),
        ChosenGateCandidate(recipe, task, weights),
        alone,
    ]
