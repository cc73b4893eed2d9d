"""The test of a calibration: blocks held out in pairs, all blocks relabelled, a bootstrap.

Windows of one block resemble each other, whatever the block's kind. So nothing here ever divides a
block: each fold holds out one whole block of each kind, the p value comes from other assignments
of kinds to whole blocks, and the interval from drawing whole blocks again.

The classifier is linear, ``w = (S + ridge diag S)⁻¹ (m₁ - m₀)``, with S the covariance of all hops
and m₀, m₁ the means of the two kinds. For kinds of equal size this is ridge regression to -1 and 1.
S does not depend on the kinds, so one factorisation per fold serves every relabelling.

Letters: B blocks, H hops of a block, F features, R relabellings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

RIDGE = 0.3
"""Strength of the regularisation, relative to each feature's variance.

Measured with planted changes of alpha: 0.03 to 1 find about as many, 3 finds fewer.
"""
RELABELLINGS = 999
"""Relabellings drawn where there are more than ``ALL_BELOW``."""
ALL_BELOW = 2000
"""Number of relabellings up to which all are used: 6 + 6 blocks have 924."""
RESAMPLES = 2000
"""Bootstrap samples of the interval."""
SHARES = (2.5, 97.5)
"""Percentiles of the bootstrap that bound the interval: 95 %."""
TIE = 1e-9
"""Rounding within which two scores are equal."""


@dataclass(frozen=True, eq=False)
class LabelledBlocks:
    """Features of the hops of blocks, with the kind of each block.

    Parameters
    ----------
    features
        One array (H, F) per block, each with at least one hop.
    kinds
        (B,) 0 or 1.
    attempts
        (B,) number of the attempt that each block belongs to; kinds are only exchanged within one.
    """

    features: tuple[NDArray[np.float64], ...]
    kinds: NDArray[np.int64]
    attempts: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not len(self.features) == len(self.kinds) == len(self.attempts):
            raise ValueError("Expected one kind and one attempt for each block.")

    @property
    def counts(self) -> tuple[int, int]:
        """Number of blocks of each kind."""
        n_second = int(self.kinds.sum())
        return len(self.kinds) - n_second, n_second

    def relabelled(self, kinds: NDArray[np.int64]) -> LabelledBlocks:
        """Return the same blocks with other kinds."""
        return LabelledBlocks(self.features, kinds, self.attempts)

    def subset(self, kept: NDArray[np.bool_]) -> LabelledBlocks:
        """Return the blocks at which ``kept`` (B,) is true."""
        features = tuple(x for x, keep in zip(self.features, kept, strict=True) if keep)
        return LabelledBlocks(features, self.kinds[kept], self.attempts[kept])


@dataclass(frozen=True, eq=False)
class BlockScores:
    """Result of the test.

    Parameters
    ----------
    shares
        (B,) share of right hops of each block, while it was held out.
    accuracy
        Mean over the kinds of the mean of their blocks' shares; chance is 0.5.
    interval
        Bounds of the accuracy, 95 %.
    p
        Share of relabellings that score as well, the given one included.
    n_relabellings
        Number of relabellings, the given one included.
    """

    shares: NDArray[np.float64]
    accuracy: float
    interval: tuple[float, float]
    p: float
    n_relabellings: int


def score_blocks(
    blocks: LabelledBlocks,
    seed: int = 0,
    ridge: float = RIDGE,
    tested: NDArray[np.bool_] | None = None,
) -> BlockScores:
    """Test whether the features tell the two kinds of blocks apart.

    Parameters
    ----------
    blocks
        The blocks.
    seed
        Seed of drawn relabellings and of the bootstrap.
    ridge
        Strength of the regularisation.
    tested
        (B,) True for the blocks that are scored and relabelled; the others only train. None for
        all.

    Raises
    ------
    ValueError
        With fewer than two blocks of a kind, which leave nothing to train on.
    """
    chosen = np.ones(len(blocks.kinds), np.bool_) if tested is None else tested
    scored = blocks.subset(chosen)
    if min(scored.counts) < 2:
        raise ValueError(f"Expected two blocks of each kind, but found {scored.counts}.")
    assigned = relabellings(scored.kinds, scored.attempts, seed)
    labels = np.tile(blocks.kinds, (len(assigned), 1))
    labels[:, chosen] = assigned
    shares = held_out_shares(blocks.features, labels, ridge)[:, chosen]
    every = accuracies(shares, assigned)
    p = float(np.mean(every >= every[0] - TIE))
    interval = bootstrap(shares[0], scored.kinds, seed)
    return BlockScores(shares[0], float(every[0]), interval, p, len(labels))


def relabellings(
    kinds: NDArray[np.int64], attempts: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Return assignments of kinds to blocks (R, B), the given one first.

    Each attempt keeps its number of blocks of each kind. All assignments are used if there are at
    most ``ALL_BELOW``, else ``RELABELLINGS`` drawn ones beside the given one.
    """
    members = [np.flatnonzero(attempts == attempt) for attempt in np.unique(attempts)]
    sizes = [(len(mine), int(kinds[mine].sum())) for mine in members]
    if prod(comb(n, k) for n, k in sizes) <= ALL_BELOW:
        assigned = _all_assignments(members, sizes)
        return np.vstack([kinds, assigned[(assigned != kinds).any(axis=1)]])
    rng = np.random.default_rng(seed)
    labels = np.tile(kinds, (RELABELLINGS + 1, 1))
    for row in labels[1:]:
        for mine in members:
            row[mine] = rng.permutation(kinds[mine])
    return labels


