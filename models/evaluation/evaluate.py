"""Run protocols over contenders: fit, calibrate on the validation, score on the test.

Nothing is chosen on a test fold: temperatures, smoothing, epochs and settings come from the
validation, and a contender is asked by streams that have no labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.models.evaluation import metrics
from mimamba.models.evaluation.calibration import temper, temperature_of
from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassificationTask,
    split_heads,
    unlabelled,
)
from mimamba.models.evaluation.permutation import permuted
from mimamba.models.evaluation.protocols import (
    N_FOLDS,
    PROTOCOLS,
    WARNING,
    Fold,
    Plan,
    ProtocolError,
    ProtocolName,
    make_plan,
)
from mimamba.models.evaluation.results import (
    EvaluationResult,
    Report,
    Result,
    Scores,
    Smoothing,
    mean_and_spread,
)
from mimamba.models.evaluation.smoothing import choose_keep, smooth
from mimamba.models.training.hop_sequence import HopSequence


@dataclass(frozen=True)
class Step:
    """What is about to be fitted: ``done`` of ``total`` fits of this protocol are behind."""

    protocol: ProtocolName
    contender: str
    fold: int
    n_folds: int
    done: int
    total: int


OnStep: TypeAlias = Callable[[Step], None]


@dataclass(frozen=True, eq=False)
class Scored:
    """One output of one fold, read in one way."""

    scores: Scores
    confusion: NDArray[np.int64]
    temperature: float
    keep: float


def run(
    data: str,
    streams: Sequence[HopSequence],
    task: ClassificationTask,
    contenders: Sequence[Candidate],
    *,
    protocols: Sequence[ProtocolName] = PROTOCOLS,
    n_folds: int = N_FOLDS,
    seed: int = 0,
    permute: bool = False,
    missing: Sequence[str] = (),
    on_step: OnStep | None = None,
) -> Report:
    """Evaluate under each protocol; one that the set is not fit for is refused with its reason.

    Parameters
    ----------
    data
        What the streams are, in words.
    streams
        One for each trial, with its person.
    task
        The outputs and the windows.
    contenders
        Each is fitted anew for each fold.
    protocols, n_folds, seed
        See ``make_plan``.
    permute
        Whether to permute the labels first: all must then be at chance.
    missing
        What to say of contenders that could not be had.
    on_step
        Called before each fit.

    Raises
    ------
    ValueError
        If two contenders have one name.
    """
    names = [contender.name for contender in contenders]
    if len(set(names)) < len(names):
        raise ValueError(f"each contender has a name of its own; found {', '.join(names)}")
    evaluations, refused = [], {}
    for protocol in protocols:
        chosen = permuted(protocol, streams, seed) if permute else streams
        try:
            plan = make_plan(protocol, chosen, n_folds, seed)
        except ProtocolError as error:
            refused[protocol] = str(error)
        else:
            evaluations.append(evaluate(protocol, plan, task, contenders, on_step))
    return Report(
        data, dict(task.outputs), seed, permute, tuple(evaluations), refused, tuple(missing)
    )


def evaluate(
    protocol: ProtocolName,
    plan: Plan,
    task: ClassificationTask,
    contenders: Sequence[Candidate],
    on_step: OnStep | None = None,
) -> EvaluationResult:
    """Run one protocol.

    Under ``paper`` hops have no neighbours: what carries a state is passed over, and nothing is
    smoothed.
    """
    if protocol == "paper":
        contenders = [contender for contender in contenders if not contender.carries]
    ways: tuple[Smoothing, ...] = ("plain",) if protocol == "paper" else ("plain", "smoothed")
    found: dict[tuple[str, Smoothing], list[list[Scored]]] = {}
    for number, fold in enumerate(plan.folds):
        parts = _parts(plan, fold)
        for place, contender in enumerate(contenders):
            if on_step is not None:
                n_folds, n = len(plan.folds), len(contenders)
                done = number * n + place
                on_step(Step(protocol, contender.name, number + 1, n_folds, done, n_folds * n))
            for way, scored in zip(ways, _score(contender, parts, task, ways), strict=True):
                found.setdefault((contender.name, way), []).append(scored)
    tested = [plan.streams[i] for fold in plan.folds for i in fold.test]
    return EvaluationResult(
        protocol=protocol,
        warning=WARNING if protocol == "paper" else None,
        notes=plan.notes,
        n_folds=len(plan.folds),
        n_people=len({stream.person for stream in tested}),
        n_trials=len({(stream.person, stream.trial) for stream in tested}),
        n_hops=sum(len(stream.windows) for stream in tested),
        results=tuple(
            _collect(name, way, output, [scored[i] for scored in folds])
            for (name, way), folds in found.items()
            for i, output in enumerate(task.outputs)
        ),
    )


@dataclass(frozen=True, eq=False)
class FoldStreams:
    """A fold's streams; ``whole`` is training and validation together."""

    train: list[HopSequence]
    validation: list[HopSequence]
    test: list[HopSequence]
    whole: list[HopSequence]


