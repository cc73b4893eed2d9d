"""A checkpoint of the reference configuration with random weights, and signal to feed it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.simulator.synthesis import CH_NAMES, RANGE_UV, UV_PER_BIT, Synthesizer
from mimamba.models.checkpoints.checkpoint import Checkpoint, CheckpointHeader, save_checkpoint
from mimamba.models.network.config import REFERENCE
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.trainer import new_network

INFO = StreamInfo("Muse", "bench", 256.0, CH_NAMES, UV_PER_BIT, RANGE_UV, simulated=True)
PACKET = 12
"""Samples in one packet of a headset."""


def reference_checkpoint() -> Checkpoint:
    """Make the same checkpoint each time; it makes four hops a second."""
    n_outputs = REFERENCE.n_outputs
    header = CheckpointHeader(
        name="reference",
        architecture=REFERENCE,
        montage=CH_NAMES,
        signal=SignalConfig(window=REFERENCE.n_times, hop=32),
        r=1.0,
        outputs={"state": tuple(f"label {n}" for n in range(n_outputs))},
        temperature={"state": 1.0},
        trained_on="nothing: its weights are random",
        scores={},
        licence="same as the project",
        notice="Random weights.",
    )
    with TemporaryDirectory() as folder:
        return save_checkpoint(
            Path(folder) / "reference.safetensors", header, new_network(REFERENCE, 0)
        )


def packets(seconds: float, sfreq: float = INFO.sfreq) -> list[Chunk]:
    """Simulate this many seconds of signal, in packets as a headset sends them."""
    synthesis = Synthesizer("tour", 1, sfreq)
    starts = range(0, round(seconds * sfreq), PACKET)
    return [
        Chunk(synthesis.next(PACKET), np.arange(first, first + PACKET) / sfreq, first)
        for first in starts
    ]
