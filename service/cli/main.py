"""The program ``mimamba``: all commands together.

Every command imports what it needs when it runs, so that help and errors appear quickly.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mimamba.service.cli import (
    acquire,
    control,
    doctor,
    evaluate,
    models,
    recordings,
    replay,
    score,
    serve,
    train,
    watch,
    worker,
)
from mimamba.service.cli.live import access_tokens, agent, record, sessions, share
from mimamba.service.cli.personal import calibrate, evaluate_personal, people, rate, rules, study
from mimamba.service.server.console import system_errors_in_words

NOT_MEDICAL = "mimamba is not a medical device."


class Commands(TyperGroup):
    """The commands, of which one has a name of two words."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # Typer's own types are private
        """Find the command that begins the arguments."""
        if args[:2] == evaluate_personal.NAME.split():
            args = [evaluate_personal.NAME, *args[2:]]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    help=f"Stream consumer EEG, and predict emotion from it in real time.\n\n{NOT_MEDICAL}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for module in (
    serve,
    watch,
    sessions,
    share,
    access_tokens,
    record,
    control,
    acquire,
    agent,
    worker,
    recordings,
    people,
    score,
    calibrate,
    study,
    rules,
    replay,
    models,
    train,
    evaluate,
    evaluate_personal,
    rate,
    doctor,
):
    app.add_typer(module.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mimamba {version('mimamba')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options without a command."""


def main() -> None:
    """Run the console script."""
    with system_errors_in_words():
        app()
