"""Resampling of a trial to another rate, part by part between its gaps."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy.signal import resample_poly

from mimamba.models.datasets.dataset import Trial

MAX_DENOMINATOR = 1000
"""Of the ratio of two rates: 250 to 256 Hz is 128 to 125."""


def resample_trial(trial: Trial, old: float, new: float) -> Trial:
    """Return a trial of ``old`` Hz at ``new`` Hz; gaps stay where they were in time.

    The filter is symmetric over 10 samples of the lower rate to each side (Kaiser window, scipy's
    ``resample_poly``), so that nothing is delayed and nothing above half the lower rate is folded.
    """
    ratio = Fraction(new / old).limit_denominator(MAX_DENOMINATOR)
    borders = [0, *(np.flatnonzero(np.diff(trial.index) != 1) + 1).tolist(), trial.n_times]
    parts, places, end = [], [], 0
    for start, stop in pairwise(borders):
        made = resample_poly(
            trial.data[start:stop], ratio.numerator, ratio.denominator, axis=0, padtype="line"
        )
        place = resample_place(int(trial.index[start]), old, new) + np.arange(len(made))
        free = place >= end  # rounding may let a part begin within the one before
        parts.append(made[free].astype(np.float32))
        places.append(place[free])
        end = max(end, int(place[-1]) + 1)
    return replace(trial, data=np.concatenate(parts), index=np.concatenate(places))


def resample_place(place: int, old: float, new: float) -> int:
    """Return the position at ``new`` Hz of a position at ``old`` Hz."""
    return round(place * new / old)
