"""Training job: the data, the recipe and the texts of the checkpoint to train."""

from __future__ import annotations

from dataclasses import dataclass

from mimamba.models.datasets.dataset import Dataset
from mimamba.models.evaluation.results import EvaluationReport
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.recipes import Recipe


@dataclass(frozen=True)
class TrainingJob:
    """Everything that determines the weights.

    Parameters
    ----------
    setting
        Fingerprint of the data.
    recipe
        Recipe adapted to the data, including the seed.
    device
        ``cpu`` or ``cuda``.
    chooses_r
        The gate of the carried state is chosen on the validation set, else it is the recipe's.
    """

    setting: DataFingerprint
    recipe: Recipe
    device: str
    chooses_r: bool = False

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        recipe: Recipe,
        baseline: float,
        device: str = "cpu",
        chooses_r: bool = False,
    ) -> TrainingJob:
        """Make the job of training a named recipe on a data set."""
        setting = DataFingerprint.of(dataset, baseline)
        n_outputs = sum(map(len, setting.outputs.values()))
        return cls(setting, recipe.adapted(setting.electrodes, n_outputs), device, chooses_r)


@dataclass(frozen=True)
class CheckpointDescription:
    """Texts and scores that a checkpoint carries in addition to its weights.

    Parameters
    ----------
    name
        Name of the checkpoint.
    licence
        Licence of the weights.
    command, evaluation
        Command lines that train it again and that evaluate it.
    report
        Report of its evaluation, or None.
    """

    name: str
    licence: str
    command: str
    evaluation: str
    report: EvaluationReport | None = None
