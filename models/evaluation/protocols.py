"""Protocols that split data into training, validation and test folds.

``paper``
    Random windows. Windows of one trial are in both training and test, so a model can recognise the
    trial instead of the label. Only for comparison with published figures.
``trial``
    Whole trials are left out; other trials of the same person are in the training.
``subject``
    Whole people are left out.
``split``
    Whole people are left out, as a published or own list says (``splits``).

The validation set is always a part of the data outside the test fold, split the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.errors import Mismatch
from mimamba.models.evaluation.groups import (
    VALIDATION,
    Groups,
    assign_folds,
    covers_labels,
    hold_out_validation,
    members,
    person_groups,
    trial_groups,
)
from mimamba.models.training.windowing import HopSequence

ProtocolName: TypeAlias = Literal["paper", "trial", "subject", "split"]
PROTOCOLS: tuple[ProtocolName, ...] = ("paper", "trial", "subject")
"""Protocols that are made from the data; ``split`` needs lists of people, see ``splits``."""
N_FOLDS = 5
WARNING = (
    "protocol paper leaks: windows of one trial are in both training and test, so a model can "
    "recognise the trial instead of the label. About 87 % of 101 papers on DEAP leak in this way, "
    "by up to 46 points (arXiv 2508.02417); one model falls from 92.2 % to 57.7 % when trials are "
    "not split. Only for comparison with published figures."
)
"""Warning of the protocol ``paper``, shown wherever its numbers are."""

TOO_FEW_TRIALS = "because some of their labels are in too few trials"


class ProtocolError(Mismatch, ValueError):
    """Data on which a protocol would give no valid result."""


@dataclass(frozen=True)
class Fold:
    """Indices of the sequences in each part of a fold; no index is in two parts."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Splits:
    """Hop sequences (single hops for ``paper``), their folds, and notes for the reader."""

    sequences: tuple[HopSequence, ...]
    folds: tuple[Fold, ...]
    notes: tuple[str, ...] = ()


def make_splits(
    protocol: ProtocolName, sequences: Sequence[HopSequence], n_folds: int = N_FOLDS, seed: int = 0
) -> Splits:
    """Split sequences into folds.

    Parameters
    ----------
    protocol
        See the module's docstring.
    sequences
        One per trial, with its person; those without hops are left out.
    n_folds
        Maximum number of folds, at least 2. With fewer people (or trials of a person), one is left
        out in each fold.
    seed
        Seed of the folds.

    Raises
    ------
    ProtocolError
        If there is too little data, or some fold has a label missing in its training.
    """
    if n_folds < 2:
        raise ProtocolError("at least 2 folds", f"{n_folds}", "set --folds to 2 or more")
    kept = [sequence for sequence in sequences if len(sequence.windows)]
    empty = len(sequences) - len(kept)
    notes = [f"{empty} trials have no good signal"] if empty else []
    rng = np.random.default_rng(seed)
    if protocol == "paper":
        return Splits(*_paper(kept, n_folds, rng), tuple(notes))
    groups = person_groups(kept) if protocol == "subject" else trial_groups(kept)
    tested = assign_folds(groups, n_folds, rng)
    if protocol == "trial":
        notes += _note_untested(kept, groups, tested)
    if tested.max(initial=-1) < 1:
        raise _too_small(protocol, kept)
    folds = []
    for fold in range(tested.max() + 1):
        rest = np.flatnonzero(tested != fold)
        chosen = rest[hold_out_validation(groups.counts[rest], groups.owner[rest], rng)]
        parts = (np.setdiff1d(rest, chosen), chosen, np.flatnonzero(tested == fold))
        if not len(chosen) or not covers_labels(groups, parts[0]):
            raise _too_small(protocol, kept)
        folds.append(Fold(*(members(groups, part) for part in parts)))
    return Splits(tuple(kept), tuple(folds), tuple(notes))


def _paper(
    sequences: Sequence[HopSequence], n_folds: int, rng: np.random.Generator
) -> tuple[tuple[HopSequence, ...], tuple[Fold, ...]]:
    """Split single hops at random."""
    hops = tuple(
        replace(s, windows=s.windows[i : i + 1], restart=np.ones(1, bool), labels=s.labels[i, None])
        for s in sequences
        for i in range(len(s.windows))
    )
    if len(hops) < 2 * n_folds:
        raise _too_small("paper", sequences)
    parts = np.array_split(rng.permutation(len(hops)), n_folds)
    folds = []
    for fold in range(n_folds):
        rest = np.concatenate([part for i, part in enumerate(parts) if i != fold])
        chosen, train = np.split(rng.permutation(rest), [max(1, round(VALIDATION * len(rest)))])
        folds.append(Fold(*(tuple(sorted(part.tolist())) for part in (train, chosen, parts[fold]))))
    return hops, tuple(folds)


def _note_untested(
    sequences: Sequence[HopSequence], groups: Groups, tested: NDArray[np.int64]
) -> list[str]:
    pairs = zip(sequences, groups.of_sequence, strict=True)
    people = {sequence.person for sequence, group in pairs if tested[group] < 0}
    names = ", ".join(sorted(people))
    return [f"in the training but not tested, {TOO_FEW_TRIALS}: {names}"] if people else []


def _too_small(protocol: ProtocolName, sequences: Sequence[HopSequence]) -> ProtocolError:
    wanted, remedy = {
        "paper": ("at least two windows for each fold", "add longer trials"),
        "trial": (
            "people with at least 2 trials of each of their labels, and some with 3, so that every "
            "label of a tested person is in the training",
            "use the protocol subject, or add more trials",
        ),
        "split": ("lists of people", "give a split"),
        "subject": (
            "every label from at least 3 people, for training, validation and test",
            "use the protocol trial, or add more people",
        ),
    }[protocol]
    n_people = len({sequence.person for sequence in sequences})
    n_trials = len({(sequence.person, sequence.trial) for sequence in sequences})
    return ProtocolError(wanted, f"{n_trials} trials of {n_people} people", remedy)
