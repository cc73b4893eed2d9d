"""Published networks as candidates, trained by skorch in the same way as ours.

Needs the extras ``train`` and ``rivals``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, GradientNormClipping, LRScheduler
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import Tensor, nn

from mimamba.models.evaluation.candidates.braindecode_loader import build_network
from mimamba.models.evaluation.candidates.candidate import (
    ClassificationTask,
    UnlabelledSequence,
    split_outputs,
)
from mimamba.models.training.loss import cross_entropy, label_weights
from mimamba.models.training.trainer import TrainingConfig
from mimamba.models.training.windowing import HopSequence


class WindowLoss(nn.Module):
    """Our loss over windows: logits (B, n_outputs), labels (B, n_heads)."""

    def __init__(self, sizes: Sequence[int], weights: Sequence[Tensor] | None) -> None:
        super().__init__()
        self._sizes, self._weights = sizes, weights

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, self._sizes, self._weights)


class PublishedNetwork:
    """Network of braindecode, applied window by window.

    The loss, label weights, AdamW, cosine schedule, clipping and early stopping are those of
    ``models.training.trainer``; ``batch`` counts windows. Windows are divided by each channel's
    median deviation in the training data, which keeps amplitude differences. Left electrodes come
    first, as TSception expects.
    """

    carries_state = False

    def __init__(self, name: str, task: ClassificationTask, config: TrainingConfig) -> None:
        self.name = name
        self._task, self._config = task, config
        self._order = left_first(task.montage)
        self._scale = np.ones((len(task.montage), 1), np.float32)
        self._net: NeuralNet | None = None
        self._epochs = config.epochs

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        self._rescale(sequences)
        patience = EarlyStopping(
            patience=self._config.patience, threshold=0, load_best=True, sink=_hush
        )
        net = self._make(
            sequences, self._config.epochs, predefined_split(self._dataset(validation)), [patience]
        )
        self._train(net, sequences)
        losses = [epoch["valid_loss"] for epoch in net.history]
        self._epochs = 1 + int(np.argmin(losses))

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        self._rescale(sequences)
        self._train(self._make(sequences, self._epochs, None, []), sequences)

    def _rescale(self, sequences: Sequence[HopSequence]) -> None:
        windows = np.concatenate([sequence.windows for sequence in sequences])
        self._scale = np.maximum(np.median(windows.std(-1), axis=0), 1e-3)[:, None]

    def _make(
        self, sequences: Sequence[HopSequence], epochs: int, split: Any, callbacks: Sequence[Any]
    ) -> NeuralNet:
        """Make an untrained network; the schedule always covers ``config.epochs``."""
        config, sizes = self._config, self._task.sizes
        weights = label_weights(sequences, sizes) if config.balanced else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            module = build_network(self.name, self._task)
        return NeuralNet(
            module,
            WindowLoss(sizes, weights),
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=config.weight_decay,
            lr=config.learning_rate,
            max_epochs=epochs,
            batch_size=config.batch,
            iterator_train__shuffle=True,
            train_split=split,
            callbacks=[
                *callbacks,
                LRScheduler("CosineAnnealingLR", T_max=config.epochs),
                GradientNormClipping(config.clip),
            ],
            verbose=0,
        )

    def _train(self, net: NeuralNet, sequences: Sequence[HopSequence]) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._config.seed)
            net.fit(self._dataset(sequences))
        self._net = net

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        if self._net is None:
            raise RuntimeError("Call fit before probabilities.")
        x = np.concatenate([self._prepared(sequence.windows) for sequence in sequences])
        logits = np.asarray(self._net.forward(x), np.float64)
        heads = split_outputs(np.exp(logits), self._task.sizes)
        whole = np.concatenate([head / head.sum(1, keepdims=True) for head in heads], axis=1)
        return np.split(whole, np.cumsum([len(s.windows) for s in sequences])[:-1])

    def _prepared(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return (windows / self._scale)[:, self._order].astype(np.float32)

    def _dataset(self, sequences: Sequence[HopSequence]) -> Dataset:
        x = np.concatenate([self._prepared(sequence.windows) for sequence in sequences])
        return Dataset(x, np.concatenate([sequence.labels for sequence in sequences]))


def left_first(montage: Sequence[str]) -> list[int]:
    """Return channel indices: left electrodes (odd), then the midline, then right ones (even)."""

    def side(name: str) -> int:
        number = re.search(r"\d+$", name)
        if number is None:
            return 1
        return 0 if int(number[0]) % 2 else 2

    return sorted(range(len(montage)), key=lambda i: side(montage[i]))


def _hush(_text: str) -> None:
    """Discard the messages of early stopping."""
