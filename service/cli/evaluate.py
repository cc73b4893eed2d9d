"""``mimamba evaluate``: how good the network is on a data set, as a table and as files."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mimamba.drivers.errors import LibraryMissing, Mismatch, UserError
from mimamba.models.datasets.dataset import Dataset
from mimamba.models.evaluation.candidates.candidate_set import CandidateSet
from mimamba.models.evaluation.evaluator import EvaluationProgress, evaluate_dataset
from mimamba.models.evaluation.protocols import PROTOCOLS, ProtocolName
from mimamba.models.evaluation.report import notes_of, save_report, to_table, to_text, warnings_of
from mimamba.models.evaluation.results import EvaluationReport
from mimamba.service.cli.dataset_options import DataFlags
from mimamba.service.cli.train import choose_recipe


class CannotEvaluate(UserError):
    """No protocol says anything of this set; one clear line."""


@dataclass(frozen=True)
class EvaluateFlags:
    """What a command says of the evaluation; None is what was not said."""

    out: Path
    protocol: Literal["paper", "trial", "subject", "all"]
    folds: int
    recipes: tuple[str, ...]
    rivals: bool
    ablations: bool
    permute: bool
    epochs: int | None
    seed: int

    @property
    def protocols(self) -> Sequence[ProtocolName]:
        return PROTOCOLS if self.protocol == "all" else (self.protocol,)

    def candidate_set(self) -> CandidateSet:
        """Candidates to evaluate; raises RecipeError."""
        names = dict.fromkeys(self.recipes)
        recipes = tuple(choose_recipe(name, self.epochs, self.seed) for name in names)
        return CandidateSet(recipes, self.ablations, self.rivals)


def evaluate(data: DataFlags, asked: EvaluateFlags) -> None:
    """Evaluate, print the table, write the files.

    Raises
    ------
    CannotEvaluate
        If every protocol is refused.
    Mismatch
        For each thing that a person can mend; all that can be told before hours of training is.
    """
    candidate_set = asked.candidate_set()
    _check_place(asked.out)
    _check_extra()
    console = Console(stderr=True)
    dataset = data.open(console)
    report = _evaluate(dataset, candidate_set, data.baseline, asked, console)
    if not report.evaluations:
        refused = (f"{protocol}: {reason}" for protocol, reason in report.refused.items())
        raise CannotEvaluate("; ".join(refused))
    _print(report)
    for path in save_report(report, asked.out):
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)


def _print(report: EvaluationReport) -> None:
    """To a terminal as wide as it is; elsewhere as the file has it."""
    out = Console()
    if not out.is_terminal:
        sys.stdout.write(to_text(report))
        return
    for part in (*warnings_of(report), to_table(report), *notes_of(report)):
        out.print(part, highlight=False, markup=False)


def _evaluate(
    dataset: Dataset,
    candidate_set: CandidateSet,
    baseline: float,
    asked: EvaluateFlags,
    console: Console,
) -> EvaluationReport:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Cutting windows", total=None)

        def show(step: EvaluationProgress) -> None:
            text = f"{step.protocol}: fold {step.fold} of {step.n_folds}: {step.candidate}"
            progress.update(bar, description=text, completed=step.done, total=step.total)

        return evaluate_dataset(
            dataset,
            candidate_set,
            baseline,
            protocols=asked.protocols,
            n_folds=asked.folds,
            seed=asked.seed,
            permute=asked.permute,
            on_progress=show,
        )


def _check_place(folder: Path) -> None:
    """Raises Mismatch if the folder holds an evaluation, or cannot be one's place."""
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


def _check_extra() -> None:
    """Raises LibraryMissing where the picture could not be drawn at the end."""
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise LibraryMissing(
            "matplotlib, for the picture of an evaluation",
            f"not installed ({error.name})",
            "install it: pip install 'mimamba[train]'",
        ) from error
