"""The checkpoint ``workload``: what it says of itself, and that it is as sound after an hour."""

from __future__ import annotations

import numpy as np
import torch

from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.models.checkpoints.checkpoint import PACKAGE_FOLDER, load_checkpoint
from mimamba.models.inference.cpu.short_rows import has_short_rows
from mimamba.models.signal.baseline import BaselineAligner
from mimamba.models.training_jobs.demo import simulate_hops


def test_it_says_what_it_is() -> None:
    checkpoint = load_checkpoint("workload")
    assert checkpoint.outputs == {"workload": ("arithmetic", "rest")}
    assert checkpoint.baseline == 60
    assert checkpoint.architecture.mstb
    assert has_short_rows(checkpoint.architecture)  # any patch size would cost four times as much
    assert checkpoint.architecture.mixer == "evidence"
    assert checkpoint.r == 1  # its means fade by themselves
    assert "Zyma" in checkpoint.trained_on
    card = (PACKAGE_FOLDER / "workload.md").read_text(encoding="utf-8")
    assert checkpoint.sha256 in card
    assert "not a medical device" in card


@torch.inference_mode()
def test_minute_60_is_like_minute_4() -> None:
    """Two minutes of a simulated person over and over: nothing grows, nothing drifts."""
    checkpoint = load_checkpoint("workload")
    aligner = BaselineAligner(checkpoint.signal)
    aligner.start(60.0)
    seen = [
        hop.window
        for hop in map(
            aligner.feed, simulate_hops(Synthesizer("random", 5, 256.0), checkpoint.signal, 190.0)
        )
        if hop.window is not None
    ]
    x = torch.from_numpy(np.stack(seen[:120]))[None]
    states, rounds, sizes = None, [], []
    for _ in range(30):
        logits, states = checkpoint.network.scan(x, torch.full((1, 120), checkpoint.r), states)
        rounds.append(logits)
        sizes.append(states.h.abs().max())
    torch.testing.assert_close(rounds[29], rounds[4], rtol=0, atol=0.05)
    assert sizes[29] < 1.05 * sizes[4]
    assert torch.stack(rounds).isfinite().all()
