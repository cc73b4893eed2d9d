"""Run protocols over candidates: fit, calibrate on the validation, score on the test.

Nothing is chosen on a test fold: temperatures, smoothing, epochs and settings come from the
validation, and a candidate is asked by sequences that have no labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.models.datasets.dataset import Dataset
from mimamba.models.evaluation import metrics
from mimamba.models.evaluation.calibration import apply_temperature, fit_probability_temperature
from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassificationTask,
    split_outputs,
    without_labels,
)
from mimamba.models.evaluation.candidates.candidate_set import CandidateSet
from mimamba.models.evaluation.permutation import permute_labels
from mimamba.models.evaluation.protocols import (
    N_FOLDS,
    PROTOCOLS,
    WARNING,
    Fold,
    ProtocolError,
    ProtocolName,
    Splits,
    make_splits,
)
from mimamba.models.evaluation.results import (
    CandidateResult,
    EvaluationConditions,
    EvaluationReport,
    ProtocolResult,
    Scores,
    Smoothing,
    mean_and_spread,
)
from mimamba.models.evaluation.smoothing import choose_keep, smooth
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.windowing import HopSequence, cut_hops


@dataclass(frozen=True)
class EvaluationProgress:
    """What is about to be fitted: ``done`` of ``total`` fits of this protocol are behind."""

    protocol: ProtocolName
    candidate: str
    fold: int
    n_folds: int
    done: int
    total: int


OnEvaluationProgress: TypeAlias = Callable[[EvaluationProgress], None]


@dataclass(frozen=True, eq=False)
class FoldScores:
    """One output of one fold, read in one way."""

    scores: Scores
    confusion: NDArray[np.int64]
    temperature: float
    keep: float


def evaluate_dataset(
    dataset: Dataset,
    field: CandidateSet,
    baseline: float = 0.0,
    *,
    protocols: Sequence[ProtocolName] = PROTOCOLS,
    n_folds: int = N_FOLDS,
    seed: int = 0,
    permute: bool = False,
    on_step: OnEvaluationProgress | None = None,
) -> EvaluationReport:
    """Judge a field on a data set; see ``evaluate.run``.

    Parameters
    ----------
    dataset
        The trials.
    field
        Who is judged.
    baseline
        Seconds of each person's rest by which windows are aligned; 0 for none.
    seed
        Of the folds, the permutation and every training.

    Raises
    ------
    DatasetError
        If there is too little rest.
    SignalError
        If the set's rate does not serve.
    """
    recipes = tuple(
        replace(recipe, training=replace(recipe.training, seed=seed)) for recipe in field.recipes
    )
    signal = max((recipe.signal for recipe in recipes), key=lambda signal: signal.window)
    setting = DataFingerprint.of(dataset, baseline)
    task = ClassificationTask(setting.outputs, setting.electrodes, signal)
    candidates, missing = replace(field, recipes=recipes).candidates(task, seed)
    report = evaluate_sequences(
        _words(dataset, setting),
        cut_hops(dataset, signal, baseline),
        task,
        candidates,
        protocols=protocols,
        n_folds=n_folds,
        seed=seed,
        permute=permute,
        missing=missing,
        on_step=on_step,
    )
    return replace(report, conditions=EvaluationConditions(setting, signal, recipes, n_folds))


def _words(dataset: Dataset, setting: DataFingerprint) -> str:
    text = (
        f"{dataset.name}: {len(dataset.trials)} trials of {len(dataset.people)} people, "
        f"{', '.join(dataset.info.ch_names)}"
    )
    return f"{text}, baseline {setting.baseline:g} s" if setting.baseline else text


def evaluate_sequences(
    data: str,
    sequences: Sequence[HopSequence],
    task: ClassificationTask,
    candidates: Sequence[Candidate],
    *,
    protocols: Sequence[ProtocolName] = PROTOCOLS,
    n_folds: int = N_FOLDS,
    seed: int = 0,
    permute: bool = False,
    missing: Sequence[str] = (),
    on_step: OnEvaluationProgress | None = None,
) -> EvaluationReport:
    """Evaluate under each protocol; one that the set is not fit for is refused with its reason.

    Parameters
    ----------
    data
        What the sequences are, in words.
    sequences
        One for each trial, with its person.
    task
        The outputs and the windows.
    candidates
        Each is fitted anew for each fold.
    protocols, n_folds, seed
        See ``make_splits``.
    permute
        Whether to permute the labels first: all must then be at chance.
    missing
        What to say of candidates that could not be had.
    on_step
        Called before each fit.

    Raises
    ------
    ValueError
        If two candidates have one name.
    """
    names = [candidate.name for candidate in candidates]
    if len(set(names)) < len(names):
        raise ValueError(f"each candidate has a name of its own; found {', '.join(names)}")
    evaluations, refused = [], {}
    for protocol in protocols:
        chosen = permute_labels(protocol, sequences, seed) if permute else sequences
        try:
            plan = make_splits(protocol, chosen, n_folds, seed)
        except ProtocolError as error:
            refused[protocol] = str(error)
        else:
            evaluations.append(evaluate_protocol(protocol, plan, task, candidates, on_step))
    return EvaluationReport(
        data, dict(task.outputs), seed, permute, tuple(evaluations), refused, tuple(missing)
    )


def evaluate_protocol(
    protocol: ProtocolName,
    plan: Splits,
    task: ClassificationTask,
    candidates: Sequence[Candidate],
    on_step: OnEvaluationProgress | None = None,
) -> ProtocolResult:
    """Run one protocol.

    Under ``paper`` hops have no neighbours: what carries a state is passed over, and nothing is
    smoothed.
    """
    if protocol == "paper":
        candidates = [candidate for candidate in candidates if not candidate.carries_state]
    ways: tuple[Smoothing, ...] = ("plain",) if protocol == "paper" else ("plain", "smoothed")
    found: dict[tuple[str, Smoothing], list[list[FoldScores]]] = {}
    for number, fold in enumerate(plan.folds):
        parts = _parts(plan, fold)
        for place, candidate in enumerate(candidates):
            if on_step is not None:
                n_folds, n = len(plan.folds), len(candidates)
                done = number * n + place
                on_step(
                    EvaluationProgress(
                        protocol, candidate.name, number + 1, n_folds, done, n_folds * n
                    )
                )
            for way, scored in zip(ways, _score(candidate, parts, task, ways), strict=True):
                found.setdefault((candidate.name, way), []).append(scored)
    tested = [plan.sequences[i] for fold in plan.folds for i in fold.test]
    return ProtocolResult(
        protocol=protocol,
        warning=WARNING if protocol == "paper" else None,
        notes=plan.notes,
        n_folds=len(plan.folds),
        n_people=len({sequence.person for sequence in tested}),
        n_trials=len({(sequence.person, sequence.trial) for sequence in tested}),
        n_hops=sum(len(sequence.windows) for sequence in tested),
        results=tuple(
            _collect(name, way, output, [scored[i] for scored in folds])
            for (name, way), folds in found.items()
            for i, output in enumerate(task.outputs)
        ),
    )


@dataclass(frozen=True, eq=False)
class FoldSequences:
    """A fold's sequences; ``whole`` is training and validation together."""

    train: list[HopSequence]
    validation: list[HopSequence]
    test: list[HopSequence]
    whole: list[HopSequence]


