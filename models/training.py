"""Train MS-iMamba on streams of hops: truncated sequences, with and without carried state.

Each sequence of a batch runs with r = 0 (the paper, window by window) or with the checkpoint's r,
so that one set of weights serves both. A sequence starts from an empty state, as does the hop after
a gap. The best epoch is chosen on validation streams, and so are the temperatures: nothing here
ever sees a test stream.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.loss import PADDING, cross_entropy, fit_temperature, label_weights
from models.network import MSiMamba
from models.streams import Stream

CHUNK_HOPS = 64
"""Hops that are scanned at once when scoring; it bounds the memory and changes nothing else."""


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


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy, nats, and the balanced accuracy of each head, in the outputs' order."""

    loss: float
    accuracies: tuple[float, ...]

    @property
    def balanced_accuracy(self) -> float:
        """The mean over the heads."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True)
class Progress:
    """Where training is after an epoch, one of ``epochs`` at most.

    ``loss`` is of the training, ``validation`` of the validation streams with carried state;
    ``best`` tells whether that one's loss is the lowest yet.
    """

    epoch: int
    epochs: int
    loss: float
    validation: Evaluation
    best: bool


OnProgress: TypeAlias = Callable[[Progress], None]


def balanced_accuracy(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean over the labels that occur of the share that is found; 0.5 is chance for two."""
    return float(np.mean([(predicted[labels == k] == k).mean() for k in np.unique(labels)]))


@torch.inference_mode()
def stream_logits(network: MSiMamba, streams: Sequence[Stream], r: float) -> list[Tensor]:
    """Logits (n_hops, n_outputs) of each whole stream, all of them side by side."""
    lengths = [len(stream.windows) for stream in streams]
    states = network.initial_states(len(streams))
    parts = []
    for first in range(0, max(lengths), CHUNK_HOPS):
        n_hops = min(CHUNK_HOPS, max(lengths) - first)
        x, gates, _ = _gather(streams, [first] * len(streams), n_hops)
        logits, states = network.scan(x, gates * r, states)
        parts.append(logits)
    whole = torch.cat(parts, dim=1)
    return [logits[:n] for logits, n in zip(whole, lengths, strict=True)]


