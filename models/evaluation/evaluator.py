"""Evaluation of candidates under protocols: fit, calibrate on validation, score on test folds.

Nothing is chosen on a test fold. Temperatures, smoothing, epochs and settings come from the
validation set, and candidates predict sequences that carry no labels. Smoothing and the gate r are
chosen by the live reading of the validation set, where its people have several labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.models.conformal.set_scores import SetScores, mean_set_scores, score_sets
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
from mimamba.models.evaluation.candidates.recipe_candidates import RecipeCandidate
from mimamba.models.evaluation.causality import uses_future
from mimamba.models.evaluation.live_reading import live_probabilities, trace_curve
from mimamba.models.evaluation.live_streams import LiveStream, has_switches, join_streams
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
    LivePoint,
    LiveResult,
    ProtocolResult,
    RiskPoint,
    Scores,
    Smoothing,
    SplitFacts,
    mean_and_spread,
    mean_live,
    spread_live,
)
from mimamba.models.evaluation.smoothing import choose_keep, smooth
from mimamba.models.evaluation.splits import PeopleSplit, list_differences, split_people
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.windowing import HopSequence, cut_hops


@dataclass(frozen=True)
class EvaluationProgress:
    """Progress before a fit: ``done`` of the protocol's ``total`` fits are finished."""

    protocol: ProtocolName
    candidate: str
    fold: int
    n_folds: int
    done: int
    total: int


EARLIER_WINDOWS = "uses earlier windows, not one window alone"
OnEvaluationProgress: TypeAlias = Callable[[EvaluationProgress], None]


@dataclass(frozen=True, eq=False)
class FoldScores:
    """Scores of one output in one fold, with or without smoothing."""

    scores: Scores
    confusion: NDArray[np.int64]
    temperature: float
    keep: float
    risks: list[float]
    sets: SetScores


@dataclass(frozen=True, eq=False)
class FoldLive:
    """Live reading of one output in one fold: a point for each keep, and the keep chosen."""

    curve: tuple[LivePoint, ...]
    keep: float
    r: float | None


@dataclass(frozen=True, eq=False)
class FoldResult:
    """Scores of a candidate in one fold: by way of smoothing and output, and live by output."""

    blocks: dict[Smoothing, list[FoldScores]]
    live: list[FoldLive]


def evaluate_dataset(
    dataset: Dataset,
    candidate_set: CandidateSet,
    baseline: float = 0.0,
    *,
    protocols: Sequence[ProtocolName] = PROTOCOLS,
    n_folds: int = N_FOLDS,
    seed: int = 0,
    permute: bool = False,
    split: PeopleSplit | None = None,
    threshold: float | None = None,
    on_progress: OnEvaluationProgress | None = None,
) -> EvaluationReport:
    """Evaluate recipes and their comparisons on a data set.

    Parameters
    ----------
    dataset
        The trials.
    candidate_set
        The recipes, and the comparisons to evaluate with them.
    baseline
        Seconds of each person's rest by which windows are aligned; 0 for none.
    protocols, n_folds, permute, on_progress
        See ``evaluate_sequences``.
    seed
        Seed of the folds, the permutation and every training.
    split
        Split of the people, evaluated in place of the protocols; None for the protocols.
    threshold
        Rating above which a label is high, to say whether it is that of the split's figures.

    Raises
    ------
    DatasetError
        If a person has too little rest.
    SplitError
        If the split does not suit the data.
    SignalError
        If the sampling rate is not supported.
    """
    recipes = tuple(
        replace(recipe, training=replace(recipe.training, seed=seed))
        for recipe in candidate_set.recipes
    )
    signal = max((recipe.signal for recipe in recipes), key=lambda signal: signal.window)
    setting = DataFingerprint.of(dataset, baseline)
    task = ClassificationTask(setting.outputs, setting.electrodes, signal)
    candidates, missing = replace(candidate_set, recipes=recipes).candidates(task, seed)
    words = _words(dataset, setting)
    sequences = cut_hops(dataset, signal, baseline)
    if split is not None:
        result = evaluate_split(
            split,
            permute_labels("split", sequences, seed) if permute else sequences,
            task,
            candidates,
            list_differences(split, task, baseline, threshold),
            seed,
            on_progress,
        )
        report = EvaluationReport(
            words, dict(task.outputs), seed, permute, (result,), {}, tuple(missing)
        )
    else:
        report = evaluate_sequences(
            words,
            sequences,
            task,
            candidates,
            protocols=protocols,
            n_folds=n_folds,
            seed=seed,
            permute=permute,
            missing=missing,
            on_progress=on_progress,
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
    on_progress: OnEvaluationProgress | None = None,
) -> EvaluationReport:
    """Evaluate candidates under each protocol; unsuitable protocols are reported with the reason.

    Parameters
    ----------
    data
        Description of the data, for the report.
    sequences
        One per trial, with its person.
    task
        The outputs and the windows.
    candidates
        Candidates, each fitted again in every fold.
    protocols, n_folds, seed
        See ``make_splits``.
    permute
        Permute the labels first; all results should then be at chance.
    missing
        A line for each candidate that is not available.
    on_progress
        Called before each fit.

    Raises
    ------
    ValueError
        If two candidates have the same name.
    """
    names = [candidate.name for candidate in candidates]
    if len(set(names)) < len(names):
        raise ValueError(f"Expected candidates with different names, found {', '.join(names)}.")
    evaluations, refused = [], {}
    for protocol in protocols:
        chosen = permute_labels(protocol, sequences, seed) if permute else sequences
        try:
            plan = make_splits(protocol, chosen, n_folds, seed)
        except ProtocolError as error:
            refused[protocol] = str(error)
        else:
            evaluations.append(evaluate_protocol(protocol, plan, task, candidates, on_progress))
    return EvaluationReport(
        data, dict(task.outputs), seed, permute, tuple(evaluations), refused, tuple(missing)
    )


