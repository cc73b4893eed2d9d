"""Everything that the network is held against, as far as it can be had here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace

from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassificationTask,
    MajorityLabel,
)
from mimamba.models.evaluation.candidates.recipe_candidates import recipe_candidates
from mimamba.models.training.recipes import Recipe, ablations
from mimamba.models.training.trainer import TrainingConfig


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
    comparisons: bool = True

    def candidates(self, task: ClassificationTask, seed: int) -> tuple[list[Candidate], list[str]]:
        """All of them, and a line for each that cannot be had here."""
        found = [reading for recipe in self._all() for reading in recipe_candidates(recipe, task)]
        if not self.comparisons:
            return [*found, MajorityLabel(task)], []
        others, missing = comparison_candidates(task, TrainingConfig(balanced=True, seed=seed))
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


def comparison_candidates(
    task: ClassificationTask, config: TrainingConfig
) -> tuple[list[Candidate], list[str]]:
    """Make the rivals, and say in a line each what cannot be had and why.

    ``config`` trains the published networks; its seed is the forest's too.
    """
    found: list[Candidate] = [MajorityLabel(task)]
    missing = []
    for package in ("sklearn", "skorch"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            return found, [
                f"no rivals but the majority label: {error}; pip install 'mimamba[train]'"
            ]
    from mimamba.models.evaluation.candidates.band_power_classifiers import (
        logistic_regression,
        random_forest,
    )

    found += [logistic_regression(task), random_forest(task, config.seed)]
    from mimamba.models.evaluation.candidates.braindecode_loader import (
        NETWORK_NAMES,
        NetworkUnavailable,
        build_network,
        load_models,
    )
    from mimamba.models.evaluation.candidates.published_networks import PublishedNetwork

    try:
        load_models()
    except NetworkUnavailable as error:
        return found, [str(error)]
    for name in NETWORK_NAMES:
        try:
            build_network(name, task)
        except NetworkUnavailable as error:
            missing.append(str(error))
        else:
            found.append(PublishedNetwork(name, task, config))
    return found, missing
