"""Set of candidates for an evaluation: recipes, their ablations, and the available comparisons."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassDistribution,
    ClassificationTask,
    MajorityLabel,
)
from mimamba.models.evaluation.candidates.recipe_candidates import recipe_candidates
from mimamba.models.training.recipes import Recipe, ablations
from mimamba.models.training.trainer import TrainingConfig


@dataclass(frozen=True)
class CandidateSet:
    """Choice of the candidates to evaluate.

    Parameters
    ----------
    recipes
        Recipes of MS-iMamba. All candidates get the windows of the recipe with the longest ones.
    ablations
        Include the ablations of each recipe.
    comparisons
        Include published networks and band-power classifiers. The majority label is always there.
    distribution
        Include labels drawn by their shares, as benchmarks of emotion report them.
    encoders
        Folders of pretrained networks, see ``encoder``.
    """

    recipes: tuple[Recipe, ...]
    ablations: bool = True
    comparisons: bool = True
    distribution: bool = False
    encoders: tuple[Path, ...] = ()

    def candidates(self, task: ClassificationTask, seed: int) -> tuple[list[Candidate], list[str]]:
        """Make the candidates; also return a line for each that is not available.

        Raises
        ------
        NetworkUnavailable
            If an encoder cannot be used.
        """
        found = [made for recipe in self._all() for made in recipe_candidates(recipe, task)]
        found += encoder_candidates(self.encoders, task)
        if self.distribution:
            found.append(ClassDistribution(task, seed))
        if not self.comparisons:
            return [*found, MajorityLabel(task)], []
        others, missing = comparison_candidates(task, TrainingConfig(balanced=True, seed=seed))
        return [*found, *others], missing

    def _all(self) -> list[Recipe]:
        """List recipes and ablations; with several recipes, ablations get their recipe's name."""
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


def encoder_candidates(folders: Sequence[Path], task: ClassificationTask) -> list[Candidate]:
    """Make a candidate of each encoder; raises NetworkUnavailable."""
    if not folders:
        return []
    from mimamba.models.evaluation.candidates.braindecode_loader import NetworkUnavailable

    try:
        importlib.import_module("sklearn")
    except ImportError as error:
        raise NetworkUnavailable(
            "scikit-learn, for the head of an encoder",
            f"not installed ({error.name})",
            "install it: pip install scikit-learn",
        ) from error
    from mimamba.models.evaluation.candidates.encoder import EncoderCandidate, load_encoder

    made: list[Candidate] = [EncoderCandidate(load_encoder(folder), task) for folder in folders]
    names = [candidate.name for candidate in made]
    for candidate, folder in zip(made, folders, strict=True):
        if names.count(candidate.name) > 1:
            assert isinstance(candidate, EncoderCandidate)
            candidate.name += f", {folder.name}"
    return made


def comparison_candidates(
    task: ClassificationTask, config: TrainingConfig
) -> tuple[list[Candidate], list[str]]:
    """Make the comparisons; also return a line for each that is not available.

    ``config`` trains the published networks; its seed is also used for the random forest.
    """
    found: list[Candidate] = [MajorityLabel(task)]
    missing = []
    for package in ("sklearn", "skorch"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            return found, [
                f"comparisons other than the majority label ({error}). "
                "Run pip install scikit-learn skorch."
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
