"""Labels low and high from ratings on a scale."""

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
    """Return each trial's label indices; a rating above the middle of the scale is high.

    ``ratings`` are (n_trials, n_outputs), ``scale`` the lowest and highest rating.

    Raises
    ------
    DatasetError
        If a rating is outside the scale.
    """
    low, high = scale
    if not ((ratings >= low) & (ratings <= high)).all():
        found = ratings[~((ratings >= low) & (ratings <= high))][0]
        raise damaged_file(path, f"ratings from {low:g} to {high:g}", f"{found:g}")
    return [tuple(map(int, row)) for row in np.asarray(ratings) > (low + high) / 2]
