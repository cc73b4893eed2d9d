"""What the model says of one hop, or why it says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "warming_up", "poor_signal"]
Outputs: TypeAlias = dict[str, dict[str, float]]
"""Probabilities by output and label: ``{"valence": {"low": 0.3, "high": 0.7}}``."""


@dataclass(frozen=True)
class Prediction:
    """A pure function of the samples, their indices, the checkpoint and the settings.

    Parameters
    ----------
    index
        The newest source sample received into it, counted as ``Chunk.first`` is.
    timestamp
        That sample's time, seconds on the LSL clock (a recording's own clock when scored offline).
    status
        ``ok``, or why the model abstains.
    reason
        Why, in words; None where the status is ok.
    outputs
        Calibrated probabilities; None where the status is not ok.
    """

    index: int
    timestamp: float
    status: Status
    reason: str | None
    outputs: Outputs | None
