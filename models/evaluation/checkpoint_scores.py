"""What of a report goes into a checkpoint: its own scores, if they are of the very same."""

from __future__ import annotations

from dataclasses import replace

from mimamba.drivers.errors import Mismatch
from mimamba.models.evaluation.candidates.candidate import MajorityLabel
from mimamba.models.evaluation.results import CandidateResult, EvaluationReport
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.recipes import Recipe

MEASURES = ("balanced_accuracy", "macro_f1", "ece", "brier")
REMEDY = "evaluate with the options of the training, or leave the scores out"


def check_same_training(report: EvaluationReport, setting: DataFingerprint, recipe: Recipe) -> None:
    """Raise Mismatch unless a report is of this setting and this recipe, whatever the seed.

    ``recipe`` is fitted to the setting.
    """
    what = "the evaluation"
    conditions = report.conditions
    if conditions is None or report.permuted:
        found = "one whose labels were permuted" if report.permuted else "one that does not say"
        raise Mismatch("an evaluation of this data and recipe", found, REMEDY)
    setting.check_same(conditions.setting, what, REMEDY)
    named = {each.name: each for each in conditions.recipes}
    if recipe.name not in named:
        raise Mismatch(f"the recipe {recipe.name} in {what}", ", ".join(named), REMEDY)
    other = named[recipe.name].fitted(setting.electrodes, recipe.architecture.n_outputs)
    other = replace(other, training=replace(other.training, seed=recipe.training.seed))
    if (other, conditions.signal) != (recipe, recipe.signal):
        raise Mismatch(
            f"the recipe {recipe.name} as it is to be trained in {what}",
            "another architecture, training or windows",
            f"{REMEDY}; a recipe with shorter windows than another's is evaluated by itself",
        )


def scores_of(report: EvaluationReport, recipe: Recipe) -> dict[str, float]:
    """By ``protocol/output/measure``: the recipe's own ways of being read, and the majority label.

    The protocol's name alone is for the state carried as it is trained; other ways are in brackets,
    as in ``subject (r = 0, smoothed)``.
    """
    found: dict[str, float] = {}
    for evaluation in report.evaluations:
        for result in evaluation.results:
            way = _way(result, recipe)
            if way is not None:
                start = f"{evaluation.protocol}{way}/{result.output}"
                found |= {f"{start}/{name}": getattr(result.mean, name) for name in MEASURES}
                found[f"{start}/balanced_accuracy_spread"] = result.spread.balanced_accuracy
    return found


def _way(result: CandidateResult, recipe: Recipe) -> str | None:
    """How the recipe was read; None for others than it and the majority label."""
    smoothed = ["smoothed"] if result.smoothing == "smoothed" else []
    if result.contender == MajorityLabel.name:
        return None if smoothed else f" ({MajorityLabel.name})"
    name, _, reading = result.contender.partition(", ")
    if name != recipe.name:
        return None
    words = [*(["r = 0"] if recipe.r and reading == "r = 0" else []), *smoothed]
    return f" ({', '.join(words)})" if words else ""
