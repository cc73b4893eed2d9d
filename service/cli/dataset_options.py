"""Options of ``train`` and ``evaluate`` that choose a data set, and its opening."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from mimamba.models.datasets.bids import BidsOptions
    from mimamba.models.datasets.dataset import Dataset

BIDS = "BIDS data sets only"
TASK = "task-"
"""Start of a source of rest that is a task."""
USUAL_REST = 60.0
"""Seconds of rest, where its source is given and its length is not."""

Root = Annotated[Path, typer.Option(help="Folder of the data set. Nothing is downloaded.")]
Outputs = Annotated[
    str | None,
    typer.Option(
        help="Outputs to predict, separated by commas: valence,arousal. For BIDS, a name for each "
        "output. [default: all that the data set has]",
        show_default=False,
    ),
]
Montage = Annotated[
    str,
    typer.Option(
        help="muse, ganglion, all (EEG channels of the data set), or electrodes separated by "
        "commas: Fp1,Fp2,AF3,AF4."
    ),
]
People = Annotated[
    str | None,
    typer.Option(
        help="People whose trials to use, separated by commas: s01,s02. [default: all]",
        show_default=False,
    ),
]
Baseline = Annotated[
    float | None,
    typer.Option(
        help="Length of each person's rest, by which their windows are aligned, s; the data set "
        "must have rest. [default: 0, no alignment; 60 with --baseline-from]",
        show_default=False,
    ),
]
BaselineFrom = Annotated[
    str | None,
    typer.Option(
        help="Source of each person's rest: task-NAME for the recordings of that task in a BIDS "
        "data set, or the path of a file for each person, such as 'rest/{person}.edf'. "
        "[default: rest of the data set]",
        show_default=False,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        help="Maximum number of epochs. [default: the recipe's]", show_default=False, min=1
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all random numbers.", min=0)]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Ratings above it are high; DEAP, DREAMER and BIDS. [default: middle of the scale; "
        "for BIDS, labels as they are]",
        show_default=False,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        help="Source of the labels: task, trial_type, value, events:COLUMN, participants:COLUMN, "
        "scans:COLUMN or table:FILE:COLUMN; several outputs have several, separated by commas. "
        "[default: task]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]
Rest = Annotated[
    str | None,
    typer.Option(
        help="Task in which people rest. [default: none]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        help="Tasks to take trials from, separated by commas. [default: all]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        help="Labels to use, separated by commas. [default: all]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        help="Length of a trial after its event, s. [default: from the events table, or until the "
        "next event]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]


@dataclass(frozen=True)
class DatasetOptions:
    """A data set as the command line describes it; None for an option that was not given.

    Parameters
    ----------
    kind, root, outputs, montage, people
        As for ``open_dataset``.
    given_baseline
        Length of each person's rest, s.
    baseline_from
        Source of the rest: ``task-NAME``, or a path with ``{person}``.
    label, rest, tasks, classes, seconds
        Options of BIDS data sets, as for ``BidsOptions``; tasks and classes separated by commas.
    threshold
        Ratings above it are high.
    """

    kind: str
    root: Path
    outputs: str | None
    montage: str
    people: str | None
    given_baseline: float | None = None
    baseline_from: str | None = None
    label: str | None = None
    rest: str | None = None
    tasks: str | None = None
    classes: str | None = None
    seconds: float | None = None
    threshold: float | None = None

    @property
    def baseline(self) -> float:
        """Length of each person's rest, s; 0 for none."""
        if self.given_baseline is not None:
            return self.given_baseline
        return USUAL_REST if self.baseline_from else 0.0

    @property
    def _rest_task(self) -> str | None:
        """Task in which people rest, if the source of their rest is a task."""
        named = self.baseline_from or ""
        return named.removeprefix(TASK) if self.kind == "bids" and named.startswith(TASK) else None

    def open(self, console: Console) -> Dataset:
        """Open the data set, and print a summary, the substituted electrodes, and its notices.

        Raises
        ------
        DatasetError, MontageError, LibraryMissing
            As ``open_dataset``; also if the baseline is too long.
        """
        from mimamba.models.datasets.dataset import DatasetError
        from mimamba.models.datasets.open import open_dataset
        from mimamba.models.datasets.rest_files import add_rest
        from mimamba.models.signal.baseline import MAX_BASELINE
        from mimamba.service.server.console import print_montage

        if not 0 <= self.baseline <= MAX_BASELINE:
            raise DatasetError(
                f"a baseline of 0 to {MAX_BASELINE:g} s",
                f"{self.baseline:g} s",
                "correct --baseline",
            )
        if self.baseline_from and (self.rest or not self.baseline):
            raise DatasetError(
                "--baseline-from with a baseline above 0 and without --rest",
                f"--rest {self.rest}" if self.rest else "--baseline 0",
                "leave out one of the two",
            )
        with console.status("Reading the data set"):
            dataset = open_dataset(
                self.kind,
                self.root,
                self.montage,
                self.outputs,
                self._bids_options(),
                self.people,
                threshold=self.threshold,
            )
            if self.baseline_from and self._rest_task is None:
                dataset = add_rest(dataset, self.baseline_from)
        outputs = "; ".join(f"{name}: {', '.join(v)}" for name, v in dataset.outputs.items())
        for line in (
            dataset.source,
            f"{len(dataset.trials)} trials of {len(dataset.people)} people; {outputs}",
        ):
            console.print(line, highlight=False, markup=False)
        print_montage(console, dataset.montage)
        for notice in dataset.info.notices:
            console.print(f"  {notice}", style="yellow", highlight=False, markup=False)
        return dataset

    def _bids_options(self) -> BidsOptions | None:
        from mimamba.models.datasets.bids import BidsOptions

        rest = self._rest_task or self.rest
        if rest is None and all(value is None for _, value in self._bids_flags()):
            return None
        return BidsOptions(
            self.label or "task", rest, _split(self.tasks), _split(self.classes), self.seconds
        )

    def _public_source(self) -> str | None:
        """Return the source of the rest without the path of its folder."""
        if self.baseline_from is None or self._rest_task is not None:
            return self.baseline_from
        below = Path(self.baseline_from).parts
        first = next(n for n, part in enumerate(below) if "{person}" in part)
        return "/".join(["REST", *below[first:]])

    def _bids_flags(self) -> list[tuple[str, str | float | None]]:
        return [
            ("label", self.label),
            ("rest", self.rest),
            ("tasks", self.tasks),
            ("classes", self.classes),
            ("seconds", self.seconds),
        ]

    def command(self, verb: str, *more: str) -> str:
        """Write the command line that repeats this; DIR and REST replace private folders."""
        flags = [
            ("outputs", self.outputs),
            ("montage", self.montage),
            ("people", self.people),
            ("baseline", self.baseline or None),
            ("baseline-from", self._public_source()),
            ("threshold", self.threshold),
            *self._bids_flags(),
        ]
        words = [
            f"--{name} {shlex.quote(f'{value:g}' if isinstance(value, float) else str(value))}"
            for name, value in flags
            if value is not None
        ]
        return " ".join(["mimamba", verb, self.kind, "--root DIR", *words, *more])


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()
