"""Recipes judged on a data set, beside their ablations and rivals: one call from data to report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mimamba.models.datasets.base import Dataset
from mimamba.models.evaluation.candidates.candidate import Candidate, ClassificationTask, Majority
from mimamba.models.evaluation.candidates.comparisons import rivals
from mimamba.models.evaluation.candidates.msimamba import readings
from mimamba.models.evaluation.evaluate import OnStep, run
from mimamba.models.evaluation.protocols import N_FOLDS, PROTOCOLS, ProtocolName
from mimamba.models.evaluation.results import EvaluationConditions, Report
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.recipes import Recipe, ablations
from mimamba.models.training.trainer import TrainingConfig
from mimamba.models.training.windowing import cut


@dataclass(frozen=True)
class CandidateSet:
    """Who is judged.

    Parameters
    ----------
    recipes
        Of our own network; windows are those of the recipe that sees the longest.
    ablations, rivals
        Whether each recipe's ablations, and other people's methods, are judged beside them. The
        majority label always is.
    """

    recipes: tuple[Recipe, ...]
    ablations: bool = True
    rivals: bool = True

    def contenders(self, task: ClassificationTask, seed: int) -> tuple[list[Candidate], list[str]]:
        """All of them, and a line for each that cannot be had here."""
        found = [reading for recipe in self._all() for reading in readings(recipe, task)]
        if not self.rivals:
            return [*found, Majority(task)], []
        others, missing = rivals(task, TrainingConfig(balanced=True, seed=seed))
        return [*found, *others], missing

    def _all(self) -> list[Recipe]:
        """Recipes and ablations; where there are several recipes, an ablation says of which."""
        if not self.ablations:
            return list(self.recipes)
        several = len(self.recipes) > 1
        return [
            each
            if each is recipe or not several
            else replace(each, name=f"{recipe.name} {each.name}")
            for recipe in self.recipes
            for each in (recipe, *ablations(recipe))
        ]


def judge(
    dataset: Dataset,
    field: CandidateSet,
    baseline: float = 0.0,
    *,
    protocols: Sequence[ProtocolName] = PROTOCOLS,
    n_folds: int = N_FOLDS,
    seed: int = 0,
    permute: bool = False,
    on_step: OnStep | None = None,
) -> Report:
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
    contenders, missing = replace(field, recipes=recipes).contenders(task, seed)
    report = run(
        _words(dataset, setting),
        cut(dataset, signal, baseline),
        task,
        contenders,
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
