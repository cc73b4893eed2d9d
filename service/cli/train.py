"""``mimamba train``: make a checkpoint, with its progress in the terminal."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mimamba.models.checkpoints.checkpoint import SUFFIX, Checkpoint
from mimamba.models.datasets.dataset import Dataset
from mimamba.models.evaluation.report import load_report
from mimamba.models.fitting import demo
from mimamba.models.fitting.fit import FitProgress, FittingError, fit
from mimamba.models.fitting.job import CheckpointDescription, TrainingJob
from mimamba.models.training.recipes import Recipe, find_recipe
from mimamba.models.training.trainer import TrainingProgress
from mimamba.service.cli.dataset_options import DataFlags
from mimamba.service.storage.models import ModelNameError, check_name, models_folder

PHASES = {"selection": "Selecting the number of epochs", "final": "Training on everyone"}
UNSTATED = "not stated; the data set's own terms hold"
COLUMNS = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())


def train_demo(out: Path, seed: int) -> None:
    """Train the demo checkpoint and write it and its card; print its scores."""
    console = Console(stderr=True)
    with Progress(*COLUMNS, console=console) as progress:
        bar = progress.add_task("Simulating people", total=None)

        def show(epoch: TrainingProgress) -> None:
            text = (
                f"epoch {epoch.epoch} of at most {epoch.epochs}, loss {epoch.loss:.3f}, "
                f"validation balanced accuracy {epoch.validation.balanced_accuracy:.3f}"
            )
            progress.update(bar, description=text, completed=epoch.epoch, total=epoch.epochs)

        checkpoint = demo.train_demo(out, seed, show)
    _print(out, checkpoint)


@dataclass(frozen=True)
class TrainFlags:
    """What a command says of the training; None is what was not said."""

    name: str | None
    out: Path | None
    recipe: str
    epochs: int | None
    seed: int
    resume: bool
    scores: Path | None
    licence: str | None
    device: str
    data_dir: Path | None

    def place(self) -> tuple[str, Path]:
        """The checkpoint's name and path; raises ModelNameError."""
        if self.out is not None and self.out.suffix != SUFFIX:
            raise ModelNameError(f"a path that ends in {SUFFIX}", str(self.out), "correct --out")
        name = self.name or (self.out.stem if self.out else None)
        if name is None:
            raise ModelNameError("a name for the checkpoint", "none", "give it one with --name")
        check_name(name)
        path = self.out or models_folder(self.data_dir) / f"{name}{SUFFIX}"
        if path.exists():
            raise ModelNameError(
                "a new checkpoint", f"one at {path}", "choose another name, or take that one away"
            )
        return name, path

    def chosen_recipe(self) -> Recipe:
        """Raises RecipeError."""
        return choose_recipe(self.recipe, self.epochs, self.seed)

    def options(self, name: str) -> list[str]:
        """Those that a command which makes the checkpoint again has besides the data's."""
        epochs = [f"--epochs {self.epochs}"] if self.epochs else []
        device = [f"--device {self.device}"] if self.device != "cpu" else []
        scores = ["--scores evaluation.json"] if self.scores else []
        licence = [f"--licence {shlex.quote(self.licence)}"] if self.licence else []
        chosen = [f"--recipe {self.recipe}", f"--seed {self.seed}", *epochs]
        return [f"--name {name}", *chosen, *device, *licence, *scores]


def choose_recipe(name: str, epochs: int | None, seed: int) -> Recipe:
    """A recipe with another seed and number of epochs; raises RecipeError."""
    recipe = find_recipe(name)
    training = replace(recipe.training, seed=seed)
    if epochs is not None:
        training = replace(training, epochs=epochs)
    return replace(recipe, training=training)


def train_on(data: DataFlags, asked: TrainFlags) -> None:
    """Train a checkpoint on a data set, write it and its card, and print where they are.

    Raises
    ------
    Mismatch
        For each thing that a person can mend; all that can be told before hours of training is.
    """
    name, path = asked.place()
    recipe = asked.chosen_recipe()
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise FittingError("a CUDA device", "none that torch can use", "leave out --device cuda")
    report = load_report(asked.scores) if asked.scores else None
    console = Console(stderr=True)
    dataset = data.open(console)
    job = TrainingJob.of(dataset, recipe, data.baseline, asked.device)
    about = CheckpointDescription(
        name, asked.licence or UNSTATED, *_commands(data, asked, name), report
    )
    checkpoint = _fit(path, dataset, job, about, asked.resume, console)
    _print(path, checkpoint)
    card = path.with_suffix(".md")
    console.print(f"Its card: {card}", highlight=False, markup=False, soft_wrap=True)
    if asked.out is None:
        console.print(f"Use it: mimamba serve --model {name}", highlight=False, markup=False)


def _commands(data: DataFlags, asked: TrainFlags, name: str) -> tuple[str, str]:
    """What makes the checkpoint again, and what evaluates it."""
    epochs = [f"--epochs {asked.epochs}"] if asked.epochs else []
    evaluation = (f"--recipe {asked.recipe}", *epochs, "--out evaluation")
    return data.command("train", *asked.options(name)), data.command("evaluate", *evaluation)


def _fit(
    path: Path,
    dataset: Dataset,
    job: TrainingJob,
    about: CheckpointDescription,
    resume: bool,
    console: Console,
) -> Checkpoint:
    try:
        for folder in (path.parent.parent, path.parent):  # each one made is for its owner alone
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FittingError(
            f"the folder {path.parent}", error.strerror or str(error), "choose another place"
        ) from error
    try:
        with Progress(*COLUMNS, console=console) as progress:
            bar = progress.add_task("Cutting windows", total=None)

            def show(epoch: FitProgress) -> None:
                most = "at most " if epoch.phase == "selection" else ""
                text = (
                    f"{PHASES[epoch.phase]}: epoch {epoch.epoch} of {most}{epoch.epochs}, "
                    f"loss {epoch.loss:.3f}"
                )
                if epoch.balanced_accuracy is not None:
                    text += f", validation balanced accuracy {epoch.balanced_accuracy:.3f}"
                progress.update(bar, description=text, completed=epoch.epoch, total=epoch.epochs)

            return fit(path, dataset, job, about, resume, show)
    except KeyboardInterrupt:
        if path.with_suffix(".training").exists():
            console.print("Its epochs are kept: the same command with --resume goes on.")
        raise


def _print(path: Path, checkpoint: Checkpoint) -> None:
    Console().print(
        f"{path}: SHA-256 {checkpoint.sha256}", highlight=False, markup=False, soft_wrap=True
    )
    for name, value in checkpoint.scores.items():
        if name.endswith("/balanced_accuracy"):
            Console().print(f"  {name}: {value:.3f}", highlight=False, markup=False)