def evaluate_split(
    split: PeopleSplit,
    sequences: Sequence[HopSequence],
    task: ClassificationTask,
    candidates: Sequence[Candidate],
    differences: Sequence[str] = (),
    seed: int = 0,
    on_progress: OnEvaluationProgress | None = None,
) -> ProtocolResult:
    """Evaluate candidates on a split of the people; each row says what differs from its figures.

    Parameters
    ----------
    split
        The split; people of it who are not there are named in the result.
    sequences, task, candidates, on_progress
        As for ``evaluate_sequences``.
    differences
        What differs for all rows, see ``list_differences``.
    seed
        Seed by which people are held out for validation, where the split names none.

    Raises
    ------
    SplitError
        If the split does not suit the data.
    """
    plan = split_people(split, sequences, seed)
    result = evaluate_protocol("split", plan, task, candidates, on_progress)
    missing = split.missing({s.person for s in plan.sequences})
    carrying = {candidate.name for candidate in candidates if candidate.carries_state}

    def differs(row: CandidateResult) -> tuple[str, ...]:
        if split.published is None:
            return ()
        uses_past = row.smoothing == "smoothed" or row.contender in carrying
        absent = [f"{len(missing)} people of the split are missing"] if missing else []
        return (*absent, *differences, *([EARLIER_WINDOWS] if uses_past else []))

    figures = split.published.figures if split.published else None
    return replace(
        result,
        split=SplitFacts(split.name, missing, figures),
        results=tuple(replace(row, differs=differs(row)) for row in result.results),
    )


def evaluate_protocol(
    protocol: ProtocolName,
    plan: Splits,
    task: ClassificationTask,
    candidates: Sequence[Candidate],
    on_progress: OnEvaluationProgress | None = None,
) -> ProtocolResult:
    """Evaluate candidates under one protocol.

    Under ``paper`` hops have no neighbours: candidates that carry a state are left out, and nothing
    is smoothed.
    """
    if protocol == "paper":
        candidates = [candidate for candidate in candidates if not candidate.carries_state]
    ways: tuple[Smoothing, ...] = ("plain",) if protocol == "paper" else ("plain", "smoothed")
    found: dict[str, list[FoldResult]] = {candidate.name: [] for candidate in candidates}
    for number, fold in enumerate(plan.folds):
        parts = _parts(plan, fold, protocol)
        for place, candidate in enumerate(candidates):
            if on_progress is not None:
                n_folds, n = len(plan.folds), len(candidates)
                done = number * n + place
                on_progress(
                    EvaluationProgress(
                        protocol, candidate.name, number + 1, n_folds, done, n_folds * n
                    )
                )
            found[candidate.name].append(_score(candidate, parts, task, ways))
    tested = [plan.sequences[i] for fold in plan.folds for i in fold.test]
    longest = max(tested, key=lambda sequence: len(sequence.windows))
    return ProtocolResult(
        protocol=protocol,
        warning=WARNING if protocol == "paper" else None,
        notes=plan.notes,
        n_folds=len(plan.folds),
        n_people=len({sequence.person for sequence in tested}),
        n_trials=len({(sequence.person, sequence.trial) for sequence in tested}),
        n_hops=sum(len(sequence.windows) for sequence in tested),
        results=tuple(
            _collect(name, way, output, [fold.blocks[way][i] for fold in folds])
            for name, folds in found.items()
            for way in ways
            for i, output in enumerate(task.outputs)
        ),
        live=tuple(
            _collect_live(name, output, [fold.live[i] for fold in folds if fold.live])
            for name, folds in found.items()
            for i, output in enumerate(task.outputs)
            if any(fold.live for fold in folds)
        ),
        acausal=tuple(each.name for each in candidates if uses_future(each, longest)),
    )


@dataclass(frozen=True, eq=False)
class FoldSequences:
    """Sequences of a fold; ``whole`` is training and validation together.

    ``known_streams`` and ``streams`` are those of the validation and test sets for the live
    reading; each is empty where no stream changes its label.
    """

    train: list[HopSequence]
    validation: list[HopSequence]
    test: list[HopSequence]
    whole: list[HopSequence]
    known_streams: list[LiveStream]
    streams: list[LiveStream]


