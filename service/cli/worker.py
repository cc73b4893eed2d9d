"""Command ``worker``: compute sessions of a bus."""

from __future__ import annotations

from typing import Annotated

import typer

from mimamba.service.cli.options import (
    LIVE,
    Config,
    DataDir,
    Device,
    LogFormat,
    LogLevel,
    Memory,
    Model,
    Precision,
    one_line_errors,
)
from mimamba.service.server.runtime_tuning import freeze_gc

app = typer.Typer()


@app.command(rich_help_panel=LIVE)
def worker(
    bus: Annotated[
        str, typer.Option(help="Address of a NATS server, nats://HOST:4222; several with commas.")
    ],
    capacity: Annotated[
        int, typer.Option(help="Sessions that this worker computes at most.", min=1, max=10_000)
    ] = 200,
    detect: Annotated[
        str | None,
        typer.Option(
            help="Mark events of the signal: blink, jaw, or both with a comma. [default: none]",
            show_default=False,
        ),
    ] = None,
    model: Model = None,
    memory: Memory = True,
    device: Device = None,
    precision: Precision = None,
    data_dir: DataDir = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    config: Config = None,
) -> None:
    """Compute sessions of a bus; start as many workers as the sessions need.

    Headsets come with `mimamba acquire --to nats://..`, and pages with `mimamba serve --bus`.
    """
    with one_line_errors():
        with freeze_gc():
            from mimamba.service.server.run_worker import run_worker
            from mimamba.service.settings.load import find_config, make_settings

        flags = {
            "bus": bus,
            "detect": detect,
            "model": model,
            "memory": None if memory else False,
            "device": device,
            "precision": precision,
            "data_dir": data_dir,
            "log_format": log_format,
            "log_level": log_level,
        }
        given = {name: value for name, value in flags.items() if value is not None}
        run_worker(make_settings(given, find_config(config)), capacity)
