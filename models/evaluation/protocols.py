"""What is learnt from, chosen by and scored on: three protocols, side by side.

``paper``
    Random windows. Windows of one trial are in the training and in the test, so that recognising
    the trial passes for recognising its label. For comparison with published figures only.
``trial``
    Whole trials are left out; the same person's other trials are learnt from.
``subject``
    Whole people are left out.

The validation is always a part of what is not tested, cut by the same units.
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

ProtocolName: TypeAlias = Literal["paper", "trial", "subject"]
PROTOCOLS: tuple[ProtocolName, ...] = ("paper", "trial", "subject")
N_FOLDS = 5
WARNING = (
    "protocol paper leaks: windows of one trial are both learnt from and tested, so that "
    "recognising the trial passes for recognising its label. About 87 % of 101 papers on DEAP "
    "leak, by up to 46 points (arXiv 2508.02417); one model falls from 92.2 % to 57.7 % when the "
    "split respects trials. For comparison with published figures only."
)
"""Of the protocol ``paper``; it goes wherever its numbers go."""

TOO_FEW_TRIALS = "as some of their labels are in too few trials"


class ProtocolError(Mismatch, ValueError):
    """A protocol would say nothing true of these sequences; one clear line."""


@dataclass(frozen=True)
class Fold:
    """Indices of a plan's sequences; none is in two parts."""

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
    """Cut sequences into folds.

    Parameters
    ----------
    protocol
        See the module.
    sequences
        Trials with their people; those without a hop are left out.
    n_folds
        At most so many, at least 2: with fewer people (trials of a person) one is left out each
        time.
    seed
        The same seed gives the same folds.

    Raises
    ------
    ProtocolError
        If the set is too small for the protocol, or lets no fold learn every label.
    """
    if n_folds < 2:
        raise ProtocolError("at least 2 folds", f"{n_folds}", "correct the number of folds")
    kept = [sequence for sequence in sequences if len(sequence.windows)]
    empty = len(sequences) - len(kept)
    notes = [f"{empty} trials have no good hop"] if empty else []
    rng = np.random.default_rng(seed)
    if protocol == "paper":
        return Splits(*_paper(kept, n_folds, rng), tuple(notes))
    units = person_groups(kept) if protocol == "subject" else trial_groups(kept)
    tested = assign_folds(units, n_folds, rng)
    if protocol == "trial":
        notes += _say_untested(kept, units, tested)
    if tested.max(initial=-1) < 1:
        raise _too_small(protocol, kept)
    folds = []
    for fold in range(tested.max() + 1):
        rest = np.flatnonzero(tested != fold)
        chosen = rest[hold_out_validation(units.counts[rest], units.owner[rest], rng)]
        parts = (np.setdiff1d(rest, chosen), chosen, np.flatnonzero(tested == fold))
        if not len(chosen) or not covers_labels(units, parts[0]):
            raise _too_small(protocol, kept)
        folds.append(Fold(*(members(units, part) for part in parts)))
    return Splits(tuple(kept), tuple(folds), tuple(notes))


def _paper(
    sequences: Sequence[HopSequence], n_folds: int, rng: np.random.Generator
) -> tuple[tuple[HopSequence, ...], tuple[Fold, ...]]:
    """Deal single hops at random."""
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


def _say_untested(
    sequences: Sequence[HopSequence], units: Groups, tested: NDArray[np.int64]
) -> list[str]:
    who = {s.person for s, unit in zip(sequences, units.of, strict=True) if tested[unit] < 0}
    return (
        [f"learnt from but not tested, {TOO_FEW_TRIALS}: {', '.join(sorted(who))}"] if who else []
    )


def _too_small(protocol: ProtocolName, sequences: Sequence[HopSequence]) -> ProtocolError:
    wanted, remedy = {
        "paper": ("at least two windows for each fold", "bring longer trials"),
        "trial": (
            "people with at least 2 trials of each of their labels, and some with 3, as a model "
            "that knows the person would else be misled instead of tested",
            "use protocol subject, or bring more trials",
        ),
        "subject": (
            "every label of at least 3 people: to learn from, to choose by and to test",
            "use protocol trial, or bring more people",
        ),
    }[protocol]
    n_people = len({sequence.person for sequence in sequences})
    n_trials = len({(sequence.person, sequence.trial) for sequence in sequences})
    return ProtocolError(wanted, f"{n_trials} trials of {n_people} people", remedy)
