"""Training loop of MS-iMamba on crops of hop sequences, with and without carried state.

Each crop of a batch runs with r = 0 (as in the paper, window by window) or with the recipe's r, so
that one set of weights serves both. A crop starts from an empty state, as does the hop after a gap.
The best epoch and the temperatures are chosen on validation sequences; test sequences are never
used here.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
"""Maximum number of windows used to standardise the network's input."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training loop.

    Parameters
    ----------
    epochs, patience
        Maximum number of epochs, and epochs without a better validation loss before stopping.
    batch
        Crops in a batch.
    sequence
        Length of the shortest and the longest crop, hops; drawn for each epoch.
    carried
        Share of the crops that run with r; the others run with r = 0.
    learning_rate, weight_decay, clip
        Settings of AdamW, and the maximum norm of the gradient. The learning rate follows a cosine
        down to 0.
    seed
        Seed of the weights, the dropout and the order of the crops.
    balanced
        Give all labels of an output the same weight in the loss; otherwise all hops weigh the same.
    averaging
        Decay of the exponential moving average of the weights, which is the result; 0 for none.
    augmentation
        Settings of the augmentation.
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


def limit_crop_length(config: TrainingConfig, longest: int) -> TrainingConfig:
    """Limit crops to the longest sequence in hops, and put more of them into a batch.

    Otherwise the single hops of the protocol ``paper`` would be padded to whole crops of which most
    is ignored.
    """
    shortest = min(config.sequence[0], longest)
    return replace(
        config,
        sequence=(shortest, min(config.sequence[1], longest)),
        batch=config.batch * config.sequence[0] // shortest,
    )


@dataclass(frozen=True)
class TrainingProgress:
    """Progress after an epoch, out of at most ``epochs``.

    ``loss`` is the training loss, ``validation`` the scores with carried state, and ``best`` is
    true if the validation loss is the lowest so far.
    """

    epoch: int
    epochs: int
    loss: float
    validation: SequenceScores
    best: bool


OnProgress: TypeAlias = Callable[[TrainingProgress], None]


def new_network(architecture: MSiMambaConfig, seed: int) -> MSiMamba:
    """Return an untrained network with weights that depend only on the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MSiMamba(architecture)


class Trainer:
    """Network in training, with the complete state that the next epoch depends on.

    Parameters
    ----------
    network
        Trained in place. Its ``n_outputs`` is the number of labels over all outputs.
    sizes
        Number of labels of each output.
    sequences
        Training data.
    r
        Gate of the carried state, trained together with r = 0.
    config
        Settings of the loop.
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
        groups = _parameter_groups(network, config.weight_decay)
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate)
        self.averaged = copy.deepcopy(network) if config.averaging else None

    @property
    def result(self) -> MSiMamba:
        """Network to use: the moving average of the weights if there is one."""
        return self.averaged if self.averaged is not None else self.network

    def run_epoch(self) -> float:
        """Train on all sequences once and return the mean loss of the batches."""
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
        """Make dropout draw from this trainer's own generator, on the network's device."""
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
    """Selection of the best epoch of a training by the loss on validation sequences.

    ``best`` is the lowest validation loss so far, reached in ``best_epoch`` (0 for none) with
    ``weights``.
    """

    def __init__(self, trainer: Trainer, validation: Sequence[HopSequence]) -> None:
        self.trainer, self._validation = trainer, validation
        self.best, self.best_epoch = math.inf, 0
        self.weights = copy.deepcopy(trainer.network.state_dict())

    @property
    def done(self) -> bool:
        """True after the last epoch, or after ``patience`` epochs without improvement."""
        epoch, config = self.trainer.epoch, self.trainer.config
        return epoch >= config.epochs or epoch - self.best_epoch >= config.patience

    def run_epoch(self) -> TrainingProgress:
        """Train for an epoch and score the validation sequences."""
        trainer = self.trainer
        loss = trainer.run_epoch()
        weights = trainer.label_weights
        found = score_network(trainer.result, self._validation, trainer.sizes, trainer.r, weights)
        if found.loss < self.best:
            self.best, self.best_epoch = found.loss, trainer.epoch
            self.weights = copy.deepcopy(trainer.result.state_dict())
        best = trainer.epoch == self.best_epoch
        return TrainingProgress(trainer.epoch, trainer.config.epochs, loss, found, best)

    def run(self, on_progress: OnProgress | None) -> None:
        """Run all remaining epochs and load the best epoch's weights into the network."""
        while not self.done:
            progress = self.run_epoch()
            if on_progress is not None:
                on_progress(progress)
        self.trainer.network.load_state_dict(self.weights)


def train(
    network: MSiMamba,
    outputs: Mapping[str, Sequence[str]],
    sequences: Sequence[HopSequence],
    validation: Sequence[HopSequence],
    r: float,
    config: TrainingConfig,
    on_progress: OnProgress | None = None,
) -> dict[str, float]:
    """Train the network in place and leave it in eval mode with the best epoch's weights.

    Parameters
    ----------
    network, sequences, r, config
        See ``Trainer``.
    outputs
        Labels by output, in order.
    validation
        Sequences that choose the best epoch and the temperatures.
    on_progress
        Called after each epoch.

    Returns
    -------
    The temperature of each output, fitted on the validation sequences with carried state.
    """
    sizes = [len(labels) for labels in outputs.values()]
    selection = EpochSelection(Trainer(network, sizes, sequences, r, config), validation)
    selection.run(on_progress)
    return fit_temperatures(network, outputs, validation, r)


def train_epochs(
    network: MSiMamba,
    outputs: Mapping[str, Sequence[str]],
    sequences: Sequence[HopSequence],
    epochs: int,
    r: float,
    config: TrainingConfig,
) -> None:
    """Train for a fixed number of epochs of the same schedule, without validation."""
    sizes = [len(labels) for labels in outputs.values()]
    trainer = Trainer(network, sizes, sequences, r, config)
    for _ in range(epochs):
        trainer.run_epoch()
    network.load_state_dict(trainer.result.state_dict())
    network.eval()


def _some_windows(sequences: Sequence[HopSequence]) -> Tensor:
    """Return up to ``MAX_SCALE_WINDOWS`` windows, evenly spread."""
    step = -(-sum(len(sequence.windows) for sequence in sequences) // MAX_SCALE_WINDOWS)
    windows = np.concatenate([sequence.windows[::step] for sequence in sequences])
    return torch.from_numpy(windows)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the parameters: weight decay for matrices only, not for vectors and A, as in Mamba."""
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    free = [p for name, p in named if p.ndim < 2 or name.endswith("A_log")]
    matrices = [p for name, p in named if not (p.ndim < 2 or name.endswith("A_log"))]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0}]
