"""Results of an evaluation, as plain values stored in JSON.

The fields' names are those of the stored files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

import numpy as np

from mimamba.models.conformal.set_scores import SetScores
from mimamba.models.evaluation.protocols import ProtocolName
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.recipes import Recipe

Smoothing: TypeAlias = Literal["plain", "smoothed"]
ACAUSAL = "looks ahead: its answers change with later hops, so no session can have its scores"
PERMUTED = "labels are permuted: every row should be at chance"


@dataclass(frozen=True)
class Scores:
    """Scores of one output, see ``metrics``; ``raw_ece`` is before temperature scaling.

    ``weighted_f1`` is None in files of releases that did not have it.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    raw_ece: float
    ece: float
    brier: float
    weighted_f1: float | None = None


@dataclass(frozen=True)
class RiskPoint:
    """Share of wrong hops (``risk``) among the most certain share of all hops (``coverage``)."""

    coverage: float
    risk: float


@dataclass(frozen=True)
class CandidateResult:
    """Result of one candidate for one output.

    Parameters
    ----------
    contender, smoothing, output
        Name of the candidate, the treatment of its probabilities, and the output.
    mean, spread
        Mean and sample standard deviation over the folds; the spread is None with a single fold.
    folds
        Scores of each fold.
    confusion
        Number of hops over all folds, a row per true and a column per predicted label.
    temperatures, keeps
        Temperature and smoothing of each fold, chosen on its validation set (the smoothing by the
        live reading, where there is one); a keep of 0 is no smoothing.
    differs
        Differences from the published figures of a split, in words.
    risks
        Mean over the folds of the share of wrong hops among the most certain ones.
    sets
        Scores of prediction sets, mean over the folds; None in files of releases without them.
    """

    contender: str
    smoothing: Smoothing
    output: str
    mean: Scores
    spread: Scores | None
    folds: tuple[Scores, ...]
    confusion: tuple[tuple[int, ...], ...]
    temperatures: tuple[float, ...]
    keeps: tuple[float, ...]
    differs: tuple[str, ...] = ()
    risks: tuple[RiskPoint, ...] = ()
    sets: SetScores | None = None

    @property
    def title(self) -> str:
        """Name of its row."""
        return self.contender + (", smoothed" if self.smoothing == "smoothed" else "")


@dataclass(frozen=True)
class LiveScores:
    """Scores of one output over streams that change their label, see ``live_reading``.

    Parameters
    ----------
    balanced_accuracy
        Over all hops.
    steady_accuracy
        Over the last 20 s of each part; the mean of the labels.
    latency
        Mean seconds until a switch is followed, at most 60; None without any switch.
    missed
        Share of the switches not followed within 60 s; None without any switch.
    """

    balanced_accuracy: float
    steady_accuracy: float
    latency: float | None
    missed: float | None


@dataclass(frozen=True)
class LivePoint:
    """Live scores at one strength of smoothing."""

    keep: float
    scores: LiveScores


@dataclass(frozen=True)
class LiveResult:
    """Live reading of one candidate for one output.

    Parameters
    ----------
    contender, output
        Name of the candidate, and the output.
    mean, spread
        Mean and sample standard deviation over the folds, at the keep chosen in each fold. The
        spread is None with a single fold.
    folds
        Scores of each fold.
    keeps
        Smoothing of each fold, chosen by the live reading of its validation set.
    r
        Gate of the carried state in each fold; empty for candidates without one.
    curve
        Mean over the folds at every strength of smoothing, nothing chosen.
    """

    contender: str
    output: str
    mean: LiveScores
    spread: LiveScores | None
    folds: tuple[LiveScores, ...]
    keeps: tuple[float, ...]
    r: tuple[float, ...]
    curve: tuple[LivePoint, ...]


@dataclass(frozen=True)
class SplitFacts:
    """Split by which people were divided.

    Parameters
    ----------
    name
        Name of the split, or of its file.
    missing
        People of the split who are not in the data.
    figures
        Published figures in words, or None.
    """

    name: str
    missing: tuple[str, ...]
    figures: str | None


@dataclass(frozen=True)
class ProtocolResult:
    """Results of one protocol.

    ``n_people``, ``n_trials`` and ``n_hops`` count what was tested. ``warning`` must be shown with
    the numbers; ``notes`` list what was left out. ``live`` is empty where no stream changes its
    label, and under ``paper``. ``split`` is set if people were divided by a split.
    ``acausal`` names the candidates whose answers depend on later hops.
    """

    protocol: ProtocolName
    warning: str | None
    notes: tuple[str, ...]
    n_folds: int
    n_people: int
    n_trials: int
    n_hops: int
    results: tuple[CandidateResult, ...]
    live: tuple[LiveResult, ...] = ()
    split: SplitFacts | None = None
    acausal: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name of its rows, marked if its numbers leak."""
        if self.split is not None:
            return self.split.name
        return f"{self.protocol} (leaks)" if self.warning else self.protocol


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

    @property
    def warnings(self) -> list[str]:
        """Warnings to show before the numbers."""
        found = [f"WARNING: {e.warning}" for e in self.evaluations if e.warning]
        ahead = dict.fromkeys(name for e in self.evaluations for name in e.acausal)
        found += [f"WARNING: {name} {ACAUSAL}" for name in ahead]
        return [*found, *([f"WARNING: {PERMUTED}"] if self.permuted else [])]


def mean_and_spread(folds: Sequence[Scores]) -> tuple[Scores, Scores | None]:
    """Return the mean and the sample standard deviation of the folds, None for a single one."""

    def reduce(function: Callable[[Sequence[float]], np.floating | float]) -> Scores:
        names = [f.name for f in fields(Scores)]
        columns = {name: [getattr(fold, name) for fold in folds] for name in names}
        return Scores(
            **{k: float(function(column)) for k, column in columns.items() if None not in column}
        )

    return reduce(np.mean), reduce(_deviation) if len(folds) > 1 else None


def mean_live(folds: Sequence[LiveScores]) -> LiveScores:
    """Return the mean of the folds; latencies are of the folds that have switches."""
    return _over_folds(folds, np.mean)


def spread_live(folds: Sequence[LiveScores]) -> LiveScores | None:
    """Return the sample standard deviation of the folds, or None if there is only one."""
    return _over_folds(folds, _deviation) if len(folds) > 1 else None


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _over_folds(
    folds: Sequence[LiveScores], reduce: Callable[[Sequence[float]], np.floating | float]
) -> LiveScores:
    def column(name: str) -> list[float]:
        values = (getattr(fold, name) for fold in folds)
        return [value for value in values if value is not None]

    def optional(name: str) -> float | None:
        return float(reduce(column(name))) if column(name) else None

    return LiveScores(
        float(reduce(column("balanced_accuracy"))),
        float(reduce(column("steady_accuracy"))),
        optional("latency"),
        optional("missed"),
    )
