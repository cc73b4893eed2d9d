"""Command ``evaluate``: the network's accuracy on a data set, as a table and as files."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mimamba.drivers.errors import LibraryMissing, Mismatch, UserError
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
from mimamba.service.cli.options import MODELS, one_line_errors
from mimamba.service.cli.train import choose_recipe

if TYPE_CHECKING:
    from rich.console import Console

    from mimamba.models.datasets.dataset import Dataset
    from mimamba.models.evaluation.candidates.candidate_set import CandidateSet
    from mimamba.models.evaluation.evaluator import EvaluationProgress
    from mimamba.models.evaluation.protocols import ProtocolName
    from mimamba.models.evaluation.results import EvaluationReport
    from mimamba.models.evaluation.splits import PeopleSplit

app = typer.Typer()


class CannotEvaluate(UserError):
    """No protocol is possible on this data set; one line."""


@app.command(rich_help_panel=MODELS)
def evaluate(
    kind: Annotated[Literal["deap", "dreamer", "seed", "bids"], typer.Argument(help="Data set.")],
    root: Root,
    out: Annotated[
        Path,
        typer.Option(help="New folder for evaluation.txt, .json and .png, and live.png."),
    ],
    protocol: Annotated[
        Literal["paper", "trial", "subject", "all"],
        typer.Option(
            help="Test data: people held out (subject), trials of known people (trial), or single "
            "windows, which leaks information (paper)."
        ),
    ] = "all",
    split: Annotated[
        str | None,
        typer.Option(
            help="Divide the people by a published split instead of the protocols: "
            "openeegbench-zyma2019, openeegbench-faced, eegain-deap, eegain-deap-fixed, libeer or "
            "a name of LibEER's settings; or by a JSON file with lists named train, validation and "
            "test. [default: none]",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[int, typer.Option(help="Maximum number of folds.", min=2)] = 5,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="spectral or whole (ours), or paper (as published); repeat for several. "
            "[default: spectral]",
            show_default=False,
        ),
    ] = None,
    rivals: Annotated[
        bool,
        typer.Option(
            "--rivals/--no-rivals",
            help="Also evaluate published networks and band-power classifiers.",
        ),
    ] = True,
    ablations: Annotated[
        bool,
        typer.Option(
            "--ablations/--no-ablations",
            help="Also evaluate the network without some of its parts.",
        ),
    ] = True,
    encoder: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of a pretrained network, written by save_pretrained of braindecode: "
            "frozen, with a head that is trained; repeat for several. [default: none]",
            show_default=False,
        ),
    ] = None,
    permute: Annotated[
        bool,
        typer.Option(
            "--permute", help="Permute the labels first; every result should be at chance."
        ),
    ] = False,
    threshold: Threshold = None,
    windows: Annotated[
        float | None,
        typer.Option(help="Length of the windows, s. [default: the recipe's]", show_default=False),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            help="Distance of the windows, s. [default: the recipe's]", show_default=False
        ),
    ] = None,
    outputs: Outputs = None,
    montage: Montage = "muse",
    people: People = None,
    baseline: Baseline = None,
    baseline_from: BaselineFrom = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    label: Label = None,
    rest: Rest = None,
    tasks: Tasks = None,
    classes: Classes = None,
    seconds: Seconds = None,
) -> None:
    """Evaluate the network and other methods on your copy of a data set.

    Up to three protocols are used; nothing is chosen on test data. This needs matplotlib,
    scikit-learn and skorch, and braindecode for published networks.
    """
    with one_line_errors():
        bids = (label, rest, tasks, classes, seconds)
        data = DatasetOptions(
            kind, root, outputs, montage, people, baseline, baseline_from, *bids, threshold
        )
        recipes = tuple(recipe or ["spectral"])
        options = EvaluationOptions(
            out,
            protocol,
            folds,
            recipes,
            rivals,
            ablations,
            permute,
            epochs,
            seed,
            split,
            windows,
            hop,
            tuple(encoder or ()),
        )
        _evaluate(data, options)


@dataclass(frozen=True)
class EvaluationOptions:
    """An evaluation as the command line describes it; None for an option that was not given."""

    out: Path
    protocol: Literal["paper", "trial", "subject", "all"]
    folds: int
    recipes: tuple[str, ...]
    rivals: bool
    ablations: bool
    permute: bool
    epochs: int | None
    seed: int
    split: str | None = None
    windows: float | None = None
    hop: float | None = None
    encoders: tuple[Path, ...] = ()

    @property
    def protocols(self) -> Sequence[ProtocolName]:
        """All protocols, or the one that was chosen."""
        from mimamba.models.evaluation.protocols import PROTOCOLS

        return PROTOCOLS if self.protocol == "all" else (self.protocol,)

    def candidates(self) -> CandidateSet:
        """Return the methods to compare; raises RecipeError."""
        from mimamba.models.evaluation.candidates.candidate_set import CandidateSet

        names = dict.fromkeys(self.recipes)
        recipes = tuple(
            choose_recipe(name, self.epochs, self.seed).resized(self.windows, self.hop)
            for name in names
        )
        has_split = self.split is not None
        return CandidateSet(recipes, self.ablations, self.rivals, has_split, self.encoders)

    def people_split(self, kind: str) -> PeopleSplit | None:
        """Return the split that was chosen; raises SplitError."""
        from mimamba.models.evaluation.splits import SplitError, find_split

        if self.split is None:
            return None
        if self.protocol != "all":
            raise SplitError("a split or a protocol", "both", "leave out --protocol or --split")
        return find_split(self.split, kind, self.seed)


def _evaluate(data: DatasetOptions, options: EvaluationOptions) -> None:
    """Evaluate, print the table, and write the files.

    Raises
    ------
    CannotEvaluate
        If no protocol is possible on this data set.
    Mismatch
        If an option cannot be used; as far as possible before the hours of training.
    """
    from rich.console import Console

    from mimamba.models.evaluation.report import save_report

    candidates = options.candidates()
    split = options.people_split(data.kind)
    _check_folder(options.out)
    _check_matplotlib()
    console = Console(stderr=True)
    dataset = data.open(console)
    report = _run(dataset, candidates, data, options, split, console)
    if not report.evaluations:
        refused = (f"{protocol}: {reason}" for protocol, reason in report.refused.items())
        raise CannotEvaluate("; ".join(refused))
    _print(report)
    for path in save_report(report, options.out):
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)


def _print(report: EvaluationReport) -> None:
    """Fit the table to a terminal's width; elsewhere print it as in the file."""
    from rich.console import Console

    from mimamba.models.evaluation.report import to_parts, to_text

    out = Console()
    if not out.is_terminal:
        sys.stdout.write(to_text(report))
        return
    for part in to_parts(report):
        out.print(part, highlight=False, markup=False)


