"""A checkpoint with random weights: small, untrained, and quick to step."""

from __future__ import annotations

from pathlib import Path

import torch

from mimamba.models.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointHeader,
    load_checkpoint,
    save_checkpoint,
)
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.signal.preprocessing import SignalConfig

QUICK = SignalConfig(window=64, hop=32, settle=64)


def random_checkpoint(
    folder: Path, name: str = "random", baseline: float = 0.0, signal: SignalConfig = QUICK
) -> Checkpoint:
    """Write and load a checkpoint; the same each time."""
    config = MSiMambaConfig(
        n_channels=4, n_times=signal.window, n_outputs=4, hidden=4, d_model=16, d_ff=16, n_layers=1
    )
    torch.manual_seed(0)
    header = CheckpointHeader(
        name=name,
        architecture=config,
        montage=("TP9", "AF7", "AF8", "TP10"),
        signal=signal,
        r=1.0,
        outputs={"valence": ("low", "high"), "arousal": ("low", "high")},
        temperature={"valence": 1.0, "arousal": 1.0},
        trained_on="nothing: its weights are random",
        scores={},
        licence="same as the project",
        notice="Random weights.",
        baseline=baseline,
    )
    return save_checkpoint(folder / f"{name}.safetensors", header, MSiMamba(config))


def demo_indices(n_times: int) -> list[int]:
    """The samples at which the demo's hops are due, in a signal of this length at 256 Hz."""
    signal = load_checkpoint("demo").signal
    step = round(256 / signal.sfreq)
    return [
        index
        for newest in range(signal.hop - 1, n_times, signal.hop)
        if (index := step * newest) < n_times
    ]
