"""Training loop of MS-iMamba on crops of hop sequences, with and without carried state.

Each crop of a batch runs with r = 0 (as in the paper, window by window) or with the recipe's r, so
that one set of weights serves both. A crop starts from an empty state, as does the hop after a gap.
The best epoch and the temperatures are chosen on validation sequences; test sequences are never
used here. A training in stages (``stages.py``) ends with its last epoch, whatever the validation
says: five people are too few to choose by.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.augmentation import NO_AUGMENTATION, Augmentation, Augmenter
from mimamba.models.training.batches import Batch, parallel_batch, shuffled_batches
from mimamba.models.training.loss import cross_entropy, label_weights
from mimamba.models.training.scoring import (
    SequenceScores,
    featured_sequences,
    fit_temperatures,
    score_network,
)
from mimamba.models.training.stages import Stage, prepare
from mimamba.models.training.switching_sequences import SwitchingSequences
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
    stages
        Stages after the first one, which is described above and then of the part ``classifier``.
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
    stages: tuple[Stage, ...] = ()

    @property
    def plan(self) -> tuple[Stage, ...]:
        """All stages in order."""
        first = Stage(
            "classifier" if self.stages else "all",
            self.epochs,
            self.batch,
            self.sequence,
            self.learning_rate,
            self.averaging,
        )
        return (first, *self.stages)

    @property
    def all_epochs(self) -> int:
        """Maximum number of epochs of all stages together."""
        return sum(stage.epochs for stage in self.plan)


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
        self.averaged: MSiMamba | None = None
        self.enter(0)

    def enter(self, epoch: int) -> None:
        """Go on after ``epoch`` epochs, in the stage of the last of them, with a new optimiser.

        Weights and the optimiser's state are those of the network now; whoever resumes a training
        loads them afterwards.
        """
        self.epoch, self._before, last = epoch, 0, max(epoch, 1)
        for stage in self.config.plan:
            self.stage = stage
            if last <= self._before + stage.epochs:
                break
            self._before += stage.epochs
        groups = prepare(self.network, self.stage, self.config.weight_decay)
        self.optimiser = torch.optim.AdamW(groups, lr=self.stage.learning_rate)
        self.averaged = copy.deepcopy(self.network) if self.stage.averaging else None
        self._switching: SwitchingSequences | None = None

    def _begin_epoch(self) -> None:
        """Count the next epoch; a new stage begins with the last one's result."""
        if self.epoch == self._before + self.stage.epochs and self.epoch < self.config.all_epochs:
            self.network.load_state_dict(self.result.state_dict())
            self.enter(self.epoch + 1)
        else:
            self.epoch += 1

    @property
    def result(self) -> MSiMamba:
        """Network to use: the moving average of the weights if there is one."""
        return self.averaged if self.averaged is not None else self.network

    def run_epoch(self) -> float:
        """Train on all sequences once and return the mean loss of the batches."""
        self._begin_epoch()
        stage = self.stage
        done = (self.epoch - self._before - 1) / stage.epochs
        for group in self.optimiser.param_groups:
            group["lr"] = group["factor"] * stage.learning_rate * (1 + math.cos(math.pi * done)) / 2
        self.network.train()
        with self._own_generator():
            losses = [self._learn(batch) for batch in self._batches()]
        return float(np.mean(losses))

    def _batches(self) -> Iterator[Batch]:
        stage = self.stage
        n_hops = int(self.rng.integers(stage.sequence[0], stage.sequence[1] + 1))
        if stage.part != "memory":
            yield from shuffled_batches(
                self._sequences, n_hops, stage.batch, self._augmenter, self.rng
            )
            return
        if self._switching is None:  # all that comes before the embedding is frozen
            mirror = list(self.config.augmentation.mirror)
            mirrored = [replace(s, windows=s.windows[:, mirror]) for s in self._sequences if mirror]
            self._switching = SwitchingSequences(
                featured_sequences(self.network, self._sequences),
                featured_sequences(self.network, mirrored),
            )
        for _ in range(stage.passes):
            drawn = self._switching.draw(n_hops, self.rng)
            for at in range(0, len(drawn), stage.batch):
                yield parallel_batch(drawn[at : at + stage.batch], 0, n_hops)

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
        if self.stage.part == "memory":
            tokens = self.network.embed_features(windows.flatten(0, 1))
            tokens = tokens.reshape(*gates.shape, *tokens.shape[1:])
            logits = self.network.scan_tokens(tokens, self.r * gates, None)[0]
        else:
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
            mean.lerp_(now, 1 - self.stage.averaging)


class EpochSelection:
    """Selection of the best epoch of a training by the loss on validation sequences.

    Of a training in stages it is the last one.

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
        late = epoch - self.best_epoch >= config.patience and not config.stages
        return epoch >= config.all_epochs or late

    def run_epoch(self) -> TrainingProgress:
        """Train for an epoch and score the validation sequences."""
        trainer = self.trainer
        loss = trainer.run_epoch()
        weights = trainer.label_weights
        found = score_network(trainer.result, self._validation, trainer.sizes, trainer.r, weights)
        if found.loss < self.best or (trainer.config.stages and math.isfinite(found.loss)):
            self.best, self.best_epoch = found.loss, trainer.epoch
            self.weights = copy.deepcopy(trainer.result.state_dict())
        best = trainer.epoch == self.best_epoch
        return TrainingProgress(trainer.epoch, trainer.config.all_epochs, loss, found, best)

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
