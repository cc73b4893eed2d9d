"""What is to be trained, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

from mimamba.models.datasets.dataset import Dataset
from mimamba.models.evaluation.results import EvaluationReport
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.recipes import Recipe


@dataclass(frozen=True)
class TrainingJob:
    """All that the weights hang on.

    Parameters
    ----------
    setting
        The data.
    recipe
        Fitted to the data, its seed chosen.
    device
        ``cpu`` or ``cuda``.
    """

    setting: DataFingerprint
    recipe: Recipe
    device: str

    @classmethod
    def of(
        cls, dataset: Dataset, recipe: Recipe, baseline: float, device: str = "cpu"
    ) -> TrainingJob:
        """The order for a data set, of a recipe as it is listed."""
        setting = DataFingerprint.of(dataset, baseline)
        n_outputs = sum(map(len, setting.outputs.values()))
        return cls(setting, recipe.fitted(setting.electrodes, n_outputs), device)


@dataclass(frozen=True)
class CheckpointDescription:
    """What a checkpoint says besides.

    Parameters
    ----------
    name
        What a person calls it.
    licence
        Of the weights.
    command, evaluation
        What makes it again, and what evaluates it.
    report
        How it was evaluated; None where it was not.
    """

    name: str
    licence: str
    command: str
    evaluation: str
    report: EvaluationReport | None = None
