"""``mimamba score``: a recording through the live pipeline, offline and at full speed."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import torch
from rich.console import Console
from rich.progress import Progress

from mimamba.drivers.open import open_recording
from mimamba.models.checkpoints.checkpoint import CheckpointError, load_checkpoint
from mimamba.models.decoding.decoder import OFFLINE_CHUNK, StreamingDecoder


def score(
    recording: str,
    model: str,
    memory: bool,
    baseline: float | None = None,
    models: Path | None = None,
) -> None:
    """Print one JSON object per prediction, timestamps on the recording's own clock.

    The first ``baseline`` seconds of good signal are the person's rest, by which what follows is
    aligned; None takes as many as the model was trained with. ``models`` is the folder of the
    person's own checkpoints.

    Raises
    ------
    DriverError, CheckpointError, MontageError, SignalError
        If the recording or the model cannot be used, or do not fit, or the model was trained
        without a baseline and one is asked for.
    """
    torch.set_num_threads(1)  # a hop is little work: 0.6 s for 311 hops, with two threads up to 14
    checkpoint = load_checkpoint(model, models)
    if baseline and not checkpoint.baseline:
        raise CheckpointError(
            "a model that was trained with baselines",
            f"{checkpoint.name}, which was not",
            "leave --baseline out, or pass another --model",
        )
    signal = open_recording(recording)
    console = Console(stderr=True)
    for notice in (*signal.info.notices, checkpoint.notice):
        if notice:
            console.print(notice, style="yellow", highlight=False, markup=False)
    decoder = StreamingDecoder(checkpoint, signal.info, None if memory else 0.0)
    if seconds := baseline or checkpoint.baseline:
        decoder.start_baseline(seconds)
    encoder = msgspec.json.Encoder()
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Scoring", total=signal.n_times)
        for chunk in signal.chunks(round(OFFLINE_CHUNK * signal.info.sfreq)):
            for prediction in decoder.feed(chunk):
                sys.stdout.write(encoder.encode(prediction).decode() + "\n")
            progress.advance(bar, chunk.n_times)
    sys.stdout.flush()
