"""Run measurements one after the other; print their figures as a table and write them as JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mimamba.service.bench.figures import Figure, NotRun
from mimamba.service.bench.machine import StealTime, describe_machine
from mimamba.service.bench.measurements import Measurement

WIDTH = 120
"""Columns of the table where the output is not a terminal."""
STOLEN = "CPU time taken away by the host"


def run_measurements(
    chosen: Mapping[str, Measurement], seconds: float | None, file: Path | None
) -> bool:
    """Measure, and print the table.

    Parameters
    ----------
    chosen
        The measurements, by name.
    seconds
        Approximate duration of each, s; None for the default of each.
    file
        File for the figures as JSON, written after each measurement; None for none.

    Returns
    -------
    bool
        False if an aim was missed.
    """
    machine = describe_machine()
    found: dict[str, list[Figure]] = {}
    left_out: dict[str, str] = {}
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for nth, (name, measurement) in enumerate(chosen.items()):
            text = f"{nth + 1} of {len(chosen)}: {measurement.about}"
            task = progress.add_task(text, total=None)
            stolen = StealTime()
            try:
                found[name] = measurement.run(seconds or measurement.seconds)
                if share := stolen.share():
                    found[name].append(Figure(STOLEN, share, "%"))
            except NotRun as reason:
                left_out[name] = str(reason)
            progress.remove_task(task)
            if file is not None:
                result = {"machine": machine, "figures": found, "not_run": left_out}
                file.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if found:
        console.print(make_table(machine, found))
    for name, why in left_out.items():
        console.print(f"{name}: not run. {why}", markup=False, highlight=False, soft_wrap=True)
    return not any(each.met is False for figures in found.values() for each in figures)


def make_table(machine: str, found: Mapping[str, list[Figure]]) -> Table:
    """Make a table of all figures, grouped by measurement."""
    table = Table("", "figure", title="Figures", caption=machine)
    table.add_column("", justify="right")
    for heading in ("unit", "aim", "met"):
        table.add_column(heading)
    for name, figures in found.items():
        for nth, figure in enumerate(figures):
            met = "" if figure.met is None else "yes" if figure.met else "no"
            value = f"{figure.value:,.0f}" if abs(figure.value) >= 1000 else f"{figure.value:.3g}"
            table.add_row(
                "" if nth else name, figure.what, value, figure.unit, figure.aim or "", met
            )
        table.add_section()
    return table
