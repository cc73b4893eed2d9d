"""MS-iMamba and its ablations as candidates: each recipe is trained once and read in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassificationTask,
    UnlabelledSequence,
)
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.recipes import Recipe
from mimamba.models.training.scoring import sequence_logits
from mimamba.models.training.trainer import (
    TrainingConfig,
    TrainingProgress,
    new_network,
    train,
    train_epochs,
)
from mimamba.models.training.windowing import HopSequence

GROUP = 64
"""Streams that are scored side by side; it bounds the memory and changes nothing else."""


class SharedWeights:
    """A recipe's weights, trained once for all that read them.

    There are two: those that the validation chose by, and those that learnt from it as well.
    """

    def __init__(self, recipe: Recipe, task: ClassificationTask) -> None:
        self._recipe, self._task = recipe, task
        self._learnt: Sequence[HopSequence] = ()
        self._relearnt: Sequence[HopSequence] = ()
        self._chosen: MSiMamba | None = None
        self._whole: MSiMamba | None = None
        self._epochs = 0

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> MSiMamba:
        """Train anew, unless these very sequences were the last that it was trained on."""
        if self._chosen is None or self._learnt is not sequences:
            network, config = self._make(sequences)
            found: list[TrainingProgress] = []
            r, outputs = self._recipe.r, self._task.outputs
            learn, choose = self._cropped(sequences), self._cropped(validation)
            train(network, outputs, learn, choose, r, config, found.append)
            self._epochs = max(progress.epoch for progress in found if progress.best)
            self._learnt, self._chosen = sequences, network
        return self._chosen

    def refit(self, sequences: Sequence[HopSequence]) -> MSiMamba:
        """Train anew on all, for as many epochs as ``fit`` chose."""
        if self._whole is None or self._relearnt is not sequences:
            network, config = self._make(sequences)
            outputs, r = self._task.outputs, self._recipe.r
            train_epochs(network, outputs, self._cropped(sequences), self._epochs, r, config)
            self._relearnt, self._whole = sequences, network
        return self._whole

    def _make(self, sequences: Sequence[HopSequence]) -> tuple[MSiMamba, TrainingConfig]:
        recipe = self._recipe.fitted(self._task.montage, sum(self._task.sizes))
        config = recipe.training
        network = new_network(recipe.architecture, config.seed)
        return network, limit_crop_length(
            config, max(len(sequence.windows) for sequence in sequences)
        )

    def _cropped(self, sequences: Sequence[HopSequence]) -> list[HopSequence]:
        return [replace(sequence, windows=self._newest(sequence.windows)) for sequence in sequences]

    def _newest(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The end of each window: a recipe may see less than the task shows, at the same hops."""
        return windows[..., -self._recipe.signal.window :]

    def probabilities(
        self, network: MSiMamba, sequences: Sequence[UnlabelledSequence], r: float
    ) -> list[NDArray[np.float64]]:
        """Softmax of each output, side by side, of whole sequences."""
        blank = [
            HopSequence(self._newest(s.windows), s.restart, np.zeros((len(s.windows), 0), np.int64))
            for s in sequences
        ]
        groups = [blank[i : i + GROUP] for i in range(0, len(blank), GROUP)]
        logits = [whole for group in groups for whole in sequence_logits(network, group, r)]
        heads = (torch.split(whole.double(), self._task.sizes, -1) for whole in logits)
        return [torch.cat([head.softmax(-1) for head in each], -1).numpy() for each in heads]


class RecipeCandidate:
    """Weights read with one r."""

    def __init__(self, name: str, weights: SharedWeights, r: float) -> None:
        self.name = name
        self._weights, self._r = weights, r
        self._network: MSiMamba | None = None

    @property
    def carries_state(self) -> bool:
        return self._r > 0

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        self._network = self._weights.fit(sequences, validation)

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        self._network = self._weights.refit(sequences)

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        if self._network is None:
            raise RuntimeError("fit comes before probabilities")
        return self._weights.probabilities(self._network, sequences, self._r)


def recipe_candidates(recipe: Recipe, task: ClassificationTask) -> list[Candidate]:
    """The carried state, where the recipe has one, and the same weights window by window."""
    weights = SharedWeights(recipe, task)
    alone = RecipeCandidate(f"{recipe.name}, r = 0", weights, 0.0)
    if recipe.r == 0:
        return [alone]
    return [
        RecipeCandidate(f"{recipe.name}, carried, r = {recipe.r:.3g}", weights, recipe.r),
        alone,
    ]


def limit_crop_length(config: TrainingConfig, longest: int) -> TrainingConfig:
    """Cut the sequences to the longest sequence, and put more of them into a batch for it.

    Single hops, as the protocol ``paper`` has them, would else be padded to whole sequences, and
    most of them passed over.
    """
    shortest = min(config.sequence[0], longest)
    return replace(
        config,
        sequence=(shortest, min(config.sequence[1], longest)),
        batch=config.batch * config.sequence[0] // shortest,
    )
