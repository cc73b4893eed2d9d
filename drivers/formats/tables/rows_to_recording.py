"""Conversion of a table with numbered samples to a recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.recording import Recording, make_recording
from mimamba.drivers.formats.tables.metadata import RecordingMetadata, check_markers, damaged_file

MAX_INDEX = 2.0**53
"""Largest index: float64 cannot distinguish greater ones."""


def table_to_recording(
    path: Path,
    facts: RecordingMetadata,
    choice: ChannelChoice,
    index: NDArray[Any],
    timestamps: NDArray[np.float64],
    data: NDArray[Any],
    markers: tuple[Marker, ...],
    notices: tuple[str, ...] = (),
) -> Recording:
    """Convert a file's rows to a recording.

    Parameters
    ----------
    index
        (n_times,), integers of any type.
    timestamps
        (n_times,), seconds.
    data
        (n_times, n_channels), µV, in the order of ``facts.ch_names``.
    notices
        Further notices.

    Raises
    ------
    BadRecording
        If the rows are not in order, or contain no signal.
    BadChannels
        If a channel asked for does not exist.
    """
    picks = choice.select(facts.ch_names)
    info = facts.info(path, picks.names)
    _check_order(index, "index", path)
    _check_order(timestamps, "timestamp", path)
    if index[0] < 0 or index[-1] > MAX_INDEX or (np.floor(index) != index).any():
        raise damaged_file(path, "an index that is not a whole number from 0")
    kept, cut = check_markers(markers, int(index[-1]), path)
    return make_recording(
        replace(info, notices=(*info.notices, *notices, *cut)),
        data[:, picks.rows].astype(np.float64),
        timestamps,
        index.astype(np.int64),
        kept,
    )


def _check_order(values: NDArray[Any], name: str, path: Path) -> None:
    """Raise BadRecording unless all values are finite and grow."""
    if not (np.isfinite(values).all() and (values[1:] > values[:-1]).all()):
        raise damaged_file(path, f"a column {name} that does not grow")
