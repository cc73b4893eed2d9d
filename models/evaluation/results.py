"""What an evaluation found; plain values that go into JSON and come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

import numpy as np

from mimamba.models.evaluation.protocols import ProtocolName
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.recipes import Recipe

Smoothing: TypeAlias = Literal["plain", "smoothed"]


@dataclass(frozen=True)
class Scores:
    """Of one output: see ``metrics``. ``raw_ece`` is before the temperature, the rest after it."""

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    raw_ece: float
    ece: float
    brier: float


@dataclass(frozen=True)
class CandidateResult:
    """One candidate's row for one output.

    Parameters
    ----------
    contender, smoothing, output
        Whose, how its probabilities were read, and of what.
    mean, spread
        Over the folds: mean, and standard deviation of the sample.
    folds
        Each fold's own.
    confusion
        Hops over all folds, a row per true and a column per predicted label.
    temperatures, keeps
        Each fold's, chosen on its validation; a keep of 0 is no smoothing.
    """

    contender: str
    smoothing: Smoothing
    output: str
    mean: Scores
    spread: Scores
    folds: tuple[Scores, ...]
    confusion: tuple[tuple[int, ...], ...]
    temperatures: tuple[float, ...]
    keeps: tuple[float, ...]


@dataclass(frozen=True)
class ProtocolResult:
    """One protocol's results.

    ``n_hops`` are those tested; ``warning`` must be told with the numbers, ``notes`` say what of
    the set was left aside.
    """

    protocol: ProtocolName
    warning: str | None
    notes: tuple[str, ...]
    n_folds: int
    n_people: int
    n_trials: int
    n_hops: int
    results: tuple[CandidateResult, ...]


@dataclass(frozen=True)
class EvaluationConditions:
    """What was evaluated on what, so that a checkpoint's scores can be told to be its own.

    Parameters
    ----------
    setting
        The data.
    signal
        The windows that all candidates saw.
    recipes
        Those that were asked for, with the seed of their training.
    n_folds
        As asked for; each protocol says how many it had.
    """

    setting: DataFingerprint
    signal: SignalConfig
    recipes: tuple[Recipe, ...]
    n_folds: int


@dataclass(frozen=True)
class EvaluationReport:
    """All protocols, side by side.

    Parameters
    ----------
    data
        What was evaluated, in words.
    outputs
        With their labels.
    seed
        Of the folds, and of the permutation.
    permuted
        Whether the labels were permuted before: then all must be at chance.
    evaluations
        By protocol.
    refused
        Protocols that would say nothing true of this set, and why.
    missing
        Contenders that could not be had, a line each.
    conditions
        Where it is known what the sequences were cut from.
    """

    data: str
    outputs: dict[str, tuple[str, ...]]
    seed: int
    permuted: bool
    evaluations: tuple[ProtocolResult, ...]
    refused: dict[ProtocolName, str]
    missing: tuple[str, ...]
    conditions: EvaluationConditions | None = None


def mean_and_spread(folds: Sequence[Scores]) -> tuple[Scores, Scores]:
    """Mean, and standard deviation of the sample, of at least two folds."""
    table = np.array([[getattr(fold, f.name) for f in fields(Scores)] for fold in folds])
    return Scores(*table.mean(0).tolist()), Scores(*table.std(0, ddof=1).tolist())
