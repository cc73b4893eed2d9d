"""Labels low and high from ratings on a scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.models.datasets.dataset import DatasetError, damaged_file

LABELS = ("low", "high")


def low_or_high(
    path: Path, ratings: NDArray[Any], scale: tuple[float, float], threshold: float | None = None
) -> list[tuple[int, ...]]:
    """Return each trial's label indices; a rating above the threshold is high.

    ``ratings`` are (n_trials, n_outputs), ``scale`` the lowest and highest rating; the threshold is
    the middle of the scale if it is None.

    Raises
    ------
    DatasetError
        If a rating or the threshold is outside the scale.
    """
    low, high = scale
    if threshold is None:
        threshold = (low + high) / 2
    if not low <= threshold < high:
        raise DatasetError(
            f"a threshold of at least {low:g} and below {high:g}",
            f"{threshold:g}",
            "correct --threshold",
        )
    if not ((ratings >= low) & (ratings <= high)).all():
        found = ratings[~((ratings >= low) & (ratings <= high))][0]
        raise damaged_file(path, f"ratings from {low:g} to {high:g}", f"{found:g}")
    return [tuple(map(int, row)) for row in np.asarray(ratings) > threshold]
