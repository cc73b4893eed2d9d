"""The data set that a command names: opened, and told to the person."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mimamba.models.datasets.bids import BidsOptions
from mimamba.models.datasets.dataset import Dataset, DatasetError
from mimamba.models.datasets.open import open_dataset
from mimamba.models.signal.baseline import MAX_BASELINE
from mimamba.service.server.console import print_montage


@dataclass(frozen=True)
class DataFlags:
    """What a command says of its data set; None is what was not said.

    Parameters
    ----------
    kind, root, outputs, montage, people
        As ``open_dataset`` takes them.
    baseline
        Seconds of each person's rest; 0 for none.
    label, rest, tasks, classes, seconds
        Of a BIDS data set; see ``BidsOptions``. Tasks and classes have commas.
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

    def open(self, console: Console) -> Dataset:
        """Open it, and say what it is, which electrodes stand in, and what must be known of it.

        Raises
        ------
        DatasetError, MontageError, LibraryMissing
            See ``open_dataset``.
        """
        if not 0 <= self.baseline <= MAX_BASELINE:
            raise DatasetError(
                f"a baseline of 0 to {MAX_BASELINE:g} s",
                f"{self.baseline:g} s",
                "correct --baseline",
            )
        with console.status("Reading the data set"):
            dataset = open_dataset(
                self.kind, self.root, self.montage, self.outputs, self._options(), self.people
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

    def _options(self) -> BidsOptions | None:
        if all(value is None for _, value in self._bids()):
            return None
        return BidsOptions(
            self.label or "task", self.rest, _words(self.tasks), _words(self.classes), self.seconds
        )

    def _bids(self) -> list[tuple[str, str | float | None]]:
        return [
            ("label", self.label),
            ("rest", self.rest),
            ("tasks", self.tasks),
            ("classes", self.classes),
            ("seconds", self.seconds),
        ]

    def command(self, verb: str, *more: str) -> str:
        """The command line that does it again on a copy at DIR: whose folder it was is nobody's."""
        flags = [
            ("outputs", self.outputs),
            ("montage", self.montage),
            ("people", self.people),
            ("baseline", self.baseline or None),
            *self._bids(),
        ]
        words = [
            f"--{name} {shlex.quote(f'{value:g}' if isinstance(value, float) else str(value))}"
            for name, value in flags
            if value is not None
        ]
        return " ".join(["mimamba", verb, self.kind, "--root DIR", *words, *more])


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()