def _parts(plan: Splits, fold: Fold, protocol: ProtocolName) -> FoldSequences:
    train, validation, test = (
        [plan.sequences[i] for i in part] for part in (fold.train, fold.validation, fold.test)
    )
    known, streams = ([] if protocol == "paper" else _streams(part) for part in (validation, test))
    return FoldSequences(train, validation, test, train + validation, known, streams)


def _streams(sequences: Sequence[HopSequence]) -> list[LiveStream]:
    streams = join_streams(sequences)
    return streams if has_switches(streams) else []


def _score(
    candidate: Candidate, parts: FoldSequences, task: ClassificationTask, ways: Sequence[Smoothing]
) -> FoldResult:
    """Fit and score a candidate.

    Temperature and smoothing are chosen on predictions of a candidate not trained on the validation
    set; then it is refitted on everything outside the test fold.
    """
    validation, test = parts.validation, parts.test
    candidate.fit(parts.train, validation)
    known = candidate.probabilities(without_labels(validation))
    best = 0.0
    if "smoothed" in ways and parts.known_streams:
        known_live = live_probabilities(candidate, parts.known_streams, known)
        joined = [stream.joined for stream in parts.known_streams]
        best = choose_keep(known_live, joined, task.sizes)
    elif "smoothed" in ways:
        best = choose_keep(known, validation, task.sizes)
    candidate.refit(parts.whole)
    said = candidate.probabilities(without_labels(test))
    known_labels, labels = (np.concatenate([s.labels for s in part]) for part in (validation, test))
    people = np.repeat([s.person for s in test], [len(s.windows) for s in test])
    blocks: dict[Smoothing, list[FoldScores]] = {}
    for way in ways:
        keep = best if way == "smoothed" else 0.0
        known_heads = split_outputs(_smoothed(known, validation, keep), task.sizes)
        heads = split_outputs(_smoothed(said, test, keep), task.sizes)
        columns = zip(known_labels.T, labels.T, known_heads, heads, strict=True)
        blocks[way] = [_score_output(*column, people, keep) for column in columns]
    return FoldResult(blocks, _score_live(candidate, parts.streams, said, task, best))


def _score_live(
    candidate: Candidate,
    streams: Sequence[LiveStream],
    said: Sequence[NDArray[np.float64]],
    task: ClassificationTask,
    keep: float,
) -> list[FoldLive]:
    """Score the streams of the test set by output, given the predictions of its sequences."""
    if not streams:
        return []
    hop = task.signal.hop / task.signal.sfreq
    probabilities = live_probabilities(candidate, streams, said)
    r = candidate.r if isinstance(candidate, RecipeCandidate) and candidate.carries_state else None
    return [
        FoldLive(curve, keep, r) for curve in trace_curve(probabilities, streams, task.sizes, hop)
    ]


def _smoothed(
    probabilities: Sequence[NDArray[np.float64]], sequences: Sequence[HopSequence], keep: float
) -> NDArray[np.float64]:
    """Return the smoothed probabilities of all sequences, concatenated."""
    pairs = zip(probabilities, sequences, strict=True)
    return np.concatenate([smooth(p, sequence.restart, keep) for p, sequence in pairs])


def _score_output(
    known_labels: NDArray[np.int64],
    labels: NDArray[np.int64],
    known: NDArray[np.float64],
    said: NDArray[np.float64],
    people: NDArray[np.str_],
    keep: float,
) -> FoldScores:
    """Score the test predictions, with the temperature fitted on the validation predictions.

    ``people`` are the persons of the test hops.
    """
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
        weighted_f1=metrics.weighted_f1(matrix),
    )
    sets = score_sets(
        known_labels, apply_temperature(known, temperature), labels, calibrated, people
    )
    return FoldScores(scores, matrix, temperature, keep, metrics.risks(labels, calibrated), sets)


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
        risks=tuple(
            RiskPoint(coverage, float(risk))
            for coverage, risk in zip(
                metrics.COVERAGES, np.mean([fold.risks for fold in folds], axis=0), strict=True
            )
        ),
        sets=mean_set_scores([fold.sets for fold in folds]),
    )


def _collect_live(name: str, output: str, folds: Sequence[FoldLive]) -> LiveResult:
    chosen = [
        next(point.scores for point in fold.curve if point.keep == fold.keep) for fold in folds
    ]
    return LiveResult(
        contender=name,
        output=output,
        mean=mean_live(chosen),
        spread=spread_live(chosen),
        folds=tuple(chosen),
        keeps=tuple(fold.keep for fold in folds),
        r=tuple(fold.r for fold in folds if fold.r is not None),
        curve=tuple(
            LivePoint(points[0].keep, mean_live([point.scores for point in points]))
            for points in zip(*(fold.curve for fold in folds), strict=True)
        ),
    )
