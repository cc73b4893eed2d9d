"""Everything that the network is held against, as far as it can be had here."""

from __future__ import annotations

import importlib

from mimamba.models.evaluation.candidates.candidate import Candidate, ClassificationTask, Majority
from mimamba.models.training.trainer import TrainingConfig


def rivals(task: ClassificationTask, config: TrainingConfig) -> tuple[list[Candidate], list[str]]:
    """Make the rivals, and say in a line each what cannot be had and why.

    ``config`` trains the published networks; its seed is the forest's too.
    """
    found: list[Candidate] = [Majority(task)]
    missing = []
    for package in ("sklearn", "skorch"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            return found, [
                f"no rivals but the majority label: {error}; pip install 'mimamba[train]'"
            ]
    from mimamba.models.evaluation.candidates.band_power import logistic_regression, random_forest

    found += [logistic_regression(task), random_forest(task, config.seed)]
    from mimamba.models.evaluation.candidates.braindecode import (
        NAMES,
        NetworkUnavailable,
        build,
        load_models,
    )
    from mimamba.models.evaluation.candidates.published_networks import Network

    try:
        load_models()
    except NetworkUnavailable as error:
        return found, [str(error)]
    for name in NAMES:
        try:
            build(name, task)
        except NetworkUnavailable as error:
            missing.append(str(error))
        else:
            found.append(Network(name, task, config))
    return found, missing