def train(
    network: MSiMamba,
    outputs: Mapping[str, Sequence[str]],
    streams: Sequence[Stream],
    validation: Sequence[Stream],
    r: float,
    config: TrainingConfig,
    on_progress: OnProgress | None = None,
) -> dict[str, float]:
    """Train the network in place, leave it in eval mode with the best epoch's weights.

    Parameters
    ----------
    network
        Its ``n_outputs`` is the number of labels over all outputs.
    outputs
        The heads in order, each with its labels.
    streams, validation
        To learn from, and to choose the best epoch and the temperatures by.
    r
        The gate of the carried state, trained beside r = 0.
    config
        The rest.
    on_progress
        Called after each epoch.

    Returns
    -------
    The temperature of each output, fitted on the validation streams with carried state.
    """
    sizes = [len(labels) for labels in outputs.values()]
    label_weight = label_weights(streams, sizes) if config.balanced else None
    rng = np.random.default_rng(config.seed)
    optimiser = torch.optim.AdamW(_groups(network, config.weight_decay), lr=config.learning_rate)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs)
    best, best_epoch, weights = math.inf, 0, copy.deepcopy(network.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for epoch in range(1, config.epochs + 1):
            batches = _batches(streams, r, config, rng)
            loss = _run_epoch(network, optimiser, sizes, batches, config.clip, label_weight)
            decay.step()
            found = evaluate(network, validation, sizes, r, label_weight)
            if found.loss < best:
                best, best_epoch, weights = found.loss, epoch, copy.deepcopy(network.state_dict())
            if on_progress is not None:
                on_progress(Progress(epoch, config.epochs, loss, found, epoch == best_epoch))
            if epoch - best_epoch >= config.patience:
                break
    network.load_state_dict(weights)
    return fit_temperatures(network, outputs, validation, r)


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; vectors and the recurrence's A do not, as in Mamba."""
    named = list(network.named_parameters())
    free = [p for name, p in named if p.ndim < 2 or name.endswith("A_log")]
    matrices = [p for name, p in named if not (p.ndim < 2 or name.endswith("A_log"))]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0}]


Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Windows (B, S, C, L), gates (B, S), labels (B, S, n_heads) that are -1 where padded."""


def _batches(
    streams: Sequence[Stream], r: float, config: TrainingConfig, rng: np.random.Generator
) -> Iterator[Batch]:
    """Cut every stream from a random start into sequences of one length, and mix them."""
    n_hops = int(rng.integers(config.sequence[0], config.sequence[1] + 1))
    places = [
        (stream, first)
        for stream in streams
        for first in range(int(rng.integers(n_hops)), len(stream.windows), n_hops)
    ]
    order = rng.permutation(len(places))
    for at in range(0, len(places), config.batch):
        chosen = [places[i] for i in order[at : at + config.batch]]
        windows, gates, labels = _gather(
            [stream for stream, _ in chosen], [first for _, first in chosen], n_hops
        )
        carried = torch.from_numpy(rng.random((len(chosen), 1)) < config.carried)
        yield windows, torch.where(carried, r * gates, 0.0), labels


def _gather(streams: Sequence[Stream], firsts: Sequence[int], n_hops: int) -> Batch:
    """Stack the same number of hops of each stream; what lies past a stream's end is padding."""
    n_channels, n_times = streams[0].windows.shape[1:]
    windows = torch.zeros(len(streams), n_hops, n_channels, n_times)
    gates = torch.zeros(len(streams), n_hops)
    labels = torch.full((len(streams), n_hops, streams[0].labels.shape[1]), PADDING)
    for row, (stream, first) in enumerate(zip(streams, firsts, strict=True)):
        span = slice(first, first + n_hops)
        n = len(stream.windows[span])
        windows[row, :n] = torch.from_numpy(stream.windows[span])
        gates[row, :n] = torch.from_numpy(~stream.restart[span])
        labels[row, :n] = torch.from_numpy(stream.labels[span])
    return windows, gates, labels


def _run_epoch(
    network: MSiMamba,
    optimiser: torch.optim.Optimizer,
    sizes: Sequence[int],
    batches: Iterator[Batch],
    clip: float,
    weights: Sequence[Tensor] | None,
) -> float:
    """Return the mean loss of the batches as they were learnt from."""
    network.train()
    losses = []
    for windows, gates, labels in batches:
        loss = cross_entropy(network.scan(windows, gates, None)[0], labels, sizes, weights)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def evaluate(
    network: MSiMamba,
    streams: Sequence[Stream],
    sizes: Sequence[int],
    r: float,
    weights: Sequence[Tensor] | None = None,
) -> Evaluation:
    """Score whole streams, each from a fresh state; the network is left in eval mode."""
    network.eval()
    return score(stream_logits(network, streams, r), streams, sizes, weights)


def score(
    logits: Sequence[Tensor],
    streams: Sequence[Stream],
    sizes: Sequence[int],
    weights: Sequence[Tensor] | None = None,
) -> Evaluation:
    """Score logits (n_hops, n_outputs) of each stream; sizes are the heads' numbers of labels."""
    whole = torch.cat(list(logits))
    labels = np.concatenate([stream.labels for stream in streams])
    loss = float(cross_entropy(whole, torch.from_numpy(labels), sizes, weights))
    heads = zip(labels.T, torch.split(whole, list(sizes), dim=-1), strict=True)
    return Evaluation(loss, tuple(balanced_accuracy(k, p.argmax(-1).numpy()) for k, p in heads))


def fit_temperatures(
    network: MSiMamba, outputs: Mapping[str, Sequence[str]], streams: Sequence[Stream], r: float
) -> dict[str, float]:
    """The temperature of each output that makes its probabilities likeliest on these streams."""
    logits = torch.cat(stream_logits(network, streams, r)).double()
    labels = torch.from_numpy(np.concatenate([stream.labels for stream in streams]))
    sizes = [len(names) for names in outputs.values()]
    heads = zip(outputs, torch.split(logits, sizes, -1), labels.unbind(-1), strict=True)
    return {name: fit_temperature(head, label) for name, head, label in heads}