def _parts(plan: Splits, fold: Fold) -> FoldSequences:
    train, validation, test = (
        [plan.sequences[i] for i in part] for part in (fold.train, fold.validation, fold.test)
    )
    return FoldSequences(train, validation, test, train + validation)


def _score(
    candidate: Candidate, parts: FoldSequences, task: ClassificationTask, ways: Sequence[Smoothing]
) -> list[list[FoldScores]]:
    """By way, then by output.

    What is chosen on the validation is chosen by answers of a candidate that has not learnt from
    it; then it learns from all that is not tested.
    """
    validation, test = parts.validation, parts.test
    candidate.fit(parts.train, validation)
    known = candidate.probabilities(without_labels(validation))
    candidate.refit(parts.whole)
    said = candidate.probabilities(without_labels(test))
    known_labels, labels = (np.concatenate([s.labels for s in part]) for part in (validation, test))
    found = []
    for way in ways:
        keep = choose_keep(known, validation, task.sizes) if way == "smoothed" else 0.0
        known_heads = split_outputs(_smoothed(known, validation, keep), task.sizes)
        heads = split_outputs(_smoothed(said, test, keep), task.sizes)
        columns = zip(known_labels.T, labels.T, known_heads, heads, strict=True)
        found.append([_score_output(*column, keep) for column in columns])
    return found


def _smoothed(
    probabilities: Sequence[NDArray[np.float64]], sequences: Sequence[HopSequence], keep: float
) -> NDArray[np.float64]:
    """All sequences' hops in a row."""
    pairs = zip(probabilities, sequences, strict=True)
    return np.concatenate([smooth(p, sequence.restart, keep) for p, sequence in pairs])


def _score_output(
    known_labels: NDArray[np.int64],
    labels: NDArray[np.int64],
    known: NDArray[np.float64],
    said: NDArray[np.float64],
    keep: float,
) -> FoldScores:
    """Score what was said of the test, with the temperature of what is known."""
    temperature = fit_probability_temperature(known_labels, known)
    calibrated = apply_temperature(said, temperature)
    matrix = metrics.confusion(labels, said)
    scores = Scores(
        accuracy=metrics.accuracy(matrix),
        balanced_accuracy=metrics.balanced_accuracy(matrix),
        macro_f1=metrics.macro_f1(matrix),
        raw_ece=metrics.calibration_error(labels, said),
        ece=metrics.calibration_error(labels, calibrated),
        brier=metrics.brier(labels, calibrated),
    )
    return FoldScores(scores, matrix, temperature, keep)


def _collect(
    name: str, way: Smoothing, output: str, folds: Sequence[FoldScores]
) -> CandidateResult:
    mean, spread = mean_and_spread([fold.scores for fold in folds])
    matrix = np.sum([fold.confusion for fold in folds], axis=0)
    return CandidateResult(
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
