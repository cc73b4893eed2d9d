"""Speed of scoring a recording as ``mimamba score`` does, in multiples of real time."""

from __future__ import annotations

import time

import torch

from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.models.checkpoints.checkpoint import Checkpoint, load_checkpoint
from mimamba.models.decoding.decoder import OFFLINE_CHUNK, StreamingDecoder
from mimamba.models.training_jobs.demo import simulate_chunks
from mimamba.service.bench.figures import Figure
from tests.benchmarks.reference_model import INFO, reference_checkpoint

AIM = 500
LEAST = OFFLINE_CHUNK
"""Least seconds of signal that are scored: one chunk."""


def measure(seconds: float) -> list[Figure]:
    """Score simulated signal with the reference configuration and with the shipped model."""
    torch.set_num_threads(1)
    models = {"reference": reference_checkpoint(), "demo": load_checkpoint("demo")}
    return [
        Figure(f"a recording scored by {name}", speed, "times real time", f">= {AIM}", speed >= AIM)
        for name, checkpoint in models.items()
        for speed in [times_real_time(checkpoint, seconds / len(models))]
    ]


def times_real_time(checkpoint: Checkpoint, seconds: float) -> float:
    """Return the seconds of signal scored in a second; measured for about this long (s)."""
    decoder, synthesis = StreamingDecoder(checkpoint, INFO), Synthesizer("tour", 1)
    spent = signal = 0.0
    while spent < seconds or signal < LEAST:
        made = list(simulate_chunks(synthesis, LEAST))  # not timed
        start = time.perf_counter()
        for chunk in made:
            decoder.feed(chunk)
        spent, signal = spent + time.perf_counter() - start, signal + LEAST
    return signal / spent
