"""The loss over hops and heads, the labels' weights in it, and the temperature that it fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from mimamba.models.training.windowing import HopSequence

PADDING = -1
"""The label of a hop past a sequence's end: not learnt from."""


def label_weights(sequences: Sequence[HopSequence], sizes: Sequence[int]) -> list[Tensor]:
    """Weigh each label of each output by the inverse of its share; 0 where it does not occur."""
    labels = np.concatenate([sequence.labels for sequence in sequences])
    counts = [np.bincount(k, minlength=n) for k, n in zip(labels.T, sizes, strict=True)]
    return [torch.tensor((n > 0) * n.sum() / np.maximum(n, 1)).float() for n in counts]


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    sizes: Sequence[int],
    weights: Sequence[Tensor] | None = None,
) -> Tensor:
    """Mean over hops and heads: logits (..., n_outputs), labels (..., n_heads).

    With weights, one per label of each head, the mean over hops is weighed by their labels'.
    """
    each = [w.to(logits.device) for w in weights] if weights else [None] * len(sizes)
    heads = zip(torch.split(logits, list(sizes), dim=-1), labels.unbind(-1), each, strict=True)
    losses = [
        nn.functional.cross_entropy(k.flatten(0, -2), label.flatten(), w, ignore_index=PADDING)
        for k, label, w in heads
    ]
    return torch.stack(losses).mean()


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Find the temperature that makes one output's logits (n, n_labels) likeliest.

    After Guo et al., "On Calibration of Modern Neural Networks" (arXiv 1706.04599).
    """

    def loss(log_t: float) -> float:
        return float(nn.functional.cross_entropy(logits / math.exp(log_t), labels))

    return math.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)
