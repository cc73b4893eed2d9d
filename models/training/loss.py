"""Cross-entropy over hops and outputs, label weights, and temperature scaling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from mimamba.models.training.windowing import HopSequence

PADDING = -1
"""Label of a padded hop, ignored by the loss."""


def label_weights(sequences: Sequence[HopSequence], sizes: Sequence[int]) -> list[Tensor]:
    """Return each label's weight, the inverse of its share; 0 if it does not occur.

    ``sizes`` are the numbers of labels per output; one tensor (n_labels,) is returned for each.
    """
    labels = np.concatenate([sequence.labels for sequence in sequences])
    counts = [np.bincount(k, minlength=n) for k, n in zip(labels.T, sizes, strict=True)]
    return [torch.tensor((n > 0) * n.sum() / np.maximum(n, 1)).float() for n in counts]


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    sizes: Sequence[int],
    weights: Sequence[Tensor] | None = None,
) -> Tensor:
    """Return the mean cross-entropy in nats over hops and outputs.

    Parameters
    ----------
    logits
        (..., n_outputs), the labels of all outputs side by side.
    labels
        (..., n_heads), one label index per output; ``PADDING`` is ignored.
    sizes
        Number of labels of each output.
    weights
        Label weights for each output; the mean over hops is weighted by them.
    """
    each = [w.to(logits.device) for w in weights] if weights else [None] * len(sizes)
    heads = zip(torch.split(logits, list(sizes), dim=-1), labels.unbind(-1), each, strict=True)
    losses = [
        nn.functional.cross_entropy(k.flatten(0, -2), label.flatten(), w, ignore_index=PADDING)
        for k, label, w in heads
    ]
    return torch.stack(losses).mean()


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Fit the temperature that maximises the likelihood of ``labels`` (n,) under one output.

    ``logits`` are (n, n_labels). Source: Guo et al., "On Calibration of Modern Neural Networks"
    (arXiv 1706.04599).
    """

    def loss(log_t: float) -> float:
        return float(nn.functional.cross_entropy(logits / math.exp(log_t), labels))

    return math.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)
