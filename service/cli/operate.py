"""Commands for who runs a service: ``config``, ``doctor``, ``sources``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mimamba.service.cli.options import Config, DataDir, one_line_errors

app = typer.Typer()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def config(context: typer.Context) -> None:
    """What mimamba serve would run with, and where each setting came from.

    Takes the flags of mimamba serve.
    """
    with one_line_errors():
        from mimamba.service.settings.load import make_settings
        from mimamba.service.settings.sources import find_config, origins, show_config

        flags = _flags_of_serve(context)
        file = find_config(flags.pop("config", None))
        show_config(make_settings(flags, file), origins(flags, file))


@app.command()
def doctor(
    data_dir: DataDir = None,
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not measure the latency, which takes 15 s.")
    ] = False,
) -> None:
    """Look whether all is there that mimamba needs; status 1 where something fails."""
    with one_line_errors():
        from mimamba.service.doctor.doctor import run_checks as run
        from mimamba.service.settings.load import find_stepping
        from mimamba.service.settings.sources import find_config

        if not run(find_stepping(data_dir, find_config(config)), json, quick):
            raise typer.Exit(1)


@app.command()
def sources(
    timeout: Annotated[float, typer.Option(help="Seconds to listen.", min=0.1, max=60)] = 5.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What can be watched: headsets that are near, LSL streams, boards known, the simulator."""
    with one_line_errors():
        from mimamba.service.cli.show_sources import show_sources

        show_sources(timeout, json)


def _flags_of_serve(context: typer.Context) -> dict[str, Any]:
    """The flags of ``mimamba serve`` on this command's line, and those alone."""
    assert context.parent is not None
    group = context.parent.command
    assert isinstance(group, TyperGroup)
    with group.commands["serve"].make_context("serve", list(context.args)) as serve:
        return {name: value for name, value in serve.params.items() if _given(serve, name)}


def _given(context: Any, name: str) -> bool:
    """Whether a parameter is on the command line, and not from elsewhere."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
