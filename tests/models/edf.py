"""Real recordings in EDF, in the units and the layout of drivers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def edf(file: Path) -> NDArray[np.float64]:
    """The first four channels, µV, without the second that pads the last record."""
    from mne.io import read_raw_edf

    raw = read_raw_edf(file, verbose="error")
    return np.asarray(1e6 * raw.get_data()[:4].T)[: -int(2 * raw.info["sfreq"])]
