"""A recording of a table that numbers its samples, as our own CSV and Parquet do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.recording import Recording, complete
from mimamba.drivers.formats.tables.metadata import RecordingMetadata, check_markers, damaged

LAST = 2.0**53
"""Greater indices are not told apart as float64."""


def recording_of(
    path: Path,
    facts: RecordingMetadata,
    choice: ChannelChoice,
    index: NDArray[Any],
    timestamps: NDArray[np.float64],
    data: NDArray[Any],
    markers: tuple[Marker, ...],
    notices: tuple[str, ...] = (),
) -> Recording:
    """The recording of a file's rows.

    Parameters
    ----------
    index
        (n_times,), whole numbers as any type.
    timestamps
        (n_times,), seconds.
    data
        (n_times, n_channels), µV, in the order of ``facts.ch_names``.
    notices
        What else a person should know.

    Raises
    ------
    BadRecording
        If the rows are not in order, or hold no signal.
    BadChannels
        If the channels asked for are not there.
    """
    picks = choice.pick(facts.ch_names)
    info = facts.info(path, picks.names)
    _check_order(index, "index", path)
    _check_order(timestamps, "timestamp", path)
    if index[0] < 0 or index[-1] > LAST or (np.floor(index) != index).any():
        raise damaged(path, "an index that is no position")
    kept, told = check_markers(markers, int(index[-1]), path)
    return complete(
        replace(info, notices=(*info.notices, *notices, *told)),
        data[:, picks.rows].astype(np.float64),
        timestamps,
        index.astype(np.int64),
        kept,
    )


def _check_order(values: NDArray[Any], name: str, path: Path) -> None:
    """Raises BadRecording unless all are finite and grow."""
    if not (np.isfinite(values).all() and (values[1:] > values[:-1]).all()):
        raise damaged(path, f"a column {name} that does not grow")
