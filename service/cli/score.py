"""Command ``score``: predictions of a complete recording, offline and at full speed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.service.cli.options import RECORDINGS, DataDir, Memory, one_line_errors
from mimamba.service.server.console import print_json

app = typer.Typer()


@app.command(rich_help_panel=RECORDINGS)
def score(
    recording: Annotated[str, typer.Argument(help="Path of a recording, or a replay:// URL.")],
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Name or path of a checkpoint. [default: {DEFAULT_MODEL}]", show_default=False
        ),
    ] = None,
    memory: Memory = True,
    baseline: Annotated[
        float | None,
        typer.Option(
            help="Length of good signal at the start that is the person's rest, s. "
            "[default: as in the training]",
            min=10,
            max=600,
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compute the recorded predictions again, and compare them. The exit status is 1 "
            "if they differ.",
        ),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Compute the predictions of a recording, and print one JSON object for each.

    The pipeline is that of a live session, at full speed.
    """
    with one_line_errors():
        from mimamba.service.storage.own_checkpoints import models_folder

        models = models_folder(data_dir)
        if verify:
            from mimamba.service.recordings.verify import verify as verify_predictions

            if not verify_predictions(recording, model, models):
                raise typer.Exit(1)
            return
        score_recording(recording, model or DEFAULT_MODEL, memory, baseline, models)


def score_recording(
    recording: str,
    model: str,
    memory: bool,
    baseline: float | None = None,
    models: Path | None = None,
) -> None:
    """Print one JSON object per prediction; timestamps are on the recording's own clock.

    Parameters
    ----------
    recording
        Path or replay:// URL.
    model
        Name or path of a checkpoint.
    memory
        Carry the model's state from one window to the next.
    baseline
        Length of the person's rest at the start, in good signal, s; the signal after it is aligned
        to it. None for the length that the model was trained with.
    models
        Folder of the person's own checkpoints.

    Raises
    ------
    DriverError, CheckpointError, MontageError, SignalError
        If the recording or the model cannot be used, if they do not fit, or if a baseline is given
        for a model that was trained without.
    """
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from mimamba.drivers.open import open_recording
    from mimamba.models.checkpoints.checkpoint import CheckpointError, load_checkpoint
    from mimamba.models.decoding.decoder import OFFLINE_CHUNK, StreamingDecoder

    torch.set_num_threads(1)  # 311 hops take 0.6 s on one thread, up to 14 s on two
    checkpoint = load_checkpoint(model, models)
    if baseline and not checkpoint.baseline:
        raise CheckpointError(
            "a model that was trained with baselines",
            f"{checkpoint.name}, which was not",
            "leave --baseline out, or choose another --model",
        )
    signal = open_recording(recording)
    console = Console(stderr=True)
    for notice in (*signal.info.notices, checkpoint.notice):
        if notice:
            console.print(notice, style="yellow", highlight=False, markup=False)
    decoder = StreamingDecoder(checkpoint, signal.info, None if memory else 0.0)
    if seconds := baseline or checkpoint.baseline:
        decoder.start_baseline(seconds)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Scoring", total=signal.n_times)
        for chunk in signal.chunks(round(OFFLINE_CHUNK * signal.info.sfreq)):
            for prediction in decoder.feed(chunk):
                print_json(prediction)
            progress.advance(bar, chunk.n_times)
    sys.stdout.flush()
