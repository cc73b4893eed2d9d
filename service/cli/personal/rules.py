"""Command ``rules try``: a dry run of rules over a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from mimamba.service.cli.options import (
    LIVE,
    DataDir,
    complete_recording,
    find_recording,
    one_line_errors,
)
from mimamba.service.server.console import print_list

if TYPE_CHECKING:
    from mimamba.service.rules.dry_run import DryAct
    from mimamba.service.rules.rule_file import Rule

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
        columns: Mapping[str, Callable[[DryAct], str]] = {
            "at, s": lambda act: f"{act.seconds:.1f}",
            "rule": lambda act: act.rule.name,
            "value": lambda act: f"{act.value:.2f}",
            "would": lambda act: _deeds(act.rule),
        }
        if acts:
            print_list(acts, False, columns)
        counts = [f"{rule.name}: {sum(act.rule is rule for act in acts)}" for rule in found]
        Console().print(escape(f"{', '.join(counts)}. Nothing was sent."), highlight=False)


def _deeds(rule: Rule) -> str:
    """Return what a rule does, in words."""
    does = {
        "post to": rule.webhook,
        "send to": rule.osc,
        "publish to": rule.mqtt,
        "set the marker": rule.marker,
    }
    return ", ".join(f"{verb} {target}" for verb, target in does.items() if target)
