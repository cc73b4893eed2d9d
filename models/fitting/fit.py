"""A checkpoint from a data set: choose the epochs on a validation, then learn from everybody.

The validation is whole people, or, where there are fewer than four, whole trials. It chooses how
many epochs to train for, and the temperatures; then a new network learns from all people for as
many. Each epoch is kept on disk (``unfinished.py``), so that a training that was interrupted can go
on, to the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from mimamba.drivers.errors import Mismatch
from mimamba.models.checkpoints.checkpoint import Checkpoint, save_checkpoint
from mimamba.models.datasets.dataset import Dataset
from mimamba.models.evaluation.candidates.recipe_candidates import limit_crop_length
from mimamba.models.evaluation.checkpoint_scores import check_same_training
from mimamba.models.evaluation.groups import (
    covers_labels,
    hold_out_validation,
    members,
    person_groups,
    trial_groups,
)
from mimamba.models.fitting.job import CheckpointDescription, TrainingJob
from mimamba.models.fitting.model_card import make_header, model_card
from mimamba.models.fitting.resume import ResumeStore, SelectedEpochs, TrainingState
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.scoring import fit_temperatures
from mimamba.models.training.trainer import EpochSelection, Trainer, TrainingProgress, new_network
from mimamba.models.training.windowing import HopSequence, cut_hops

MIN_PEOPLE = 4
"""People, at least, of whom whole ones are held out; of fewer, trials are."""
Phase: TypeAlias = Literal["choosing", "learning"]
"""The epochs are chosen on a validation; then everybody is learnt from."""


class FittingError(Mismatch):
    """A network cannot be trained on this; one clear line."""


@dataclass(frozen=True)
class FitProgress:
    """Where it is after an epoch, one of ``epochs`` at most.

    ``balanced_accuracy`` is of the validation; None once everybody is learnt from.
    """

    phase: Phase
    epoch: int
    epochs: int
    loss: float
    balanced_accuracy: float | None


OnFitProgress: TypeAlias = Callable[[FitProgress], None]


def fit(
    path: Path,
    dataset: Dataset,
    order: TrainingJob,
    about: CheckpointDescription,
    resume: bool = False,
    on_epoch: OnFitProgress | None = None,
) -> Checkpoint:
    """Train a checkpoint and write it, with its card beside it as ``.md``.

    The same order gives the same file on the same processor, with as many threads and the same
    release of torch; on a CUDA device, whose sums have no order, nearly the same.

    Parameters
    ----------
    path
        Of the checkpoint; what is kept of an unfinished training is beside it, as ``.training``.
    dataset, order, about
        What is learnt from, how, and what is said of it.
    resume
        Whether to go on with an unfinished training, or to begin one.
    on_epoch
        Called after each epoch, once it is kept.

    Raises
    ------
    Mismatch
        If the scores are of something else, there are too few people or trials, or too little
        rest, or an unfinished training is in the way, absent, or another one.
    """
    if about.report is not None:
        check_same_training(about.report, order.setting, order.recipe)
    plain = msgspec.to_builtins(order)
    unfinished = ResumeStore(path.with_suffix(".training"), plain)
    kept = unfinished.open(resume)
    setting, recipe = order.setting, order.recipe
    sequences = [s for s in cut_hops(dataset, recipe.signal, setting.baseline) if len(s.windows)]
    learn, choose = split_validation(sequences, recipe.training.seed)
    fitting = ResumableFit(order, unfinished, on_epoch)
    chosen = fitting.choose(learn, choose, kept)
    network = fitting.learn(sequences, chosen, kept)
    header = make_header(dataset, order, about, chosen)
    checkpoint = save_checkpoint(path, header, network)
    text = model_card(checkpoint, order, about, chosen)
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    unfinished.discard()
    return checkpoint


def split_validation(
    sequences: Sequence[HopSequence], seed: int
) -> tuple[list[HopSequence], list[HopSequence]]:
    """What is learnt from and what is chosen by: no person in both, or with few people no trial.

    Raises
    ------
    FittingError
        If not every label can be in both.
    """
    n_people = len({sequence.person for sequence in sequences})
    units = person_groups(sequences) if n_people >= MIN_PEOPLE else trial_groups(sequences)
    rng = np.random.default_rng(seed)
    chosen = np.array(hold_out_validation(units.counts, units.owner, rng), np.int64)
    rest = np.setdiff1d(np.arange(len(units.owner)), chosen)
    if not len(chosen) or not covers_labels(units, rest):
        raise FittingError(
            "trials of each label of several people, to learn from and to choose by",
            f"{len(sequences)} trials with a good signal of {n_people} people",
            "bring more people, or more trials of each",
        )
    learn, choose = members(units, rest), members(units, chosen)
    return [sequences[i] for i in learn], [sequences[i] for i in choose]


class ResumableFit:
    """Both phases of one order, each epoch kept."""

    def __init__(
        self, order: TrainingJob, unfinished: ResumeStore, on_epoch: OnFitProgress | None
    ) -> None:
        self._order, self._unfinished, self._on_epoch = order, unfinished, on_epoch
        self._outputs: Mapping[str, Sequence[str]] = order.setting.outputs

    def choose(
        self,
        learn: Sequence[HopSequence],
        validation: Sequence[HopSequence],
        kept: TrainingState | None,
    ) -> SelectedEpochs:
        """Train until the validation gets no better; raises FittingError if it never was good."""
        if kept is not None and kept.facts.chosen is not None:
            return kept.facts.chosen
        choice = EpochSelection(self._training(learn), validation)
        if kept is not None:
            kept.restore_choice(choice)

        def keep(progress: TrainingProgress) -> None:
            self._unfinished.keep_choice(choice)
            accuracy = progress.validation.balanced_accuracy
            self._tell("choosing", progress.epoch, progress.epochs, progress.loss, accuracy)

        choice.run(keep)
        if not choice.best_epoch:
            raise _diverged()
        network, r = choice.training.network, self._order.recipe.r
        return SelectedEpochs(
            choice.best_epoch, fit_temperatures(network, self._outputs, validation, r)
        )

    def learn(
        self, sequences: Sequence[HopSequence], chosen: SelectedEpochs, kept: TrainingState | None
    ) -> MSiMamba:
        """Train a new network for as many epochs as were chosen."""
        training = self._training(sequences)
        if kept is not None and kept.facts.chosen is not None:
            kept.restore(training)
        while training.epoch < chosen.epochs:
            loss = training.run_epoch()
            if not math.isfinite(loss):
                raise _diverged()
            self._unfinished.keep(training, chosen)
            self._tell("learning", training.epoch, chosen.epochs, loss, None)
        return training.result

    def _training(self, sequences: Sequence[HopSequence]) -> Trainer:
        recipe = self._order.recipe
        network = new_network(recipe.architecture, recipe.training.seed)
        sizes = [len(labels) for labels in self._outputs.values()]
        config = limit_crop_length(
            recipe.training, max(len(sequence.windows) for sequence in sequences)
        )
        return Trainer(network.to(self._order.device), sizes, sequences, recipe.r, config)

    def _tell(
        self, phase: Phase, epoch: int, epochs: int, loss: float, accuracy: float | None
    ) -> None:
        if self._on_epoch is not None:
            self._on_epoch(FitProgress(phase, epoch, epochs, loss, accuracy))


def _diverged() -> FittingError:
    return FittingError(
        "a loss that is a number", "none", "train another recipe, or with another seed"
    )
