"""A training that is not finished, kept in a folder at every epoch so that it can go on.

The folder holds one safetensors file, whose metadata has one key, ``mimamba``, a JSON object. It is
written whole or not at all, and nothing in it is ever executed. All that the next epoch hangs on is
there, so a training that was interrupted ends with the same bytes as one that was not.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import one_line
from mimamba.models.training.trainer import EpochSelection, Trainer

FILE = "state.safetensors"
ADAMW_STATE = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW remembers of each weight."""


class ResumeError(Mismatch):
    """An unfinished training is in the way, absent, damaged, or another one; one clear line."""


@dataclass(frozen=True)
class SelectedEpochs:
    """What a validation chose: for how many epochs to train, and each output's temperature."""

    epochs: int
    temperature: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """What is no array.

    Parameters
    ----------
    plan
        All that the weights hang on, as plain values.
    epoch
        How far it is.
    rng
        The state of numpy's generator.
    best, best_epoch
        While the epochs are being chosen: the lowest validation loss, and its epoch.
    chosen
        Once they are, and a new network learns.
    """

    plan: dict[str, object]
    epoch: int
    rng: dict[str, object]
    best: float = math.inf
    best_epoch: int = 0
    chosen: SelectedEpochs | None = None


@dataclass(frozen=True, eq=False)
class TrainingState:
    """What a file holds."""

    facts: TrainingFacts
    tensors: dict[str, Tensor]

    def restore(self, training: Trainer) -> None:
        """Set a training, made with the same plan, to where it was."""
        tensors, facts = self.tensors, self.facts
        training.epoch = facts.epoch
        training.rng.bit_generator.state = facts.rng
        training.generator_state = tensors["generator"]
        training.network.load_state_dict(_under("weights", tensors))
        if training.averaged is not None:
            training.averaged.load_state_dict(_under("averaged", tensors))
        for moment in ADAMW_STATE:
            found = _under(moment, tensors)
            for name, weight in training.network.named_parameters():
                if name in found:
                    place = "cpu" if moment == "step" else weight.device
                    training.optimiser.state[weight][moment] = found[name].to(place)

    def restore_choice(self, choice: EpochSelection) -> None:
        """Set a choice, with its training, to where it was."""
        self.restore(choice.training)
        choice.best, choice.best_epoch = self.facts.best, self.facts.best_epoch
        choice.weights = _under("best", self.tensors)


class ResumeStore:
    """The folder of one training.

    Parameters
    ----------
    folder
        Made when the first epoch is kept.
    plan
        All that the weights hang on, as plain values: a file of another plan is refused.
    """

    def __init__(self, folder: Path, plan: Mapping[str, object]) -> None:
        self.folder = folder
        self._plan: dict[str, object] = json.loads(msgspec.json.encode(plan))
        self._path = folder / FILE

    def open(self, resume: bool) -> TrainingState | None:
        """What is kept, if it is to go on; None at the beginning.

        Raises
        ------
        ResumeError
            If there is something and it is not to go on, or the other way round; if it is damaged,
            or of another plan.
        """
        there = self._path.exists()
        if there and not resume:
            raise ResumeError(
                "to begin a training",
                f"an unfinished one in {self.folder}",
                "go on with it by --resume, or delete that folder",
            )
        if resume and not there:
            raise ResumeError(
                "a training to resume", f"none in {self.folder}", "leave out --resume"
            )
        return self._load() if there else None

    def keep_choice(self, choice: EpochSelection) -> None:
        """Keep a choice, with its training, after an epoch; raises ResumeError."""
        facts = self._facts(choice.training)
        facts = replace(facts, best=choice.best, best_epoch=choice.best_epoch)
        self._write(facts, _tensors(choice.training) | _named("best", choice.weights))

    def keep(self, training: Trainer, chosen: SelectedEpochs) -> None:
        """Keep a training for as many epochs as were chosen, after one; raises ResumeError."""
        self._write(replace(self._facts(training), chosen=chosen), _tensors(training))

    def _facts(self, training: Trainer) -> TrainingFacts:
        state = dict(training.rng.bit_generator.state)
        return TrainingFacts(plan=self._plan, epoch=training.epoch, rng=state)

    def _write(self, facts: TrainingFacts, tensors: dict[str, Tensor]) -> None:
        text = json.dumps(asdict(facts))
        content = safetensors.torch.save(tensors, metadata={"mimamba": text})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(self._path, content)
        except OSError as error:
            raise ResumeError(
                f"to keep the training in {self.folder}",
                error.strerror or str(error),
                "make room, then go on with --resume",
            ) from error

    def discard(self) -> None:
        """Delete what is kept, once its training is finished; whatever else is there stays."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty
            self.folder.rmdir()

    def _load(self) -> TrainingState:
        remedy = f"delete {self.folder} and begin anew"
        try:
            content = self._path.read_bytes()
            tensors = safetensors.torch.load(content)
            n_bytes = int.from_bytes(content[:8], "little")
            text = json.loads(content[8 : 8 + n_bytes])["__metadata__"]["mimamba"]
            facts = msgspec.convert(json.loads(text), type=TrainingFacts)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ResumeError(
                f"an unfinished training in {self._path}", one_line(str(error)), remedy
            ) from error
        differing = list(_differing(facts.plan, self._plan))
        if differing:
            raise ResumeError(
                f"to go on as the training in {self.folder} was begun",
                f"{'; '.join(differing[:3])}",
                f"give the options that it was begun with, or {remedy}",
            )
        return TrainingState(facts, tensors)


def _tensors(training: Trainer) -> dict[str, Tensor]:
    tensors = {"generator": training.generator_state}
    tensors |= _named("weights", training.network.state_dict())
    if training.averaged is not None:
        tensors |= _named("averaged", training.averaged.state_dict())
    state = training.optimiser.state
    weights = [(name, w) for name, w in training.network.named_parameters() if w in state]
    for moment in ADAMW_STATE:
        tensors |= _named(moment, {name: state[weight][moment] for name, weight in weights})
    return tensors


def _named(kind: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{kind}.{name}": t.detach().cpu().contiguous() for name, t in state.items()}


def _under(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of one kind, by their names without it."""
    start = f"{kind}."
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def _differing(was: object, now: object, name: str = "") -> Iterator[str]:
    """What differs between two plans, in words."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(now.keys() - was.keys())]:
            yield from _differing(was.get(key), now.get(key), f"{name}.{key}".removeprefix("."))
    elif was != now:
        yield f"{name} {one_line(str(now))}, not {one_line(str(was))}"


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole, or leave the old one."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
