"""An unbroken run of a source's samples: what hops keep of it, and how it grows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mimamba.models.signal.preprocessing import PathState


@dataclass(frozen=True, eq=False)
class Segment:
    """What is kept of an unbroken run of samples. Its arrays are never written again.

    Parameters
    ----------
    path
        The filters' state after the last hop.
    newest, last
        Index and values (n_channels,) of the newest sample received.
    values
        (n_waiting, n_channels) samples of the unfinished hop up to ``newest``, gaps bridged.
    known, stamps
        (n_waiting,) index and time of the received sample by which each of them is known: itself,
        or the first one after its gap.
    recent
        (up to window, n_channels) the newest model samples.
    poor
        Hops of poor signal in a row.
    restart
        Whether no hop was stepped yet.
    """

    path: PathState
    newest: int
    last: NDArray[np.float64]
    values: NDArray[np.float64]
    known: NDArray[np.int64]
    stamps: NDArray[np.float64]
    recent: NDArray[np.float64]
    poor: int = 0
    restart: bool = True


def extend(
    stretch: Segment,
    index: NDArray[np.int64],
    stamps: NDArray[np.float64],
    values: NDArray[np.float64],
) -> Segment:
    """Append received samples, at least one, with straight lines over what was lost between."""
    if int(index[-1]) - stretch.newest == len(index):  # nothing was lost
        return _append(stretch, index, index, stamps, values, values)
    every = np.arange(stretch.newest + 1, index[-1] + 1)
    place = np.searchsorted(index, every)  # the received sample at or after each one
    known, filled = index[place], values[place]
    lost = known != every
    if lost.any():
        xs = np.concatenate([[stretch.newest], index])
        ys = np.concatenate([stretch.last[np.newaxis], values])
        left = place[lost]  # shifted by one: the sample before each gap
        weight = (every[lost] - xs[left]) / (xs[left + 1] - xs[left])
        filled[lost] = ys[left] + weight[:, np.newaxis] * (ys[left + 1] - ys[left])
    return _append(stretch, index, known, stamps[place], values, filled)


def _append(
    stretch: Segment,
    index: NDArray[np.int64],
    known: NDArray[np.int64],
    stamps: NDArray[np.float64],
    values: NDArray[np.float64],
    filled: NDArray[np.float64],
) -> Segment:
    return replace(
        stretch,
        newest=int(index[-1]),
        last=values[-1].copy(),
        values=np.concatenate([stretch.values, filled]),
        known=np.concatenate([stretch.known, known]),
        stamps=np.concatenate([stretch.stamps, stamps]),
    )