def _run(
    dataset: Dataset,
    candidates: CandidateSet,
    data: DatasetOptions,
    options: EvaluationOptions,
    split: PeopleSplit | None,
    console: Console,
) -> EvaluationReport:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from mimamba.models.datasets.open import MIDDLES
    from mimamba.models.evaluation.evaluator import evaluate_dataset

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Cutting windows", total=None)

        def show(step: EvaluationProgress) -> None:
            text = f"{step.protocol}: fold {step.fold} of {step.n_folds}: {step.candidate}"
            progress.update(bar, description=text, completed=step.done, total=step.total)

        return evaluate_dataset(
            dataset,
            candidates,
            data.baseline,
            protocols=options.protocols,
            n_folds=options.folds,
            seed=options.seed,
            permute=options.permute,
            split=split,
            threshold=MIDDLES.get(data.kind) if data.threshold is None else data.threshold,
            on_progress=show,
        )


def _check_folder(folder: Path) -> None:
    """Create the folder; raises Mismatch if it has an evaluation, or cannot be created."""
    if (folder / "evaluation.json").exists():
        raise Mismatch(
            "a folder for a new evaluation", f"one in {folder}", "choose another with --out"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Mismatch(
            f"the folder {folder}", error.strerror or str(error), "choose another with --out"
        ) from error


def _check_matplotlib() -> None:
    """Raise LibraryMissing now, if the picture could not be drawn at the end."""
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise LibraryMissing(
            "matplotlib, for the picture of an evaluation",
            f"not installed ({error.name})",
            "install it: pip install matplotlib",
        ) from error
