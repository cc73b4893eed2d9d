"""MS-iMamba and its ablations as contenders: each recipe is trained once and read in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.architecture import MSiMambaConfig
from models.evaluation.contenders import Contender, Task, Unlabelled
from models.network import MSiMamba
from models.streams import Stream
from models.training import TrainingConfig, stream_logits, train

GROUP = 64
"""Streams that are scored side by side; it bounds the memory and changes nothing else."""


@dataclass(frozen=True)
class Recipe:
    """A named network: the sizes of input and output are the task's, whatever is written here."""

    name: str
    architecture: MSiMambaConfig
    training: TrainingConfig
    r: float


class Weights:
    """A recipe's weights, trained once for all that read them."""

    def __init__(self, recipe: Recipe, task: Task) -> None:
        self._recipe, self._task = recipe, task
        self._network: MSiMamba | None = None
        self._learnt: tuple[object, object] | None = None

    def fit(self, streams: Sequence[Stream], validation: Sequence[Stream]) -> None:
        """Train anew, unless these very sequences were the last that it was trained on."""
        if self._learnt is not None and all(
            a is b for a, b in zip(self._learnt, (streams, validation), strict=True)
        ):
            return
        config, task = self._recipe.training, self._task
        n_channels, n_times = streams[0].windows.shape[1:]
        architecture = replace(
            self._recipe.architecture,
            n_channels=n_channels,
            n_times=n_times,
            n_outputs=sum(task.sizes),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self._network = MSiMamba(architecture)
        fitting = fit_sequences(config, max(len(stream.windows) for stream in streams))
        train(self._network, task.outputs, streams, validation, self._recipe.r, fitting)
        self._learnt = (streams, validation)

    def probabilities(self, streams: Sequence[Unlabelled], r: float) -> list[NDArray[np.float64]]:
        """Softmax of each output, side by side, of whole streams."""
        if self._network is None:
            raise RuntimeError("fit comes before probabilities")
        blank = [
            Stream(s.windows, s.restart, np.zeros((len(s.windows), 0), np.int64)) for s in streams
        ]
        groups = [blank[i : i + GROUP] for i in range(0, len(blank), GROUP)]
        logits = [whole for group in groups for whole in stream_logits(self._network, group, r)]
        heads = (torch.split(whole.double(), self._task.sizes, -1) for whole in logits)
        return [torch.cat([head.softmax(-1) for head in each], -1).numpy() for each in heads]


@dataclass(frozen=True, eq=False)
class Reading:
    """Weights read with one r."""

    name: str
    weights: Weights
    r: float

    @property
    def carries(self) -> bool:
        return self.r > 0

    def fit(self, streams: Sequence[Stream], validation: Sequence[Stream]) -> None:
        self.weights.fit(streams, validation)

    def probabilities(self, streams: Sequence[Unlabelled]) -> list[NDArray[np.float64]]:
        return self.weights.probabilities(streams, self.r)


def readings(recipe: Recipe, task: Task) -> list[Contender]:
    """The carried state, where the recipe has one, and the same weights window by window."""
    weights = Weights(recipe, task)
    alone = Reading(f"{recipe.name}, r = 0", weights, 0.0)
    if recipe.r == 0:
        return [alone]
    return [Reading(f"{recipe.name}, carried, r = {recipe.r:.3g}", weights, recipe.r), alone]


def fit_sequences(config: TrainingConfig, longest: int) -> TrainingConfig:
    """Cut the sequences to the longest stream, and put more of them into a batch for it.

    Single hops, as the protocol ``paper`` has them, would else be padded to whole sequences, and
    most of them passed over.
    """
    shortest = min(config.sequence[0], longest)
    return replace(
        config,
        sequence=(shortest, min(config.sequence[1], longest)),
        batch=config.batch * config.sequence[0] // shortest,
    )
