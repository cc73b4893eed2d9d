"""Scores that go from an evaluation report into a checkpoint trained on the same data."""

from __future__ import annotations

from dataclasses import replace

from mimamba.drivers.errors import Mismatch
from mimamba.models.evaluation.candidates.candidate import MajorityLabel
from mimamba.models.evaluation.results import EvaluationReport
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.recipes import Recipe

MEASURES = ("balanced_accuracy", "macro_f1", "ece", "brier")
LIVE_MEASURES = ("balanced_accuracy", "steady_accuracy", "latency")
REMEDY = "evaluate with the options of the training, or leave out --scores"


def check_same_training(report: EvaluationReport, setting: DataFingerprint, recipe: Recipe) -> None:
    """Raise Mismatch unless a report is of this data and this recipe; the seed may differ.

    ``recipe`` is already adapted to the data.
    """
    what = "the evaluation"
    conditions = report.conditions
    if conditions is None or report.permuted:
        found = "permuted labels" if report.permuted else "no record of the data and recipe"
        raise Mismatch("an evaluation of this data and recipe", found, REMEDY)
    setting.check_same(conditions.setting, what, REMEDY)
    named = {each.name: each for each in conditions.recipes}
    if recipe.name not in named:
        raise Mismatch(f"the recipe {recipe.name} in {what}", ", ".join(named), REMEDY)
    other = named[recipe.name].adapted(setting.electrodes, recipe.architecture.n_outputs)
    other = replace(other, training=replace(other.training, seed=recipe.training.seed))
    if (other, conditions.signal) != (recipe, recipe.signal):
        raise Mismatch(
            f"the recipe {recipe.name} with the same settings in {what}",
            "another architecture, training or windows",
            f"{REMEDY}; evaluate a recipe alone if another one has longer windows",
        )


def scores_of(
    report: EvaluationReport, recipe: Recipe, chooses_r: bool = False
) -> dict[str, float]:
    """Return the scores of the recipe and of the majority label, by ``protocol/output/measure``.

    The protocol's name alone means the state carried as trained, with r chosen if ``chooses_r``;
    variants are in brackets, as in ``subject (r = 0, smoothed)``. The measures of the live reading
    begin with ``live``; a strength of smoothing is chosen by it.
    """
    found: dict[str, float] = {}
    for evaluation in report.evaluations:
        for result in evaluation.results:
            way = _way(result.contender, result.smoothing == "smoothed", recipe, chooses_r)
            if way is not None:
                start = f"{evaluation.protocol}{way}/{result.output}"
                found |= {f"{start}/{name}": getattr(result.mean, name) for name in MEASURES}
                if result.spread is not None:
                    found[f"{start}/balanced_accuracy_spread"] = result.spread.balanced_accuracy
        for live in evaluation.live:
            plain = next((point.scores for point in live.curve if point.keep == 0), live.mean)
            for is_smoothed, scores in ((False, plain), (True, live.mean)):
                way = _way(live.contender, is_smoothed, recipe, chooses_r)
                if way is not None:
                    measured = {f"live_{name}": getattr(scores, name) for name in LIVE_MEASURES}
                    start = f"{evaluation.protocol}{way}/{live.output}"
                    found |= {f"{start}/{k}": v for k, v in measured.items() if v is not None}
    return found


def _way(contender: str, is_smoothed: bool, recipe: Recipe, chooses_r: bool) -> str | None:
    """Return the recipe's variant in brackets, or None if the result is of another candidate."""
    smoothed = ["smoothed"] if is_smoothed else []
    if contender == MajorityLabel.name:
        return None if smoothed else f" ({MajorityLabel.name})"
    name, _, variant = contender.partition(", ")
    if name != recipe.name:
        return None
    is_chosen = variant == "carried, r chosen"
    if recipe.r and variant == "r = 0":
        words = ["r = 0", *smoothed]
    elif is_chosen == chooses_r:
        words = smoothed
    else:
        words = ["r chosen" if is_chosen else f"r = {recipe.r:.3g}", *smoothed]
    return f" ({', '.join(words)})" if words else ""
