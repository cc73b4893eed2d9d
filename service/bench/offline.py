"""How fast a recording is scored, as ``mimamba score`` does: times real time."""

from __future__ import annotations

import time

import torch

from mimamba.drivers.simulator.synthesis import Synthesis
from mimamba.models.checkpoints.checkpoint import Checkpoint, load_checkpoint
from mimamba.models.decoding.decoder import OFFLINE_CHUNK, StreamingDecoder
from mimamba.models.fitting.demo import simulate_chunks
from mimamba.service.bench.figures import Figure
from mimamba.service.bench.reference import INFO, reference_checkpoint

AIM = 500
LEAST = OFFLINE_CHUNK
"""Seconds of signal that are scored at least: one chunk of theirs."""


def measure(seconds: float) -> list[Figure]:
    """The configuration of reference, and the shipped model; the signal is simulated."""
    torch.set_num_threads(1)
    made = {"reference": reference_checkpoint(), "demo": load_checkpoint("demo")}
    return [
        Figure(f"a recording scored by {name}", speed, "times real time", f">= {AIM}", speed >= AIM)
        for name, checkpoint in made.items()
        for speed in [times_real_time(checkpoint, seconds / len(made))]
    ]


def times_real_time(checkpoint: Checkpoint, seconds: float) -> float:
    """Seconds of signal that are scored in one, measured for so many."""
    decoder, synthesis = StreamingDecoder(checkpoint, INFO), Synthesis("tour", 1)
    spent = signal = 0.0
    while spent < seconds or signal < LEAST:
        made = list(simulate_chunks(synthesis, LEAST))  # which is not counted
        start = time.perf_counter()
        for chunk in made:
            decoder.feed(chunk)
        spent, signal = spent + time.perf_counter() - start, signal + LEAST
    return signal / spent
