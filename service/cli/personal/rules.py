"""Command ``rules try``: a dry run of rules over a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mimamba.service.cli.options import (
    LIVE,
    DataDir,
    complete_recording,
    find_recording,
    one_line_errors,
)

app = typer.Typer()
rules = typer.Typer(help="Rules: what follows when a value is crossed.", no_args_is_help=True)
app.add_typer(rules, name="rules", rich_help_panel=LIVE)


@rules.callback()
def options() -> None:
    """Rules: what follows when an output, a band or the link crosses a value."""


@rules.command("try")
def try_(
    file: Annotated[Path, typer.Argument(help="TOML file of rules.")],
    recording: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PATH",
            help="Name or title of a recording of mimamba, or its path.",
            autocompletion=complete_recording,
        ),
    ],
    data_dir: DataDir = None,
) -> None:
    """Check rules, and print what they would have done in a recording. Nothing is sent."""
    with one_line_errors():
        from mimamba.service.rules.dry_run import try_rules
        from mimamba.service.rules.rule_file import read_rules

        found = read_rules(file)
        acts = try_rules(found, Path(find_recording(recording, data_dir)))
        table = Table()
        for heading in ("at, s", "rule", "value", "would"):
            table.add_column(heading, overflow="fold")  # never cut
        for act in acts:
            rule = act.rule
            does = [
                *([f"post to {rule.webhook}"] if rule.webhook else []),
                *([f"send to {rule.osc}"] if rule.osc else []),
                *([f"publish to {rule.mqtt}"] if rule.mqtt else []),
                *([f"set the marker {rule.marker}"] if rule.marker else []),
            ]
            seconds, value = f"{act.seconds:.1f}", f"{act.value:.2f}"
            table.add_row(seconds, escape(rule.name), value, escape(", ".join(does)))
        console = Console()
        if acts:
            console.print(table)
        counts = [f"{rule.name}: {sum(act.rule is rule for act in acts)}" for rule in found]
        console.print(escape(f"{', '.join(counts)}. Nothing was sent."), highlight=False)
