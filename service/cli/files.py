"""Commands over files: ``score``, ``convert``, ``recordings``, ``recover``, ``models``.

They need no running service. Each imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.service.cli.options import DataDir, Memory, one_line_errors, recordings_folder

app = typer.Typer()


@app.command()
def score(
    recording: Annotated[str, typer.Argument(help="A recording's path, or a replay:// URL.")],
    model: Annotated[
        str | None,
        typer.Option(
            help=f"A checkpoint's name or path. [default: {DEFAULT_MODEL}]", show_default=False
        ),
    ] = None,
    memory: Memory = True,
    baseline: Annotated[
        float | None,
        typer.Option(
            help="Take the first so many seconds of good signal for the person's rest. "
            "[default: as many as the model was trained with]",
            min=10,
            max=600,
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Make the predictions that mimamba recorded again, and say whether they are the "
            "same; status 1 where they are not.",
        ),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Run a recording through the same pipeline at full speed: one JSON line per prediction."""
    with one_line_errors():
        from mimamba.service.storage.models import models_folder

        models = models_folder(data_dir)
        if verify:
            from mimamba.service.recordings.verify import verify as check

            if not check(recording, model, models):
                raise typer.Exit(1)
            return
        from mimamba.service.cli.score import score as run

        run(recording, model or DEFAULT_MODEL, memory, baseline, models)


@app.command()
def convert(
    recording: Annotated[
        str, typer.Argument(metavar="IN", help="A recording's path, or a replay:// URL.")
    ],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="A path that ends in .edf, .bdf, .csv, .parquet or .xdf; or "
            "'bids:FOLDER?subject=01&task=rest' (session, run).",
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write a recording in another format; gaps, markers and µV come along."""
    with one_line_errors():
        from mimamba.drivers.convert import convert as run

        run(recording, out, force)


@app.command()
def recordings(
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List the recordings."""
    with one_line_errors():
        from mimamba.service.cli.show_recordings import show_recordings

        show_recordings(recordings_folder(data_dir), json)


@app.command()
def recover(
    where: Annotated[
        Path | None, typer.Argument(help="An XDF file, or a folder of them.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make recordings whole that were cut off by a crash; the service does it at its start, too."""
    with one_line_errors():
        from mimamba.service.cli.show_recordings import recover_recordings

        recover_recordings(where or recordings_folder(data_dir))


@app.command()
def models(
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List the checkpoints: what they say, what they were trained on, and how good they are."""
    with one_line_errors():
        from mimamba.service.cli.show_models import show_models

        show_models(data_dir, json)
