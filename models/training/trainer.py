"""Train MS-iMamba on sequences of hops: truncated sequences, with and without carried state.

Each sequence of a batch runs with r = 0 (the paper, window by window) or with the checkpoint's r,
so that one set of weights serves both. A sequence starts from an empty state, as does the hop after
a gap. The best epoch is chosen on validation sequences, and so are the temperatures: nothing here
ever sees a test sequence.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.augmentation import NO_AUGMENTATION, Augmentation, Augmenter
from mimamba.models.training.batches import Batch, shuffled_batches
from mimamba.models.training.loss import cross_entropy, label_weights
from mimamba.models.training.scoring import SequenceScores, fit_temperatures, score_network
from mimamba.models.training.windowing import HopSequence

MAX_SCALE_WINDOWS = 4096
"""Windows at most that the scale of the network's input is taken from."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Parameters
    ----------
    epochs, patience
        At most so many epochs; stop after so many without a better validation loss.
    batch
        Sequences in a batch.
    sequence
        Shortest and longest sequence, hops.
    carried
        Share of the sequences that run with r; the others run with r = 0.
    learning_rate, weight_decay, clip
        Of AdamW; the rate falls to 0 along a cosine, the gradient's norm is clipped.
    seed
        Of the weights, the dropout and the order.
    balanced
        Whether all labels of an output weigh the same in the loss, however rare; else all hops do.
    averaging
        What each step keeps of the running mean of the weights, which is what is then used; 0 uses
        the weights themselves.
    augmentation
        What is changed about the windows.
    """

    epochs: int = 30
    patience: int = 6
    batch: int = 64
    sequence: tuple[int, int] = (16, 64)
    carried: float = 0.5
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    clip: float = 1.0
    seed: int = 0
    balanced: bool = False
    averaging: float = 0.0
    augmentation: Augmentation = NO_AUGMENTATION


@dataclass(frozen=True)
class TrainingProgress:
    """Where training is after an epoch, one of ``epochs`` at most.

    ``loss`` is of the training, ``validation`` of the validation sequences with carried state;
    ``best`` tells whether that one's loss is the lowest yet.
    """

    epoch: int
    epochs: int
    loss: float
    validation: SequenceScores
    best: bool


OnProgress: TypeAlias = Callable[[TrainingProgress], None]


def new_network(architecture: MSiMambaConfig, seed: int) -> MSiMamba:
    """An untrained network, whose weights follow from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MSiMamba(architecture)


class Trainer:
    """A network in training: its weights, and all that the next epoch hangs on.

    Parameters
    ----------
    network
        Trained in place. Its ``n_outputs`` is the number of labels over all outputs.
    sizes
        How many labels each output has.
    sequences
        To learn from.
    r
        The gate of the carried state, trained beside r = 0.
    config
        The rest.
    """

    def __init__(
        self,
        network: MSiMamba,
        sizes: Sequence[int],
        sequences: Sequence[HopSequence],
        r: float,
        config: TrainingConfig,
    ) -> None:
        self.network, self.config = network, config
        self.epoch = 0
        self.sizes, self.r, self._sequences = sizes, r, sequences
        self.label_weights = label_weights(sequences, sizes) if config.balanced else None
        self.rng = np.random.default_rng(config.seed)
        generator = torch.Generator(network.device).manual_seed(config.seed)
        self.generator_state = generator.get_state()
        self._augmenter = Augmenter(config.augmentation, sequences, self.rng)
        network.standardise(_some_windows(sequences).to(network.device))
        groups = _groups(network, config.weight_decay)
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate)
        self.averaged = copy.deepcopy(network) if config.averaging else None

    @property
    def result(self) -> MSiMamba:
        """The network with the weights to be used: the running mean, where there is one."""
        return self.averaged if self.averaged is not None else self.network

    def run_epoch(self) -> float:
        """Learn from all sequences once; the mean loss of the batches as they were learnt from."""
        config = self.config
        self.epoch += 1
        rate = config.learning_rate * (1 + math.cos(math.pi * (self.epoch - 1) / config.epochs)) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        n_hops = int(self.rng.integers(config.sequence[0], config.sequence[1] + 1))
        batches = shuffled_batches(self._sequences, n_hops, config.batch, self._augmenter, self.rng)
        self.network.train()
        with self._own_generator():
            losses = [self._learn(batch) for batch in batches]
        return float(np.mean(losses))

    @contextmanager
    def _own_generator(self) -> Iterator[None]:
        """Let dropout draw from this training's own generator, which is on the network's device."""
        device = self.network.device
        if device.type == "cuda":
            with torch.random.fork_rng(devices=[device]):
                torch.cuda.set_rng_state(self.generator_state, device)
                yield
                self.generator_state = torch.cuda.get_rng_state(device)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.random.set_rng_state(self.generator_state)
                yield
                self.generator_state = torch.random.get_rng_state()

    def _learn(self, batch: Batch) -> float:
        windows, gates, labels = (t.to(self.network.device) for t in batch)
        carried = torch.from_numpy(self.rng.random((len(gates), 1)) < self.config.carried)
        gates = torch.where(carried.to(gates.device), self.r * gates, 0.0)
        logits = self.network.scan(windows, gates, None)[0]
        loss = cross_entropy(logits, labels, self.sizes, self.label_weights)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimiser.step()
        self._average()
        return loss.item()

    @torch.no_grad()
    def _average(self) -> None:
        if self.averaged is None:
            return
        pairs = zip(self.averaged.parameters(), self.network.parameters(), strict=True)
        for mean, now in pairs:
            mean.lerp_(now, 1 - self.config.averaging)


