"""``mimamba score``: a recording through the live pipeline, offline and at full speed."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import torch
from rich.console import Console
from rich.progress import Progress

from drivers import open_recording
from models.checkpoint import load_checkpoint
from models.decoder import StreamingDecoder

CHUNK = 1.0
"""Seconds of signal between two moves of the progress bar."""


def score(
    recording: str, model: str, memory: bool, baseline: float = 0.0, models: Path | None = None
) -> None:
    """Print one JSON object per prediction, timestamps on the recording's own clock.

    The first ``baseline`` seconds of good signal are the person's rest, which what follows is
    aligned by; ``models`` is the folder of the person's own checkpoints.

    Raises
    ------
    DriverError, CheckpointError, MontageError, SignalError
        If the recording or the model cannot be used, or do not fit.
    """
    torch.set_num_threads(1)  # a hop is little work: 0.6 s for 311 hops, with two threads up to 14
    checkpoint = load_checkpoint(model, models)
    signal = open_recording(recording)
    console = Console(stderr=True)
    for notice in (*signal.info.notices, checkpoint.notice):
        if notice:
            console.print(notice, style="yellow", highlight=False, markup=False)
    decoder = StreamingDecoder(checkpoint, signal.info, None if memory else 0.0)
    if baseline:
        decoder.begin_baseline(baseline)
    encoder = msgspec.json.Encoder()
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Scoring", total=signal.n_times)
        for chunk in signal.chunks(round(CHUNK * signal.info.sfreq)):
            for prediction in decoder.feed(chunk):
                sys.stdout.write(encoder.encode(prediction).decode() + "\n")
            progress.advance(bar, chunk.n_times)
    sys.stdout.flush()
