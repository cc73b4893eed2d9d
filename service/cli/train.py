"""Command ``train``: train a checkpoint, with its progress in the terminal."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mimamba.service.cli.dataset_options import (
    Baseline,
    BaselineFrom,
    Classes,
    DatasetOptions,
    Epochs,
    Label,
    Montage,
    Outputs,
    People,
    Rest,
    Root,
    Seconds,
    Seed,
    Tasks,
    Threshold,
)
from mimamba.service.cli.options import MODELS, DataDir, one_line_errors

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from mimamba.models.checkpoints.checkpoint import Checkpoint
    from mimamba.models.datasets.dataset import Dataset
    from mimamba.models.training.recipes import Recipe
    from mimamba.models.training.trainer import TrainingProgress
    from mimamba.models.training_jobs.fit import FitProgress
    from mimamba.models.training_jobs.job import CheckpointDescription, TrainingJob

PHASES = {"selection": "Selecting the number of epochs", "final": "Training on all people"}
UNSTATED = "not stated; the data set's own terms apply"

app = typer.Typer()
train = typer.Typer(
    help="Train a checkpoint on your copy of a data set, or the demo on simulated EEG.",
    no_args_is_help=True,
)
app.add_typer(train, name="train", rich_help_panel=MODELS)


@train.command("demo")
def train_demo(
    out: Annotated[Path, typer.Option(help="File for the checkpoint.")] = Path("demo.safetensors"),
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
) -> None:
    """Train the demo checkpoint on simulated EEG, like the shipped one."""
    with one_line_errors():
        from rich.console import Console

        from mimamba.models.training_jobs import demo

        with _progress(Console(stderr=True)) as progress:
            bar = progress.add_task("Simulating people", total=None)

            def show(epoch: TrainingProgress) -> None:
                text = (
                    f"epoch {epoch.epoch} of at most {epoch.epochs}, loss {epoch.loss:.3f}, "
                    f"validation balanced accuracy {epoch.validation.balanced_accuracy:.3f}"
                )
                progress.update(bar, description=text, completed=epoch.epoch, total=epoch.epochs)

            checkpoint = demo.train_demo(out, seed, show)
        _print_scores(out, checkpoint)


@train.command("bids", short_help="On any BIDS-EEG data set.")  # the last one is listed first
@train.command("seed", short_help="On SEED: folder Preprocessed_EEG.")
@train.command("dreamer", short_help="On DREAMER: file DREAMER.mat.")
@train.command("deap", short_help="On DEAP, preprocessed: files s01.dat to s32.dat, or .mat.")
def train_on_dataset(
    context: typer.Context,
    root: Root,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the checkpoint, for --model NAME. [default: the name of --out]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the checkpoint. [default: by its name, in the folder of your models]",
            show_default=False,
        ),
    ] = None,
    outputs: Outputs = None,
    montage: Montage = "muse",
    people: People = None,
    baseline: Baseline = None,
    baseline_from: BaselineFrom = None,
    recipe: Annotated[
        str, typer.Option(help="spectral or whole (ours), or paper (the network as published).")
    ] = "spectral",
    epochs: Epochs = None,
    choose_r: Annotated[
        bool,
        typer.Option(
            "--choose-r",
            help="Choose r, the share of the state that is carried to the next window, by the live "
            "reading of the people held out, as the row 'r chosen' of `mimamba evaluate` does. "
            "[default: the recipe's r]",
        ),
    ] = False,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a training that was interrupted.")
    ] = False,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="An evaluation.json of `mimamba evaluate` with the same options; its scores are "
            "stored in the checkpoint. [default: none]",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the weights. [default: not stated; the data set's own terms apply]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option(help="Device; cuda is an NVIDIA GPU.")
    ] = "cpu",
    label: Label = None,
    rest: Rest = None,
    tasks: Tasks = None,
    classes: Classes = None,
    seconds: Seconds = None,
    threshold: Threshold = None,
    data_dir: DataDir = None,
) -> None:
    """Train a checkpoint on your copy of this data set.

    The number of epochs is chosen on people who are held out. Then the network is trained on all
    people. The state is saved after each epoch; see --resume.
    """
    with one_line_errors():
        bids = (label, rest, tasks, classes, seconds)
        kind = str(context.info_name)
        data = DatasetOptions(
            kind, root, outputs, montage, people, baseline, baseline_from, *bids, threshold
        )
        options = TrainingOptions(
            name, out, recipe, epochs, choose_r, seed, resume, scores, licence, device, data_dir
        )
        _train(data, options)


@dataclass(frozen=True)
class TrainingOptions:
    """A training as the command line describes it; None for an option that was not given."""

    name: str | None
    out: Path | None
    recipe: str
    epochs: int | None
    choose_r: bool
    seed: int
    resume: bool
    scores: Path | None
    licence: str | None
    device: str
    data_dir: Path | None

    def checkpoint_path(self) -> tuple[str, Path]:
        """Return the checkpoint's name and path; raises ModelNameError."""
        from mimamba.models.checkpoints.checkpoint import SUFFIX
        from mimamba.service.storage.own_checkpoints import (
            ModelNameError,
            check_name,
            models_folder,
        )

        if self.out is not None and self.out.suffix != SUFFIX:
            raise ModelNameError(f"a path that ends in {SUFFIX}", str(self.out), "correct --out")
        name = self.name or (self.out.stem if self.out else None)
        if name is None:
            raise ModelNameError("a name for the checkpoint", "none", "give it one with --name")
        check_name(name)
        path = self.out or models_folder(self.data_dir) / f"{name}{SUFFIX}"
        if path.exists():
            raise ModelNameError(
                "a new checkpoint", f"one at {path}", "choose another name, or move that file away"
            )
        return name, path

    def flags(self, name: str) -> list[str]:
        """Write the options that repeat this training, without those of the data set."""
        epochs = [f"--epochs {self.epochs}"] if self.epochs else []
        device = [f"--device {self.device}"] if self.device != "cpu" else []
        scores = ["--scores evaluation.json"] if self.scores else []
        licence = [f"--licence {shlex.quote(self.licence)}"] if self.licence else []
        chosen = [f"--recipe {self.recipe}", f"--seed {self.seed}", *epochs]
        chosen += ["--choose-r"] if self.choose_r else []
        return [f"--name {name}", *chosen, *device, *licence, *scores]


