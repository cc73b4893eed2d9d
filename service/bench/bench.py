"""``mimamba bench``: what this machine can do, as a table and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mimamba.service.bench.figures import Figure, NotRun
from mimamba.service.bench.machine import StealTime, describe_machine
from mimamba.service.bench.registry import choose

WIDTH = 120
"""Columns of the table where no terminal says how many there are."""
STOLEN = "meanwhile the host gave others, of the processors"


def bench(names: Sequence[str], seconds: float | None, file: Path | None) -> bool:
    """Measure, and print the table; whether no aim was missed.

    Parameters
    ----------
    names
        Which measurements; the usual where none is named.
    seconds
        About how long each takes; None takes what suits it.
    file
        Where the figures are written as JSON, after each measurement.

    Raises
    ------
    NoMeasurement
        If there is none of that name.
    """
    chosen, machine = choose(names), describe_machine()
    found: dict[str, list[Figure]] = {}
    left: dict[str, str] = {}
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for nth, (name, measurement) in enumerate(chosen.items()):
            told = f"{nth + 1} of {len(chosen)}: {measurement.about}"
            task = progress.add_task(told, total=None)
            stolen = StealTime()
            try:
                found[name] = measurement.run(seconds or measurement.seconds)
                if share := stolen.share():
                    found[name].append(Figure(STOLEN, share, "%"))
            except NotRun as reason:
                left[name] = str(reason)
            progress.remove_task(task)
            if file is not None:
                made = {"machine": machine, "figures": found, "not_run": left}
                file.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if found:
        console.print(table(machine, found))
    for name, said in left.items():
        console.print(f"{name}: not run: {said}", markup=False, highlight=False, soft_wrap=True)
    return not any(each.met is False for figures in found.values() for each in figures)


def table(machine: str, found: dict[str, list[Figure]]) -> Table:
    """All figures, those of a measurement together."""
    shown = Table("", "figure", title="mimamba bench", caption=machine)
    shown.add_column("", justify="right")
    for heading in ("unit", "aim", "met"):
        shown.add_column(heading)
    for name, figures in found.items():
        for nth, figure in enumerate(figures):
            met = "" if figure.met is None else "yes" if figure.met else "no"
            value = f"{figure.value:,.0f}" if abs(figure.value) >= 1000 else f"{figure.value:.3g}"
            shown.add_row(
                "" if nth else name, figure.what, value, figure.unit, figure.aim or "", met
            )
        shown.add_section()
    return shown