def _all_assignments(
    members: Sequence[NDArray[np.int64]], sizes: Sequence[tuple[int, int]]
) -> NDArray[np.int64]:
    """Return every assignment of kinds that keeps each attempt's numbers, (R, B)."""
    n_blocks = sum(n for n, _ in sizes)
    assigned = np.zeros((1, n_blocks), np.int64)
    for mine, (n, k) in zip(members, sizes, strict=True):
        ones = np.array([*combinations(mine.tolist(), k)], np.int64).reshape(comb(n, k), k)
        own = np.zeros((len(ones), n_blocks), np.int64)
        np.put_along_axis(own, ones, 1, axis=1)
        assigned = (assigned[:, np.newaxis] + own).reshape(-1, n_blocks)
    return assigned


def held_out_shares(
    features: Sequence[NDArray[np.float64]], labels: NDArray[np.int64], ridge: float
) -> NDArray[np.float64]:
    """Return the share of right hops of each block while it was held out, (R, B).

    Every pair of blocks of different kinds is held out once, and a block's share is the mean over
    its pairs. So nothing hangs on a choice of folds.
    """
    n_blocks, right = len(features), np.zeros(labels.shape)
    moments = BlockMoments.of(features)
    n_second = int(labels[0].sum())
    times = np.where(labels == 1, n_blocks - n_second, n_second)
    for i, j in combinations(range(n_blocks), 2):
        rows = np.flatnonzero(labels[:, i] != labels[:, j])
        if not len(rows):
            continue
        kept = np.ones(n_blocks, np.bool_)
        kept[[i, j]] = False
        w, bias = moments.directions(kept, labels[rows][:, kept], ridge)
        for block in (i, j):
            above = features[block] @ w > bias  # (H, R)
            share = above.mean(axis=0)
            right[rows, block] += np.where(labels[rows, block] == 1, share, 1 - share)
    return right / times


@dataclass(frozen=True, eq=False)
class BlockMoments:
    """Mean (B, F) and second moment (B, F, F) of the hops of each block."""

    mean: NDArray[np.float64]
    second: NDArray[np.float64]

    @classmethod
    def of(cls, features: Sequence[NDArray[np.float64]]) -> BlockMoments:
        """Measure the blocks; each counts alike, however many hops it has."""
        mean = np.array([each.mean(axis=0) for each in features])
        return cls(mean, np.array([each.T @ each / len(each) for each in features]))

    def directions(
        self, kept: NDArray[np.bool_], labels: NDArray[np.int64], ridge: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fit the classifier to the blocks at which ``kept`` (B,) is true.

        Parameters
        ----------
        kept
            (B,) blocks to train on.
        labels
            (R, n_kept) their kinds, in R versions.
        ridge
            Strength of the regularisation.

        Returns
        -------
        Weights (F, R), and bias (R,): a hop x is of kind 1 if ``x @ w > bias``.
        """
        mean = self.mean[kept]
        centre = mean.mean(axis=0)
        covariance = self.second[kept].mean(axis=0) - np.outer(centre, centre)
        variance = np.maximum(np.diag(covariance), np.finfo(np.float64).tiny)
        second = labels / labels.sum(axis=1, keepdims=True)
        first = (1 - labels) / (1 - labels).sum(axis=1, keepdims=True)
        w = np.linalg.solve(covariance + np.diag(ridge * variance), mean.T @ (second - first).T)
        middle = mean.T @ (second + first).T / 2
        return w, np.einsum("fr,fr->r", w, middle)


def accuracies(shares: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the block-balanced accuracy (R,) of shares (R, B) under labels (R, B)."""
    second = (shares * labels).sum(axis=1) / labels.sum(axis=1)
    first = (shares * (1 - labels)).sum(axis=1) / (1 - labels).sum(axis=1)
    result: NDArray[np.float64] = (first + second) / 2
    return result


def bootstrap(
    shares: NDArray[np.float64], kinds: NDArray[np.int64], seed: int
) -> tuple[float, float]:
    """Return the 95 % interval of the accuracy, by drawing the blocks of each kind again."""
    rng = np.random.default_rng(seed)
    means = np.zeros(RESAMPLES)
    for kind in (0, 1):
        mine = shares[kinds == kind]
        means += rng.choice(mine, (RESAMPLES, len(mine))).mean(axis=1) / 2
    low, high = np.percentile(means, SHARES)
    return float(low), float(high)


def held_out_scores(blocks: LabelledBlocks, ridge: float = RIDGE) -> list[NDArray[np.float64]]:
    """Return the score (H,) of each block's hops while it was held out, mean over its pairs.

    A hop is taken for kind 1 if its score is above 0.
    """
    moments, n_blocks = BlockMoments.of(blocks.features), len(blocks.kinds)
    totals = [np.zeros(len(each)) for each in blocks.features]
    times = np.where(blocks.kinds == 1, blocks.counts[0], blocks.counts[1])
    for i, j in combinations(range(n_blocks), 2):
        if blocks.kinds[i] == blocks.kinds[j]:
            continue
        kept = np.ones(n_blocks, np.bool_)
        kept[[i, j]] = False
        w, bias = moments.directions(kept, blocks.kinds[np.newaxis, kept], ridge)
        for block in (i, j):
            totals[block] += blocks.features[block] @ w[:, 0] - bias[0]
    return [total / n for total, n in zip(totals, times, strict=True)]
