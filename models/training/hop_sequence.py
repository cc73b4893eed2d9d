"""What the model sees of one trial: its good hops in order, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class HopSequence:
    """The good hops of one recording or trial, in order, and what they mean.

    Parameters
    ----------
    windows
        (n_hops, n_channels, n_times) float32, µV after the band-pass.
    restart
        (n_hops,) bool, where the state begins anew; the first hop always does.
    labels
        (n_hops, n_heads) int64, one label's index per head.
    person, trial
        Whose they are, and of which of that person's trials or recordings.
    """

    windows: NDArray[np.float32]
    restart: NDArray[np.bool_]
    labels: NDArray[np.int64]
    person: str = ""
    trial: str = ""
