"""Commands over recordings: ``score``, ``convert``, ``recordings``, ``recover``, ``train``.

They need no running service. Each imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.settings import DEFAULT_MODEL
from service.terminal import DataDir, Memory, one_line_errors

app = typer.Typer()
train = typer.Typer(help="Train a checkpoint.", no_args_is_help=True)
app.add_typer(train, name="train")


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
) -> None:
    """Run a recording through the same pipeline at full speed: one JSON line per prediction."""
    with one_line_errors():
        if verify:
            from service.verify import verify as check

            if not check(recording, model):
                raise typer.Exit(1)
            return
        from service.score import score as run

        run(recording, model or DEFAULT_MODEL, memory, baseline)


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
        from service.convert import convert as run

        run(recording, out, force)


@app.command()
def recordings(
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List the recordings."""
    with one_line_errors():
        from service.listing import show_recordings

        show_recordings(data_dir, json)


@app.command()
def recover(
    where: Annotated[
        Path | None, typer.Argument(help="An XDF file, or a folder of them.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make recordings whole that were cut off by a crash; the service does it at its start, too."""
    with one_line_errors():
        from service.listing import recover_recordings

        recover_recordings(where, data_dir)


@train.command("demo")
def train_demo(
    out: Annotated[Path, typer.Option(help="Where to write the checkpoint.")] = Path(
        "demo.safetensors"
    ),
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Train the demo checkpoint on simulated EEG; the shipped one was made so."""
    with one_line_errors():
        from service.train import train_demo as run

        run(out, seed)