def choose_recipe(name: str, epochs: int | None, seed: int) -> Recipe:
    """Return a recipe with this seed and, if given, number of epochs; raises RecipeError."""
    from mimamba.models.training.recipes import find_recipe

    recipe = find_recipe(name)
    training = replace(recipe.training, seed=seed)
    if epochs is not None:
        training = replace(training, epochs=epochs)
    return replace(recipe, training=training)


def _train(data: DatasetOptions, options: TrainingOptions) -> None:
    """Train a checkpoint, write it and its card, and print their paths.

    Raises
    ------
    Mismatch
        If an option cannot be used; as far as possible before the hours of training.
    """
    import torch
    from rich.console import Console

    from mimamba.models.evaluation.report import load_report
    from mimamba.models.training_jobs.fit import FittingError
    from mimamba.models.training_jobs.job import CheckpointDescription, TrainingJob

    name, path = options.checkpoint_path()
    recipe = choose_recipe(options.recipe, options.epochs, options.seed)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise FittingError("a CUDA device", "none that torch can use", "leave out --device cuda")
    report = load_report(options.scores) if options.scores else None
    console = Console(stderr=True)
    dataset = data.open(console)
    job = TrainingJob.of(dataset, recipe, data.baseline, options.device, options.choose_r)
    epochs = [f"--epochs {options.epochs}"] if options.epochs else []
    training = data.command("train", *options.flags(name))
    evaluation = data.command("evaluate", f"--recipe {options.recipe}", *epochs, "--out evaluation")
    description = CheckpointDescription(
        name, options.licence or UNSTATED, training, evaluation, report
    )
    checkpoint = _fit(path, dataset, job, description, options.resume, console)
    _print_scores(path, checkpoint)
    card = path.with_suffix(".md")
    console.print(f"Its card: {card}", highlight=False, markup=False, soft_wrap=True)
    if options.out is None:
        console.print(f"Use it: mimamba serve --model {name}", highlight=False, markup=False)


def _fit(
    path: Path,
    dataset: Dataset,
    job: TrainingJob,
    description: CheckpointDescription,
    resume: bool,
    console: Console,
) -> Checkpoint:
    from mimamba.models.training_jobs.fit import FittingError, fit

    try:
        for folder in (path.parent.parent, path.parent):  # only the owner may read new folders
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FittingError(
            f"the folder {path.parent}", error.strerror or str(error), "choose another with --out"
        ) from error
    try:
        with _progress(console) as progress:
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

            return fit(path, dataset, job, description, resume, show)
    except KeyboardInterrupt:
        if path.with_suffix(".training").exists():
            console.print("The epochs so far are saved. Continue with the same command, --resume.")
        raise


def _progress(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _print_scores(path: Path, checkpoint: Checkpoint) -> None:
    from rich.console import Console

    console = Console()
    line = f"{path}: SHA-256 {checkpoint.sha256}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    for name, value in checkpoint.scores.items():
        if name.endswith("/balanced_accuracy"):
            console.print(f"  {name}: {value:.3f}", highlight=False, markup=False)