class EpochSelection:
    """A training whose epochs are judged on validation sequences; the best one is remembered.

    ``best`` is the lowest validation loss yet, of the epoch ``best_epoch`` (0 for none), whose
    weights are kept.
    """

    def __init__(self, training: Trainer, validation: Sequence[HopSequence]) -> None:
        self.training, self._validation = training, validation
        self.best, self.best_epoch = math.inf, 0
        self.weights = copy.deepcopy(training.network.state_dict())

    @property
    def done(self) -> bool:
        """Whether there are no more epochs, or none was better for long enough."""
        epoch, config = self.training.epoch, self.training.config
        return epoch >= config.epochs or epoch - self.best_epoch >= config.patience

    def run_epoch(self) -> TrainingProgress:
        """Learn from all sequences once, and judge."""
        training = self.training
        loss = training.run_epoch()
        weights = training.label_weights
        found = score_network(
            training.result, self._validation, training.sizes, training.r, weights
        )
        if found.loss < self.best:
            self.best, self.best_epoch = found.loss, training.epoch
            self.weights = copy.deepcopy(training.result.state_dict())
        best = training.epoch == self.best_epoch
        return TrainingProgress(training.epoch, training.config.epochs, loss, found, best)

    def run(self, on_progress: OnProgress | None) -> None:
        """Run all epochs that are left, and leave the best one's weights in the network."""
        while not self.done:
            progress = self.run_epoch()
            if on_progress is not None:
                on_progress(progress)
        self.training.network.load_state_dict(self.weights)


def train(
    network: MSiMamba,
    outputs: Mapping[str, Sequence[str]],
    sequences: Sequence[HopSequence],
    validation: Sequence[HopSequence],
    r: float,
    config: TrainingConfig,
    on_progress: OnProgress | None = None,
) -> dict[str, float]:
    """Train the network in place, leave it in eval mode with the best epoch's weights.

    Parameters
    ----------
    network, sequences, r, config
        See ``Trainer``.
    outputs
        The heads in order, each with its labels.
    validation
        To choose the best epoch and the temperatures by.
    on_progress
        Called after each epoch.

    Returns
    -------
    The temperature of each output, fitted on the validation sequences with carried state.
    """
    sizes = [len(labels) for labels in outputs.values()]
    choice = EpochSelection(Trainer(network, sizes, sequences, r, config), validation)
    choice.run(on_progress)
    return fit_temperatures(network, outputs, validation, r)


def train_epochs(
    network: MSiMamba,
    outputs: Mapping[str, Sequence[str]],
    sequences: Sequence[HopSequence],
    epochs: int,
    r: float,
    config: TrainingConfig,
) -> None:
    """Train for so many epochs of the same schedule, with nothing left to choose by."""
    sizes = [len(labels) for labels in outputs.values()]
    training = Trainer(network, sizes, sequences, r, config)
    for _ in range(epochs):
        training.run_epoch()
    network.load_state_dict(training.result.state_dict())
    network.eval()


def _some_windows(sequences: Sequence[HopSequence]) -> Tensor:
    """Windows to take a scale from, every one or evenly spread."""
    step = -(-sum(len(sequence.windows) for sequence in sequences) // MAX_SCALE_WINDOWS)
    windows = np.concatenate([sequence.windows[::step] for sequence in sequences])
    return torch.from_numpy(windows)


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; vectors and the recurrence's A do not, as in Mamba."""
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    free = [p for name, p in named if p.ndim < 2 or name.endswith("A_log")]
    matrices = [p for name, p in named if not (p.ndim < 2 or name.endswith("A_log"))]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0}]
