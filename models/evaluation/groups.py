"""What a protocol never cuts, people or trials, and how it is dealt into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.models.training.windowing import HopSequence

VALIDATION = 0.2
"""Share of each label's hops outside the test that the validation aims at."""


@dataclass(frozen=True, eq=False)
class Groups:
    """What is never cut: people, or trials.

    Parameters
    ----------
    of
        (n_sequences,) the unit of each sequence.
    owner
        (n_units,) who must keep each of its labels in the training: for ``trial`` the unit's
        person; for ``subject`` all units have one owner, the whole set.
    counts
        (n_units, n_columns) hops by label, the outputs side by side.
    """

    of: NDArray[np.int64]
    owner: NDArray[np.int64]
    counts: NDArray[np.int64]


def person_groups(sequences: Sequence[HopSequence]) -> Groups:
    """Each person is a unit."""
    _, of = np.unique([sequence.person for sequence in sequences], return_inverse=True)
    return Groups(of, np.zeros(of.max(initial=-1) + 1, np.int64), _counts(sequences, of))


def trial_groups(sequences: Sequence[HopSequence]) -> Groups:
    """Each trial of each person is a unit."""
    keys = sorted({(sequence.person, sequence.trial) for sequence in sequences})
    places = {key: place for place, key in enumerate(keys)}
    of = np.array([places[sequence.person, sequence.trial] for sequence in sequences], np.int64)
    _, owner = np.unique([person for person, _ in keys], return_inverse=True)
    return Groups(of, owner, _counts(sequences, of))


def _counts(sequences: Sequence[HopSequence], of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hops of each unit by label, the outputs side by side."""
    if not sequences:
        return np.zeros((0, 0), np.int64)
    sizes = np.max([sequence.labels.max(0) for sequence in sequences], axis=0) + 1
    offsets = np.cumsum(sizes) - sizes
    counts = np.zeros((of.max() + 1, sizes.sum()), np.int64)
    for sequence, unit in zip(sequences, of, strict=True):
        counts[unit] += np.bincount((sequence.labels + offsets).ravel(), minlength=sizes.sum())
    return counts


def assign_folds(units: Groups, n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold (n_units,) that tests each unit; -1 where the owner can't spare all its units."""
    tested = np.full(len(units.owner), -1)
    owned = [np.flatnonzero(units.owner == owner) for owner in np.unique(units.owner)]
    n_folds = min(n_folds, max(map(len, owned), default=0))
    for mine in owned:
        n_parts = min(n_folds, len(mine))
        parts = _deal(units.counts[mine], n_parts, rng)
        if n_parts > 1 and all(
            covers_labels(units, mine[parts != p], mine) for p in range(n_parts)
        ):
            tested[mine] = rng.permutation(n_folds)[parts]
    return np.unique([-1, *tested], return_inverse=True)[1][1:] - 1  # no fold is empty


def _deal(counts: NDArray[np.int64], n_parts: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal units (n_units, n_columns) into parts with as even labels as can be, the largest first.

    A unit goes where its labels are rarest, which keeps the sum of squares of the labels' shares
    least. No part stays empty where there are enough units.
    """
    shares = counts / np.maximum(counts.sum(0), 1)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-shares[order].sum(1).round(9), kind="stable")]
    held, parts = np.zeros((n_parts, counts.shape[1])), np.zeros(len(counts), np.int64)
    for unit in order:
        crowded = (held @ shares[unit]).round(9)
        parts[unit] = np.lexsort((held.sum(1).round(9), crowded))[0]
        held[parts[unit]] += shares[unit]
    return parts


def hold_out_validation(
    counts: NDArray[np.int64], owner: NDArray[np.int64], rng: np.random.Generator
) -> list[int]:
    """Units for validation: of each label about its share, if its owner has another to learn from.

    First those that every output has room for, then those with a label that is still missing.
    """
    occurs = counts > 0
    left = {o: occurs[owner == o].sum(0) for o in np.unique(owner)}
    target, held = VALIDATION * counts.sum(0), np.zeros(counts.shape[1])
    chosen: list[int] = []
    for only_missing in (False, True):
        for unit in rng.permutation(len(counts)):
            mine = occurs[unit]
            room = (held + counts[unit] / 2 <= target)[mine].all()
            wanted = (held[mine] == 0).any() if only_missing else room
            if unit not in chosen and wanted and (left[owner[unit]][mine] > 1).all():
                chosen.append(int(unit))
                held += counts[unit]
                left[owner[unit]] -= mine
    return chosen


def covers_labels(
    units: Groups, part: NDArray[np.int64], whole: NDArray[np.int64] | None = None
) -> bool:
    """Whether each owner has in a part all of the labels that it has in the whole (or at all)."""
    whole = np.arange(len(units.owner)) if whole is None else whole
    for owner in np.unique(units.owner[whole]):
        here, there = (units.counts[i[units.owner[i] == owner]].any(0) for i in (part, whole))
        if (there & ~here).any():
            return False
    return True


def members(units: Groups, part: NDArray[np.int64]) -> tuple[int, ...]:
    """Indices of the sequences of these units."""
    return tuple(np.flatnonzero(np.isin(units.of, part)).tolist())
