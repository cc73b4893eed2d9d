"""From chunks to hops: gaps, warm-up, signal quality, and the window that the model sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.prediction import Status


@dataclass(frozen=True, eq=False)
class Hop:
    """One step of the model's clock.

    Parameters
    ----------
    index
        The newest source sample received into it, counted as ``Chunk.first`` is.
    timestamp
        That sample's time, seconds.
    status
        ``ok``, or why the model must not be stepped.
    reason
        Why, in words; None where the status is ok.
    window
        (n_channels, n_times) float32, C-contiguous, in montage order, µV after the band-pass;
        None where the status is not ok.
    restart
        Whether the model's state must begin anew (r = 0) at this hop.
    epoch
        The ``Chunk.epoch`` that the index is counted in.
    """

    index: int
    timestamp: float
    status: Status
    reason: str | None
    window: NDArray[np.float32] | None
    restart: bool
    epoch: int
