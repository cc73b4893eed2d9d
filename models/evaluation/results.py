"""Results of an evaluation, as plain values stored in JSON.

The fields' names are those of the stored files.
"""

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
    """Scores of one output, see ``metrics``; ``raw_ece`` is before temperature scaling."""

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    raw_ece: float
    ece: float
    brier: float


@dataclass(frozen=True)
class CandidateResult:
    """Result of one candidate for one output.

    Parameters
    ----------
    contender, smoothing, output
        Name of the candidate, the treatment of its probabilities, and the output.
    mean, spread
        Mean and sample standard deviation over the folds.
    folds
        Scores of each fold.
    confusion
        Number of hops over all folds, a row per true and a column per predicted label.
    temperatures, keeps
        Temperature and smoothing of each fold, chosen on its validation set; a keep of 0 is no
        smoothing.
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
    """Results of one protocol.

    ``n_people``, ``n_trials`` and ``n_hops`` count what was tested. ``warning`` must be shown with
    the numbers; ``notes`` list what was left out.
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
    """Data and settings of an evaluation, to check that scores belong to a checkpoint.

    Parameters
    ----------
    setting
        Fingerprint of the data.
    signal
        Preprocessing and windows of all candidates.
    recipes
        The evaluated recipes, with their training seed.
    n_folds
        Requested number of folds; each protocol reports its own.
    """

    setting: DataFingerprint
    signal: SignalConfig
    recipes: tuple[Recipe, ...]
    n_folds: int


@dataclass(frozen=True)
class EvaluationReport:
    """Report of an evaluation under several protocols.

    Parameters
    ----------
    data
        Description of the data.
    outputs
        Labels by output.
    seed
        Seed of the folds and the permutation.
    permuted
        True if the labels were permuted; all results should then be at chance.
    evaluations
        Results of each protocol.
    refused
        Reasons by protocol that does not suit the data.
    missing
        A line for each candidate that was not available.
    conditions
        Data and settings, if known.
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
    """Return the mean and the sample standard deviation of at least two folds."""
    table = np.array([[getattr(fold, f.name) for f in fields(Scores)] for fold in folds])
    return Scores(*table.mean(0).tolist()), Scores(*table.std(0, ddof=1).tolist())
