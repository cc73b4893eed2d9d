"""Groups that a protocol never splits, people or trials, and their division into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.models.training.windowing import HopSequence

VALIDATION = 0.2
"""Target share of the validation in each label's hops outside the test fold."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of sequences that are never split: people, or trials.

    Parameters
    ----------
    of_sequence
        (n_sequences,) the group of each sequence.
    owner
        (n_groups,) the owner of each group, whose labels must all stay in the training. For
        ``trial`` it is the person; for ``subject`` all groups have one owner, the whole data set.
    counts
        (n_groups, n_columns) number of hops by label, the outputs side by side.
    """

    of_sequence: NDArray[np.int64]
    owner: NDArray[np.int64]
    counts: NDArray[np.int64]


def person_groups(sequences: Sequence[HopSequence]) -> Groups:
    """Make a group of each person."""
    _, of_sequence = np.unique([sequence.person for sequence in sequences], return_inverse=True)
    return Groups(
        of_sequence,
        np.zeros(of_sequence.max(initial=-1) + 1, np.int64),
        _counts(sequences, of_sequence),
    )


def trial_groups(sequences: Sequence[HopSequence]) -> Groups:
    """Make a group of each trial of each person."""
    keys = sorted({(sequence.person, sequence.trial) for sequence in sequences})
    places = {key: place for place, key in enumerate(keys)}
    of_sequence = np.array(
        [places[sequence.person, sequence.trial] for sequence in sequences], np.int64
    )
    _, owner = np.unique([person for person, _ in keys], return_inverse=True)
    return Groups(of_sequence, owner, _counts(sequences, of_sequence))


def _counts(sequences: Sequence[HopSequence], of_sequence: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the hops of each group by label, (n_groups, n_columns)."""
    if not sequences:
        return np.zeros((0, 0), np.int64)
    sizes = np.max([sequence.labels.max(0) for sequence in sequences], axis=0) + 1
    offsets = np.cumsum(sizes) - sizes
    counts = np.zeros((of_sequence.max() + 1, sizes.sum()), np.int64)
    for sequence, group in zip(sequences, of_sequence, strict=True):
        counts[group] += np.bincount((sequence.labels + offsets).ravel(), minlength=sizes.sum())
    return counts


def assign_folds(groups: Groups, n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Assign each group to the fold that tests it, (n_groups,).

    -1 is for groups whose owner has too few to test each of them.
    """
    tested = np.full(len(groups.owner), -1)
    owned = [np.flatnonzero(groups.owner == owner) for owner in np.unique(groups.owner)]
    n_folds = min(n_folds, max(map(len, owned), default=0))
    for mine in owned:
        n_parts = min(n_folds, len(mine))
        parts = _deal(groups.counts[mine], n_parts, rng)
        if n_parts > 1 and all(
            covers_labels(groups, mine[parts != p], mine) for p in range(n_parts)
        ):
            tested[mine] = rng.permutation(n_folds)[parts]
    return np.unique([-1, *tested], return_inverse=True)[1][1:] - 1  # no fold is empty


def _deal(counts: NDArray[np.int64], n_parts: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Divide groups (n_groups, n_columns) into parts with balanced labels, the largest first.

    Each group goes to the part where its labels are rarest, which minimises the sum of squares of
    the label shares. No part is empty if there are enough groups.
    """
    shares = counts / np.maximum(counts.sum(0), 1)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-shares[order].sum(1).round(9), kind="stable")]
    held, parts = np.zeros((n_parts, counts.shape[1])), np.zeros(len(counts), np.int64)
    for group in order:
        crowded = (held @ shares[group]).round(9)
        parts[group] = np.lexsort((held.sum(1).round(9), crowded))[0]
        held[parts[group]] += shares[group]
    return parts


def hold_out_validation(
    counts: NDArray[np.int64], owner: NDArray[np.int64], rng: np.random.Generator
) -> list[int]:
    """Choose groups for validation, about ``VALIDATION`` of each label.

    A group is chosen only if its owner has another group with each of its labels. First come groups
    that fit the target of every output, then groups with a label that is still missing.
    """
    occurs = counts > 0
    left = {o: occurs[owner == o].sum(0) for o in np.unique(owner)}
    target, held = VALIDATION * counts.sum(0), np.zeros(counts.shape[1])
    chosen: list[int] = []
    for only_missing in (False, True):
        for group in rng.permutation(len(counts)):
            mine = occurs[group]
            room = (held + counts[group] / 2 <= target)[mine].all()
            wanted = (held[mine] == 0).any() if only_missing else room
            if group not in chosen and wanted and (left[owner[group]][mine] > 1).all():
                chosen.append(int(group))
                held += counts[group]
                left[owner[group]] -= mine
    return chosen


def covers_labels(
    groups: Groups, part: NDArray[np.int64], whole: NDArray[np.int64] | None = None
) -> bool:
    """Check that every owner has, in a part, all labels that it has in the whole (default all)."""
    whole = np.arange(len(groups.owner)) if whole is None else whole
    for owner in np.unique(groups.owner[whole]):
        here, there = (groups.counts[i[groups.owner[i] == owner]].any(0) for i in (part, whole))
        if (there & ~here).any():
            return False
    return True


def members(groups: Groups, part: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the indices of the sequences in these groups."""
    return tuple(np.flatnonzero(np.isin(groups.of_sequence, part)).tolist())
