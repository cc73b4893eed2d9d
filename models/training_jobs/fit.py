"""Training of a checkpoint: select the epochs on a validation set, then train on all people.

The validation set is whole people or, with fewer than four people, whole trials. It selects the
number of epochs, the temperatures and, if it is asked for, the gate r by the live reading. Then a
new network is trained on all people for that many epochs. Each epoch is saved (``resume.py``), so
that an interrupted training can be resumed and ends with the same bytes.
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
from mimamba.models.evaluation.candidates.recipe_candidates import choose_gate
from mimamba.models.evaluation.checkpoint_scores import check_same_training
from mimamba.models.evaluation.groups import (
    covers_labels,
    hold_out_validation,
    members,
    person_groups,
    trial_groups,
)
from mimamba.models.evaluation.live_streams import has_switches, join_streams
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.scoring import fit_set_thresholds, fit_temperatures, score_network
from mimamba.models.training.trainer import (
    EpochSelection,
    Trainer,
    TrainingProgress,
    limit_crop_length,
    new_network,
)
from mimamba.models.training.windowing import HopSequence, cut_hops
from mimamba.models.training_jobs.job import CheckpointDescription, TrainingJob
from mimamba.models.training_jobs.model_card import make_header, model_card
from mimamba.models.training_jobs.resume import (
    CHOOSES_R,
    ResumeStore,
    SelectedEpochs,
    TrainingState,
)

MIN_PEOPLE = 4
"""Minimum number of people for holding out whole people; with fewer, trials are held out."""
Phase: TypeAlias = Literal["selection", "final"]
"""Selection of the number of epochs on a validation set, then the final training on all people."""


class FittingError(Mismatch):
    """Data or options on which no network can be trained."""


@dataclass(frozen=True)
class FitProgress:
    """Progress after an epoch, out of at most ``epochs``.

    ``balanced_accuracy`` is that of the validation set; None in the final training.
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
    job: TrainingJob,
    about: CheckpointDescription,
    resume: bool = False,
    on_epoch: OnFitProgress | None = None,
) -> Checkpoint:
    """Train a checkpoint and write it, with its model card beside it as ``.md``.

    The same job gives the same bytes on the same processor with the same number of threads and
    release of torch. On a CUDA device, where the order of sums varies, nearly the same.

    Parameters
    ----------
    path
        Path of the checkpoint; an unfinished training is saved beside it, as ``.training``.
    dataset, job, about
        Training data, settings, and the texts of the checkpoint.
    resume
        Resume an unfinished training instead of starting one.
    on_epoch
        Called after each epoch has been saved.

    Raises
    ------
    Mismatch
        If the scores belong to other data or another recipe; if there are too few people or trials,
        too little rest, or no change of a label to choose r by; or if an unfinished training is in
        the way, missing, or of another job.
    """
    if about.report is not None:
        check_same_training(about.report, job.setting, job.recipe)
    plain = msgspec.to_builtins(job)
    if not job.chooses_r:
        del plain[CHOOSES_R]  # so that a training which an earlier release began goes on
    if not job.recipe.architecture.frequencies:
        del plain["recipe"]["architecture"]["frequencies"]
    store = ResumeStore(path.with_suffix(".training"), plain)
    saved = store.open(resume)
    setting, recipe = job.setting, job.recipe
    sequences = [s for s in cut_hops(dataset, recipe.signal, setting.baseline) if len(s.windows)]
    train, validation = split_validation(sequences, recipe.training.seed)
    if job.chooses_r and not has_switches(join_streams(validation)):
        raise FittingError(
            "labels that change in somebody who is held out, to choose r by the live reading",
            "none",
            "leave out --choose-r",
        )
    run = ResumableFit(job, store, on_epoch)
    selected = run.select_epochs(train, validation, saved)
    network = run.train_final(sequences, selected, saved)
    header = make_header(dataset, job, about, selected)
    checkpoint = save_checkpoint(path, header, network)
    text = model_card(checkpoint, job, about, selected)
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    store.discard()
    return checkpoint


