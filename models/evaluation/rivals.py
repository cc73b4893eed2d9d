"""Everything that the network is held against, as far as it can be had here."""

from __future__ import annotations

import importlib

from models.evaluation.contenders import Contender, Majority, Task
from models.training import TrainingConfig


def rivals(task: Task, config: TrainingConfig) -> tuple[list[Contender], list[str]]:
    """Make the rivals, and say in a line each what cannot be had and why.

    ``config`` trains the published networks; its seed is the forest's too.
    """
    found: list[Contender] = [Majority(task)]
    missing = []
    for package in ("sklearn", "skorch"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            return found, [
                f"no rivals but the majority label: {error}; pip install 'mimamba[train]'"
            ]
    from models.evaluation.bandpower import logistic_regression, random_forest

    found += [logistic_regression(task), random_forest(task, config.seed)]
    from models.evaluation.architectures import NAMES, Unavailable, build, load_models
    from models.evaluation.networks import Network

    try:
        load_models()
    except Unavailable as error:
        return found, [str(error)]
    for name in NAMES:
        try:
            build(name, task)
        except Unavailable as error:
            missing.append(str(error))
        else:
            found.append(Network(name, task, config))
    return found, missing
