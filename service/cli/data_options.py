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

Root = Annotated[Path, typer.Option(help="Folder of the data set. Nothing is downloaded.")]
Outputs = Annotated[
    str | None,
    typer.Option(
        help="Outputs to predict, separated by commas: valence,arousal. For BIDS, the name of the "
        "one output. [default: all that the data set has]",
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
    float,
    typer.Option(
        help="Length of each person's rest, by which their windows are aligned, s; the data set "
        "must have rest. [default: 0, no alignment]",
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
Label = Annotated[
    str | None,
    typer.Option(
        help="Source of the labels: task, trial_type, participants:COLUMN or scans:COLUMN. "
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
    baseline
        Length of each person's rest, s; 0 for none.
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
    baseline: float
    label: str | None = None
    rest: str | None = None
    tasks: str | None = None
    classes: str | None = None
    seconds: float | None = None
    threshold: float | None = None

    def open(self, console: Console) -> Dataset:
        """Open the data set, and print a summary, the substituted electrodes, and its notices.

        Raises
        ------
        DatasetError, MontageError, LibraryMissing
            As ``open_dataset``; also if the baseline is too long.
        """
        from mimamba.models.datasets.dataset import DatasetError
        from mimamba.models.datasets.open import open_dataset
        from mimamba.models.signal.baseline import MAX_BASELINE
        from mimamba.service.server.console import print_montage

        if not 0 <= self.baseline <= MAX_BASELINE:
            raise DatasetError(
                f"a baseline of 0 to {MAX_BASELINE:g} s",
                f"{self.baseline:g} s",
                "correct --baseline",
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

        if all(value is None for _, value in self._bids_flags()):
            return None
        return BidsOptions(
            self.label or "task", self.rest, _split(self.tasks), _split(self.classes), self.seconds
        )

    def _bids_flags(self) -> list[tuple[str, str | float | None]]:
        return [
            ("label", self.label),
            ("rest", self.rest),
            ("tasks", self.tasks),
            ("classes", self.classes),
            ("seconds", self.seconds),
        ]

    def command(self, verb: str, *more: str) -> str:
        """Write the command line that repeats this; DIR replaces the folder, which is private."""
        flags = [
            ("outputs", self.outputs),
            ("montage", self.montage),
            ("people", self.people),
            ("baseline", self.baseline or None),
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
