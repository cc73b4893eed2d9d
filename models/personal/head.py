"""A person's own output: a linear head on hop features, with an unsure band and smoothing.

The head takes one hop after another and keeps two numbers between them, so live, replayed and
offline outputs are equal. A step takes some 2 µs on one core.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from mimamba.models.personal.statistics import (
    RIDGE,
    BlockMoments,
    LabelledBlocks,
    held_out_scores,
)

HALF_LIFE = 5.0
"""Seconds after which a hop's score counts half in the smoothed one."""
LEAST_RIGHT = 0.80
"""Share of held-out hops that should be right outside of the unsure band."""
MOST_UNSURE = 0.50
"""Largest share of held-out hops in the unsure band."""
TEMPERATURES = (1e-2, 1e2)
"""Range of the temperature, in standard deviations of the held-out scores."""
LARGEST_LOGIT = 700.0
"""Logit at which a probability is 0 or 1 in float64."""

Smoothing: TypeAlias = tuple[float, float]
"""Sum of weighted scores and sum of weights: the state of a head between two hops."""
FRESH: Smoothing = (0.0, 0.0)


@dataclass(frozen=True)
class PersonalOutput:
    """Output for one hop.

    Parameters
    ----------
    probabilities
        Probability of each of the two states.
    state
        The likelier state; None inside the unsure band.
    """

    probabilities: dict[str, float]
    state: str | None


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Weights of a head; the arrays are never modified.

    Parameters
    ----------
    weights
        (n_features,) float64, in the order of ``BandFeatures``; 0 for features that are not used.
    bias
        Score at features of 0.
    temperature
        Divisor of a smoothed score, which gives the logit of the second state.
    unsure
        Absolute value of a smoothed score below which the head abstains.
    """

    weights: NDArray[np.float64]
    bias: float
    temperature: float
    unsure: float


class PersonalHead:
    """Steps a head over the hops of one stream.

    Parameters
    ----------
    head
        The weights.
    kinds
        Names of the two states.
    hop
        Seconds between two hops.

    Attributes
    ----------
    state
        State between two hops; set it to continue from there.
    """

    def __init__(self, head: LinearHead, kinds: tuple[str, str], hop: float = 1.0) -> None:
        self._weights, self._bias = head.weights, head.bias
        self._temperature, self._unsure = head.temperature, head.unsure
        self._kinds = kinds
        self._keep = 0.5 ** (hop / HALF_LIFE)
        self.state: Smoothing = FRESH

    def step(
        self, values: NDArray[np.float64] | None, restart: bool = False
    ) -> PersonalOutput | None:
        """Return the output for a hop.

        Parameters
        ----------
        values
            (n_features,) features of the hop; None holds the state and gives no output.
        restart
            Forget what was before this hop.
        """
        if values is None:
            return None
        total, weight = FRESH if restart else self.state
        total = self._keep * total + float(self._weights @ values) + self._bias
        weight = self._keep * weight + 1.0
        self.state = (total, weight)
        score = total / weight
        second = probability(score / self._temperature)
        one, other = self._kinds
        state = None if abs(score) < self._unsure else other if score > 0 else one
        return PersonalOutput({one: 1.0 - second, other: second}, state)


def probability(logit: float) -> float:
    """Return the probability of a logit, for any finite number."""
    return 1.0 / (1.0 + exp(-max(-LARGEST_LOGIT, min(LARGEST_LOGIT, logit))))


def smooth(scores: NDArray[np.float64], hop: float = 1.0) -> NDArray[np.float64]:
    """Smooth the scores (H,) of successive hops as a fresh ``PersonalHead`` does."""
    keep, total, weight = 0.5 ** (hop / HALF_LIFE), 0.0, 0.0
    smoothed = np.empty(len(scores))
    for n, score in enumerate(scores):
        total, weight = keep * total + float(score), keep * weight + 1.0
        smoothed[n] = total / weight
    return smoothed


def fit_head(
    blocks: LabelledBlocks,
    chosen: slice,
    n_features: int,
    centre: NDArray[np.float64],
    ridge: float = RIDGE,
) -> LinearHead:
    """Fit a head to all blocks, and its temperature and unsure band to held-out ones.

    Parameters
    ----------
    blocks
        Blocks with the chosen features only, minus their attempt's centre.
    chosen
        Columns of these features among all.
    n_features
        Number of all features.
    centre
        (n_chosen,) centre of the latest attempt, which later hops have as well.
    ridge
        Strength of the regularisation.
    """
    moments = BlockMoments.of(blocks.features)
    everything = np.ones(len(blocks.kinds), np.bool_)
    w, middle = moments.directions(everything, blocks.kinds[np.newaxis], ridge)
    weights = np.zeros(n_features)
    weights[chosen] = w[:, 0]
    scores = [smooth(each) for each in held_out_scores(blocks, ridge)]
    signed = [score if kind else -score for score, kind in zip(scores, blocks.kinds, strict=True)]
    margins = np.concatenate(signed)
    shares = np.concatenate([np.full(len(each), 1 / len(each)) for each in signed])
    bias = -float(middle[0]) - float(w[:, 0] @ centre)
    return LinearHead(weights, bias, _temperature(margins, shares), _unsure(margins, shares))


def _temperature(margins: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """Return the divisor of scores at which the log loss of held-out hops is least."""
    scale = float(np.sqrt(np.average(margins**2, weights=shares))) or 1.0

    def loss(log_temperature: float) -> float:
        logits = margins / (scale * np.exp(log_temperature))
        return float(np.average(np.logaddexp(0.0, -logits), weights=shares))

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded")
    return scale * float(np.exp(found.x))


def _unsure(margins: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """Return the narrowest band outside of which ``LEAST_RIGHT`` of the hops are right."""
    order = np.argsort(-np.abs(margins), kind="stable")
    sizes, weights = np.abs(margins)[order], shares[order]
    held = np.cumsum(weights) / weights.sum()
    right = np.cumsum(weights * (margins[order] > 0)) / np.cumsum(weights)
    good = np.flatnonzero((right >= LEAST_RIGHT) & (held >= 1 - MOST_UNSURE))
    if len(good):
        last = int(good[-1])
        return 0.0 if last == len(sizes) - 1 else float(sizes[last])
    return float(sizes[int(np.searchsorted(held, 1 - MOST_UNSURE))])
