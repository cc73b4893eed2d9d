"""Parts of a model card, the Markdown description beside a checkpoint."""

from __future__ import annotations

import math

from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.checkpoints.emotion import infers_emotion
from mimamba.models.network.config import MSiMambaConfig

NOT_MEDICAL = (
    "It is not a medical device: it diagnoses nothing, and must not be used to decide about\n"
    "anybody's health."
)


def list_facts(checkpoint: Checkpoint, *more: str) -> str:
    """Return the Markdown list that every card has; ``more`` items come before the licence."""
    signal = checkpoint.signal
    items = [
        f"Trained on: {checkpoint.trained_on}",
        f"Emotion: {'yes' if infers_emotion(checkpoint.outputs) else 'no'}",
        f"Signal: {signal.sfreq:g} Hz, {signal.band[0]:g} to {signal.band[1]:g} Hz",
        f"Windows: {signal.window / signal.sfreq:g} s, one every {signal.hop / signal.sfreq:g} s",
        f"r: {checkpoint.r:.4f}, {_memory(checkpoint)}",
        f"Network: {_network(checkpoint.architecture)}",
        *more,
        f"Licence: {checkpoint.licence}",
        f"SHA-256: {checkpoint.sha256}",
    ]
    return "\n".join(f"- {item}" for item in items)


def _memory(checkpoint: Checkpoint) -> str:
    """Describe how long the state lasts: the time after which 1/e of it is left."""
    if checkpoint.r == 0:
        return "each window by itself"
    if checkpoint.r == 1:
        return "a memory that fades only with new input"
    signal = checkpoint.signal
    return f"a memory of {-signal.hop / (signal.sfreq * math.log(checkpoint.r)):.3g} s"


def _network(a: MSiMambaConfig) -> str:
    block = f"k = {a.n_scales}, hidden = {a.hidden}" if a.mstb else "no MSTB"
    if a.mstb and a.frequencies:
        block += f", patches of {', '.join(map(str, a.periods))} samples"
    text = f"{block}, d = {a.d_model}, n = {a.d_state},\n  layers = {a.n_layers}"
    plain = MSiMambaConfig()
    if (a.embedding, a.mixer) != (plain.embedding, plain.mixer):
        text += f", embedding = {a.embedding}, mixer = {a.mixer}"
    return text
