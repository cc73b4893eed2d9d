"""The command ``bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamba.service.cli.options import one_line_errors

app = typer.Typer()


@app.command()
def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="This measurement alone; may be given several times: startup, steps, cuda, "
            "latency, held, sessions, subscribers, score, growth, signal, mne-lsl or soak. "
            "[default: all but soak]",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="About how long each measurement takes; fewer sessions are tried in less. "
            "[default: 10 to 120; soak takes 600]",
            show_default=False,
            min=0.1,
            max=3600,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(help="Also write the figures to this file.", show_default=False),
    ] = None,
) -> None:
    """Measure what this machine can do: hops a second, latency, sessions, subscribers.

    The exit status is 1 where an aim is missed.
    """
    with one_line_errors():
        from mimamba.service.bench.bench import run_measurements
        from mimamba.service.bench.registry import choose

        if not run_measurements(choose(only or []), seconds, json):
            raise typer.Exit(1)
