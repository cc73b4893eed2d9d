"""Temperature scaling of probabilities from any candidate."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from mimamba.models.training.loss import fit_temperature

MIN_PROBABILITY = 1e-12
"""Lower limit of probabilities before the logarithm; those of a random forest are often 0."""


def apply_temperature(
    probabilities: NDArray[np.float64], temperature: float
) -> NDArray[np.float64]:
    """Return one output's probabilities (n, n_labels), their logits divided by the temperature."""
    return np.asarray(softmax(_logits(probabilities) / temperature, axis=1))


def fit_probability_temperature(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> float:
    """Fit the temperature that maximises the likelihood of one output's labels (n,).

    ``probabilities`` are (n, n_labels). See ``fit_temperature``.
    """
    return fit_temperature(torch.from_numpy(_logits(probabilities)), torch.from_numpy(labels))


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, MIN_PROBABILITY))
