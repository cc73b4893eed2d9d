"""Command ``study check``: check a protocol before the person sits there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mimamba.service.cli.options import LIVE, one_line_errors

app = typer.Typer()
study = typer.Typer(help="Studies: protocols of timed steps.", no_args_is_help=True)
app.add_typer(study, name="study", rich_help_panel=LIVE)


@study.callback()
def options() -> None:
    """Studies: protocols of timed steps, which the page runs on a session."""


@study.command()
def check(file: Annotated[Path, typer.Argument(help="TOML file of a study.")]) -> None:
    """Check a study's file, and print its steps with the markers that they set."""
    with one_line_errors(least_memory=0):
        from mimamba.service.studies.protocol_file import read_study

        found = read_study(file)
        table = Table("step", "seconds", "marker", "shows", "asks")
        for number, step in enumerate(found.steps, 1):
            asks = "a rating" if step.rating else "" if step.seconds is not None else "a key"
            seconds = "" if step.seconds is None else f"{step.seconds:g}"
            table.add_row(str(number), seconds, escape(step.marker), escape(step.text), asks)
        console = Console()
        console.print(table)
        begin = "once all electrodes are good" if found.wait_for_contact else "at once"
        recorded = "it is recorded" if found.record else "it is not recorded"
        minutes = found.planned / 60
        console.print(
            escape(f"{found.title}: about {minutes:.1f} min; it begins {begin}; {recorded}."),
            highlight=False,
        )