def split_validation(
    sequences: Sequence[HopSequence], seed: int
) -> tuple[list[HopSequence], list[HopSequence]]:
    """Split sequences into training and validation, by person or, with few people, by trial.

    Raises
    ------
    FittingError
        If some label cannot be in both parts.
    """
    n_people = len({sequence.person for sequence in sequences})
    groups = person_groups(sequences) if n_people >= MIN_PEOPLE else trial_groups(sequences)
    rng = np.random.default_rng(seed)
    held_out = np.array(hold_out_validation(groups.counts, groups.owner, rng), np.int64)
    rest = np.setdiff1d(np.arange(len(groups.owner)), held_out)
    if not len(held_out) or not covers_labels(groups, rest):
        raise FittingError(
            "trials of every label for both training and validation",
            f"{len(sequences)} trials with a good signal of {n_people} people",
            "add more people, or more trials of each",
        )
    train, validation = members(groups, rest), members(groups, held_out)
    return [sequences[i] for i in train], [sequences[i] for i in validation]


class ResumableFit:
    """Both phases of one training job, saved after each epoch."""

    def __init__(
        self, job: TrainingJob, store: ResumeStore, on_epoch: OnFitProgress | None
    ) -> None:
        self._job, self._store, self._on_epoch = job, store, on_epoch
        self._outputs: Mapping[str, Sequence[str]] = job.setting.outputs

    def select_epochs(
        self,
        train: Sequence[HopSequence],
        validation: Sequence[HopSequence],
        saved: TrainingState | None,
    ) -> SelectedEpochs:
        """Train until the validation stops improving; raises FittingError if it diverges."""
        if saved is not None and saved.facts.chosen is not None:
            return saved.facts.chosen
        selection = EpochSelection(self._trainer(train), validation)
        if saved is not None:
            saved.restore_selection(selection)

        def save(progress: TrainingProgress) -> None:
            self._store.save_selection(selection)
            accuracy = progress.validation.balanced_accuracy
            self._report("selection", progress.epoch, progress.epochs, progress.loss, accuracy)

        selection.run(save)
        if not selection.best_epoch:
            raise _diverged()
        network = selection.trainer.network
        chosen = self._choose_r(network, validation) if self._job.chooses_r else None
        r = self._job.recipe.r if chosen is None else chosen
        temperature = fit_temperatures(network, self._outputs, validation, r)
        thresholds = fit_set_thresholds(network, self._outputs, validation, r, temperature)
        return SelectedEpochs(selection.best_epoch, temperature, thresholds, chosen)

    def _choose_r(self, network: MSiMamba, validation: Sequence[HopSequence]) -> float:
        """Choose the gate as an evaluation does: by streams that change their label."""
        sizes = [len(labels) for labels in self._outputs.values()]
        streams = [stream.joined for stream in join_streams(validation)]
        return choose_gate(
            self._job.recipe.r,
            lambda r: score_network(network, streams, sizes, r).balanced_accuracy,
        )

    def train_final(
        self,
        sequences: Sequence[HopSequence],
        selected: SelectedEpochs,
        saved: TrainingState | None,
    ) -> MSiMamba:
        """Train a new network for the selected number of epochs."""
        trainer = self._trainer(sequences)
        if saved is not None and saved.facts.chosen is not None:
            saved.restore(trainer)
        while trainer.epoch < selected.epochs:
            loss = trainer.run_epoch()
            if not math.isfinite(loss):
                raise _diverged()
            self._store.save(trainer, selected)
            self._report("final", trainer.epoch, selected.epochs, loss, None)
        return trainer.result

    def _trainer(self, sequences: Sequence[HopSequence]) -> Trainer:
        recipe = self._job.recipe
        network = new_network(recipe.architecture, recipe.training.seed)
        sizes = [len(labels) for labels in self._outputs.values()]
        config = limit_crop_length(
            recipe.training, max(len(sequence.windows) for sequence in sequences)
        )
        return Trainer(network.to(self._job.device), sizes, sequences, recipe.r, config)

    def _report(
        self, phase: Phase, epoch: int, epochs: int, loss: float, accuracy: float | None
    ) -> None:
        if self._on_epoch is not None:
            self._on_epoch(FitProgress(phase, epoch, epochs, loss, accuracy))


def _diverged() -> FittingError:
    return FittingError(
        "a finite training loss", "one that diverged", "try another recipe or another seed"
    )
