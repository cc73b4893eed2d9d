"""Ratings on a scale, as the labels low and high."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.models.datasets.dataset import damaged_file

LABELS = ("low", "high")


def low_or_high(
    path: Path, ratings: NDArray[Any], scale: tuple[float, float]
) -> list[tuple[int, ...]]:
    """Each trial's labels, from ratings (n_trials, n_outputs): above the scale's middle is high.

    Raises
    ------
    DatasetError
        If a rating is none of the scale.
    """
    low, high = scale
    if not ((ratings >= low) & (ratings <= high)).all():
        found = ratings[~((ratings >= low) & (ratings <= high))][0]
        raise damaged_file(path, f"ratings from {low:g} to {high:g}", f"{found:g}")
    return [tuple(map(int, row)) for row in np.asarray(ratings) > (low + high) / 2]
