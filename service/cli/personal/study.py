"""Command ``study check``: check a protocol before the person sits there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape

from mimamba.drivers.formats.bids_facts import HED_VERSION
from mimamba.service.cli.options import LIVE, one_line_errors
from mimamba.service.server.console import print_list

if TYPE_CHECKING:
    from mimamba.service.studies.protocol_file import StudyProtocol, StudyStep

NumberedStep: TypeAlias = "tuple[int, StudyStep]"
COLUMNS: Final[Mapping[str, Callable[[NumberedStep], str]]] = {
    "step": lambda each: f"{each[0]}",
    "seconds": lambda each: "" if each[1].seconds is None else f"{each[1].seconds:g}",
    "marker": lambda each: each[1].marker,
    "shows": lambda each: each[1].text,
    "asks": lambda each: _question(each[1]),
}
"""Facts about a step by the headings of the table."""

app = typer.Typer()
study = typer.Typer(help="Studies: protocols of timed steps.", no_args_is_help=True)
app.add_typer(study, name="study", rich_help_panel=LIVE)


@study.callback()
def options() -> None:
    """Studies: protocols of timed steps, which the page runs on a session."""


@study.command()
def check(file: Annotated[Path, typer.Argument(help="TOML file of a study.")]) -> None:
    """Check a study's file, and print its steps with the markers that they set.

    HED tags are looked up in their schema if hedtools is installed, else their form is checked.
    """
    with one_line_errors(least_memory=0):
        from mimamba.service.studies.hed_tags import can_look_up
        from mimamba.service.studies.protocol_file import read_study

        found = read_study(file)
        if any(step.hed for step in found.steps) and can_look_up():
            _check_schema(found, file.name)
        print_list(list(enumerate(found.steps, 1)), False, COLUMNS)
        begin = "once all electrodes are good" if found.wait_for_contact else "at once"
        recorded = "it is recorded" if found.record else "it is not recorded"
        minutes = found.planned / 60
        Console().print(
            escape(
                f"{found.title}: about {minutes:.1f} min; it begins {begin}; {recorded}"
                f"{_feedback(found)}."
            ),
            highlight=False,
        )


def _question(step: StudyStep) -> str:
    """Return what a step waits for, in words."""
    return "a rating" if step.rating else "" if step.seconds is not None else "a key"


def _feedback(found: StudyProtocol) -> str:
    """Return the feedback of a study in words; nothing without any."""
    wanted = found.feedback
    if wanted is None:
        return ""
    steps = [f"{number}" for number, step in enumerate(found.steps, 1) if step.feedback]
    values = {
        "real": "their own values",
        "sham": "a sham",
        "drawn": "own values or a sham, drawn for each run",
        "balanced": f"own values or a sham, balanced in blocks of {wanted.block} people",
    }
    return (
        f"; feedback while {wanted.quantity} is {wanted.side} {wanted.at:g} in step "
        f"{', '.join(steps)}: {values[wanted.choice]}"
    )


def _check_schema(found: StudyProtocol, file: str) -> None:
    """Raise BadStudy for the first step whose HED tags the schema does not have."""
    from mimamba.service.studies.hed_tags import schema_problems
    from mimamba.service.studies.protocol_file import BadStudy

    problems = schema_problems(step.hed for step in found.steps if step.hed)
    for number, step in enumerate(found.steps, 1):
        if step.hed in problems:
            raise BadStudy(
                f"tags of HED {HED_VERSION} in the field hed of step {number} of {file}",
                f"{step.hed!r} ({problems[step.hed].rstrip('.')})",
                "correct it",
            )