def _parts(plan: Plan, fold: Fold) -> FoldStreams:
    train, validation, test = (
        [plan.streams[i] for i in part] for part in (fold.train, fold.validation, fold.test)
    )
    return FoldStreams(train, validation, test, train + validation)


def _score(
    contender: Candidate, parts: FoldStreams, task: ClassificationTask, ways: Sequence[Smoothing]
) -> list[list[Scored]]:
    """By way, then by output.

    What is chosen on the validation is chosen by answers of a contender that has not learnt from
    it; then it learns from all that is not tested.
    """
    validation, test = parts.validation, parts.test
    contender.fit(parts.train, validation)
    known = contender.probabilities(unlabelled(validation))
    contender.refit(parts.whole)
    said = contender.probabilities(unlabelled(test))
    known_labels, labels = (np.concatenate([s.labels for s in part]) for part in (validation, test))
    found = []
    for way in ways:
        keep = choose_keep(known, validation, task.sizes) if way == "smoothed" else 0.0
        known_heads = split_heads(_smoothed(known, validation, keep), task.sizes)
        heads = split_heads(_smoothed(said, test, keep), task.sizes)
        columns = zip(known_labels.T, labels.T, known_heads, heads, strict=True)
        found.append([_score_output(*column, keep) for column in columns])
    return found


def _smoothed(
    probabilities: Sequence[NDArray[np.float64]], streams: Sequence[HopSequence], keep: float
) -> NDArray[np.float64]:
    """All streams' hops in a row."""
    pairs = zip(probabilities, streams, strict=True)
    return np.concatenate([smooth(p, stream.restart, keep) for p, stream in pairs])


def _score_output(
    known_labels: NDArray[np.int64],
    labels: NDArray[np.int64],
    known: NDArray[np.float64],
    said: NDArray[np.float64],
    keep: float,
) -> Scored:
    """Score what was said of the test, with the temperature of what is known."""
    temperature = temperature_of(known_labels, known)
    calibrated = temper(said, temperature)
    matrix = metrics.confusion(labels, said)
    scores = Scores(
        accuracy=metrics.accuracy(matrix),
        balanced_accuracy=metrics.balanced_accuracy(matrix),
        macro_f1=metrics.macro_f1(matrix),
        raw_ece=metrics.calibration_error(labels, said),
        ece=metrics.calibration_error(labels, calibrated),
        brier=metrics.brier(labels, calibrated),
    )
    return Scored(scores, matrix, temperature, keep)


def _collect(name: str, way: Smoothing, output: str, folds: Sequence[Scored]) -> Result:
    mean, spread = mean_and_spread([fold.scores for fold in folds])
    matrix = np.sum([fold.confusion for fold in folds], axis=0)
    return Result(
        contender=name,
        smoothing=way,
        output=output,
        mean=mean,
        spread=spread,
        folds=tuple(fold.scores for fold in folds),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        temperatures=tuple(fold.temperature for fold in folds),
        keeps=tuple(fold.keep for fold in folds),
    )
