"""Predictions of a network on complete hop sequences, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimamba.models.conformal.label_sets import start_threshold
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.batches import parallel_batch
from mimamba.models.training.loss import cross_entropy, fit_temperature
from mimamba.models.training.windowing import HopSequence

CHUNK_HOPS = 64
"""Hops per scan. It limits memory and does not change the result."""


@dataclass(frozen=True)
class SequenceScores:
    """Mean cross-entropy in nats, and the balanced accuracy of each output in order."""

    loss: float
    accuracies: tuple[float, ...]

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the outputs."""
        return float(np.mean(self.accuracies))


def balanced_accuracy(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the mean recall of the labels that occur; chance is 0.5 for two labels.

    Both arrays are (n,), label indices.
    """
    return float(np.mean([(predicted[labels == k] == k).mean() for k in np.unique(labels)]))


@torch.inference_mode()
def sequence_logits(network: MSiMamba, sequences: Sequence[HopSequence], r: float) -> list[Tensor]:
    """Return the logits (n_hops, n_outputs) of each whole sequence, on the CPU.

    ``r`` is the gate of the carried state. All sequences are scanned in parallel.
    """
    lengths = [len(sequence.windows) for sequence in sequences]
    device = network.device
    states = network.initial_states(len(sequences))
    parts = []
    for first in range(0, max(lengths), CHUNK_HOPS):
        n_hops = min(CHUNK_HOPS, max(lengths) - first)
        x, gates, _ = parallel_batch(sequences, first, n_hops)
        logits, states = network.scan(x.to(device), (gates * r).to(device), states)
        parts.append(logits.cpu())
    whole = torch.cat(parts, dim=1)
    return [logits[:n] for logits, n in zip(whole, lengths, strict=True)]


@torch.no_grad()
def featured_sequences(network: MSiMamba, sequences: Sequence[HopSequence]) -> list[HopSequence]:
    """Return sequences with the network's features (n_hops, C, F) in place of the windows."""
    device, found = network.device, []
    for sequence in sequences:
        pieces = torch.split(torch.from_numpy(np.ascontiguousarray(sequence.windows)), CHUNK_HOPS)
        features = torch.cat([network.features(piece.to(device)).cpu() for piece in pieces])
        found.append(replace(sequence, windows=features.numpy()))
    return found


def score_network(
    network: MSiMamba,
    sequences: Sequence[HopSequence],
    sizes: Sequence[int],
    r: float,
    weights: Sequence[Tensor] | None = None,
) -> SequenceScores:
    """Score whole sequences, each from an empty state; leaves the network in eval mode."""
    network.eval()
    return score_logits(sequence_logits(network, sequences, r), sequences, sizes, weights)


def score_logits(
    logits: Sequence[Tensor],
    sequences: Sequence[HopSequence],
    sizes: Sequence[int],
    weights: Sequence[Tensor] | None = None,
) -> SequenceScores:
    """Score the logits (n_hops, n_outputs) of each sequence; ``sizes`` are labels per output."""
    whole = torch.cat(list(logits))
    labels = np.concatenate([sequence.labels for sequence in sequences])
    loss = float(cross_entropy(whole, torch.from_numpy(labels), sizes, weights))
    heads = zip(labels.T, torch.split(whole, list(sizes), dim=-1), strict=True)
    return SequenceScores(loss, tuple(balanced_accuracy(k, p.argmax(-1).numpy()) for k, p in heads))


def fit_temperatures(
    network: MSiMamba,
    outputs: Mapping[str, Sequence[str]],
    sequences: Sequence[HopSequence],
    r: float,
) -> dict[str, float]:
    """Fit a temperature for each output on these sequences, with the state carried by ``r``."""
    return {
        name: fit_temperature(head, label)
        for name, head, label in _labelled_heads(network, outputs, sequences, r)
    }


def fit_set_thresholds(
    network: MSiMamba,
    outputs: Mapping[str, Sequence[str]],
    sequences: Sequence[HopSequence],
    r: float,
    temperatures: Mapping[str, float],
) -> dict[str, float]:
    """Fit the threshold of each output's prediction sets on sequences held out of the training."""
    found = {}
    for name, head, label in _labelled_heads(network, outputs, sequences, r):
        shares = (head / temperatures[name]).softmax(-1)
        true = shares.gather(1, label[:, None])[:, 0]
        found[name] = start_threshold(1 - true.numpy())
    return found


def _labelled_heads(
    network: MSiMamba,
    outputs: Mapping[str, Sequence[str]],
    sequences: Sequence[HopSequence],
    r: float,
) -> list[tuple[str, Tensor, Tensor]]:
    """Return each output's logits (n_hops, n_labels) over all sequences, and its labels."""
    network.eval()
    logits = torch.cat(sequence_logits(network, sequences, r)).double()
    labels = torch.from_numpy(np.concatenate([sequence.labels for sequence in sequences]))
    sizes = [len(names) for names in outputs.values()]
    return [*zip(outputs, torch.split(logits, sizes, -1), labels.unbind(-1), strict=True)]
