"""The API's timeline: the predictions that a replayed recording holds, by their positions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray

from mimamba.drivers.errors import BadRecording
from mimamba.service.api.dependencies import OneSession, WholeRecording
from mimamba.service.api.replay import seekable_of

if TYPE_CHECKING:
    from mimamba.service.recordings.verify import RecordedPredictions

CHANNELS = "desc/channels/channel/label"
MOST = 1000
"""Points, about as many as a screen has places for."""


@dataclass(frozen=True)
class Timeline:
    """What a recording's model said when it was recorded.

    Parameters
    ----------
    model
        Its name; None where the file holds no predictions of ours.
    position
        In s, as of ``Replay``; increasing, at most 1000.
    outputs
        By output and label, a probability for each position: the mean where several predictions
        fall together; null where the model abstained.
    """

    model: str | None = None
    position: list[float] = field(default_factory=list)
    outputs: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)


timeline_api = APIRouter(prefix="/v1/sessions", tags=["replay"])


@timeline_api.get("/{session}/timeline")
async def read_timeline(session: OneSession, reading: WholeRecording) -> Timeline:
    """The predictions in the recording that a session plays; one is read at a time."""
    seekable_of(session)
    assert session.info is not None
    async with reading:
        return await asyncio.to_thread(timeline, Path(session.info.source_id))


def timeline(path: Path) -> Timeline:
    """The predictions in a file; none where it is not ours or cannot be read."""
    from mimamba.service.recordings.verify import (
        load_recorded,  # it needs pyxdf, which a service may not need
    )

    try:
        recorded = load_recorded(path)
        return _thinned(recorded)
    except BadRecording:
        return Timeline()


def _thinned(recorded: RecordedPredictions) -> Timeline:
    """At most MOST points, each of as many predictions as the others."""
    stream = recorded.predictions
    labels = _labels(recorded)
    rows: NDArray[np.float64] = np.asarray(stream.values, np.float64)
    if not (len(rows) and len(recorded.index)) or rows.shape[1] != len(labels) + 2:
        return Timeline()
    together = -(-len(rows) // MOST)
    parts = np.split(rows, range(together, len(rows), together))
    index = np.array([part[:, -2].mean() for part in parts])
    position = (index - recorded.index[0]) / recorded.signal.rate
    outputs: dict[str, dict[str, list[float | None]]] = {}
    for column, (output, label) in enumerate(labels):
        outputs.setdefault(output, {})[label] = [_mean(part[:, column]) for part in parts]
    return Timeline(stream.text("desc/mimamba/model/name"), position.tolist(), outputs)


def _mean(values: NDArray[np.float64]) -> float | None:
    said = values[np.isfinite(values)]
    return float(said.mean()) if said.size else None


def _labels(recorded: RecordedPredictions) -> list[tuple[str, str]]:
    """Output and label of each channel that has them, in order."""
    told = (each.text or "" for each in recorded.predictions.header.iterfind(CHANNELS))
    return [(output, label) for output, slash, label in (t.partition("/") for t in told) if slash]
