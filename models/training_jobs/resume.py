"""State of an unfinished training, saved after every epoch so that it can be resumed.

The folder holds one safetensors file, whose metadata has one key, ``mimamba``, a JSON object. It is
replaced atomically, and nothing in it is ever executed. It contains everything that the next epoch
depends on, so a resumed training ends with the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import one_line
from mimamba.models.checkpoints.tensor_metadata import read_metadata
from mimamba.models.training.trainer import EpochSelection, Trainer

FILE = "state.safetensors"
CHOOSES_R = "chooses_r"
"""Key of a job that only ``--choose-r`` sets."""
ADAMW_STATE = ("step", "exp_avg", "exp_avg_sq")
"""State that AdamW keeps for each weight."""


class ResumeError(Mismatch):
    """Unfinished training that is in the way, missing, damaged, or of another job."""


@dataclass(frozen=True)
class SelectedEpochs:
    """Result of the validation: the number of epochs, and by output temperatures and thresholds.

    ``r`` is the gate of the carried state; None if it was not chosen.
    """

    epochs: int
    temperature: dict[str, float]
    set_thresholds: dict[str, float] = field(default_factory=dict)
    r: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """Values of the saved state that are not arrays.

    Parameters
    ----------
    plan
        The job, as plain values.
    epoch
        Number of finished epochs.
    rng
        State of numpy's generator.
    best, best_epoch
        Lowest validation loss so far and its epoch, while the number of epochs is selected.
    chosen
        The selected epochs, once a new network is trained on all people.
    """

    plan: dict[str, object]
    epoch: int
    rng: dict[str, object]
    best: float = math.inf
    best_epoch: int = 0
    chosen: SelectedEpochs | None = None


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Content of a saved file."""

    facts: TrainingFacts
    tensors: dict[str, Tensor]

    def restore(self, trainer: Trainer) -> None:
        """Restore a trainer made for the same job."""
        tensors, facts = self.tensors, self.facts
        trainer.enter(facts.epoch)
        trainer.rng.bit_generator.state = facts.rng
        trainer.generator_state = tensors["generator"]
        trainer.network.load_state_dict(_under("weights", tensors))
        if trainer.averaged is not None:
            trainer.averaged.load_state_dict(_under("averaged", tensors))
        for moment in ADAMW_STATE:
            found = _under(moment, tensors)
            for name, weight in trainer.network.named_parameters():
                if name in found:
                    place = "cpu" if moment == "step" else weight.device
                    trainer.optimiser.state[weight][moment] = found[name].to(place)

    def restore_selection(self, selection: EpochSelection) -> None:
        """Restore a selection and its trainer."""
        self.restore(selection.trainer)
        selection.best, selection.best_epoch = self.facts.best, self.facts.best_epoch
        selection.weights = _under("best", self.tensors)


class ResumeStore:
    """Folder with the saved state of one training.

    Parameters
    ----------
    folder
        Created with the first saved epoch.
    plan
        The job as plain values; a file saved for another job is refused.
    """

    def __init__(self, folder: Path, plan: Mapping[str, object]) -> None:
        self.folder = folder
        self._plan: dict[str, object] = json.loads(msgspec.json.encode(plan))
        self._path = folder / FILE

    def open(self, resume: bool) -> TrainingState | None:
        """Return the saved state to resume from, or None for a new training.

        Raises
        ------
        ResumeError
            If there is a saved state but ``resume`` is false, or the other way round; if it is
            damaged, or of another job.
        """
        there = self._path.exists()
        if there and not resume:
            raise ResumeError(
                "no unfinished training of this checkpoint",
                f"one in {self.folder}",
                "resume it with --resume, or delete that folder",
            )
        if resume and not there:
            raise ResumeError(
                "an unfinished training to resume", f"none in {self.folder}", "leave out --resume"
            )
        return self._load() if there else None

    def save_selection(self, selection: EpochSelection) -> None:
        """Save a selection and its trainer after an epoch; raises ResumeError."""
        facts = self._facts(selection.trainer)
        facts = replace(facts, best=selection.best, best_epoch=selection.best_epoch)
        self._write(facts, _tensors(selection.trainer) | _named("best", selection.weights))

    def save(self, trainer: Trainer, chosen: SelectedEpochs) -> None:
        """Save the final training after an epoch; raises ResumeError."""
        self._write(replace(self._facts(trainer), chosen=chosen), _tensors(trainer))

    def _facts(self, trainer: Trainer) -> TrainingFacts:
        state = dict(trainer.rng.bit_generator.state)
        return TrainingFacts(plan=self._plan, epoch=trainer.epoch, rng=state)

    def _write(self, facts: TrainingFacts, tensors: dict[str, Tensor]) -> None:
        text = json.dumps(asdict(facts))
        content = safetensors.torch.save(tensors, metadata={"mimamba": text})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(self._path, content)
        except OSError as error:
            raise ResumeError(
                f"a writable folder {self.folder} for the unfinished training",
                f"the error: {error.strerror or error}",
                "free some disk space, then continue with --resume",
            ) from error

    def discard(self) -> None:
        """Delete the saved state of a finished training; other files in the folder stay."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # the folder is not empty
            self.folder.rmdir()

    def _load(self) -> TrainingState:
        remedy = f"delete {self.folder} and start the training again"
        try:
            content = self._path.read_bytes()
            tensors = safetensors.torch.load(content)
            facts = msgspec.convert(
                json.loads(read_metadata(content)["mimamba"]), type=TrainingFacts
            )
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ResumeError(
                f"an unfinished training in {self._path}",
                f"a damaged file ({one_line(str(error))})",
                remedy,
            ) from error
        differing = list(_differences(facts.plan, self._plan))
        if differing:
            raise ResumeError(
                f"the options that the training in {self.folder} was started with",
                f"{'; '.join(differing[:3])}",
                f"give the same options, or {remedy}",
            )
        return TrainingState(facts, tensors)


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    tensors = {"generator": trainer.generator_state}
    tensors |= _named("weights", trainer.network.state_dict())
    if trainer.averaged is not None:
        tensors |= _named("averaged", trainer.averaged.state_dict())
    state = trainer.optimiser.state
    weights = [(name, w) for name, w in trainer.network.named_parameters() if w in state]
    for moment in ADAMW_STATE:
        tensors |= _named(moment, {name: state[weight][moment] for name, weight in weights})
    return tensors


def _named(kind: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{kind}.{name}": t.detach().cpu().contiguous() for name, t in state.items()}


def _under(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of one kind, by name without the prefix."""
    start = f"{kind}."
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def _differences(was: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    """List the differences between two jobs in words; an older job does not say if r is chosen."""
    chose, chooses = (bool(plan.get(CHOOSES_R, False)) for plan in (was, now))
    if chose != chooses:
        yield "--choose-r" if chooses else "no --choose-r"
    without = [{k: v for k, v in plan.items() if k != CHOOSES_R} for plan in (was, now)]
    yield from _differing(without[0], without[1])


def _differing(was: object, now: object, name: str = "") -> Iterator[str]:
    """List the differences between two plans in words."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(now.keys() - was.keys())]:
            yield from _differing(was.get(key), now.get(key), f"{name}.{key}".removeprefix("."))
    elif was != now:
        yield f"{name} {one_line(str(now))}, not {one_line(str(was))}"


def _replace(path: Path, content: bytes) -> None:
    """Replace a file atomically."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
