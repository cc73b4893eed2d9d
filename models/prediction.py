"""The prediction for one hop: calibrated probabilities, or the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "warming_up", "poor_signal"]
Outputs: TypeAlias = dict[str, dict[str, float]]
"""Probabilities by output and label: ``{"valence": {"low": 0.3, "high": 0.7}}``."""


@dataclass(frozen=True)
class LabelSet:
    """Labels of one output among which the true one is nine times in ten, see ``label_sets``.

    ``coverage`` is how often that was so in the newest ``labelled`` hops whose label is known, at
    most 200; None if there was none.
    """

    labels: tuple[str, ...]
    coverage: float | None
    labelled: int


LabelSetsByOutput: TypeAlias = dict[str, LabelSet]


@dataclass(frozen=True)
class Prediction:
    """The model's result for one hop.

    It depends only on the samples, their indices, the checkpoint and the settings.

    Parameters
    ----------
    index
        Index of the newest source sample in the hop, counted like ``Chunk.first``.
    timestamp
        Time of that sample in seconds on the LSL clock, or on a recording's own clock when it is
        scored offline.
    status
        ``ok``, or the kind of reason for which the model abstains.
    reason
        The reason in words; None if the status is ``ok``.
    outputs
        Calibrated probabilities; None unless the status is ``ok``.
    set
        Prediction sets by output; None if there are none.
    """

    index: int
    timestamp: float
    status: Status
    reason: str | None
    outputs: Outputs | None
    set: LabelSetsByOutput | None = None
