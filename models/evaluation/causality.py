"""Probe of a candidate: its answers must not depend on hops that come later.

A method that looks ahead, or scales by a whole recording, can have excellent scores and cannot be
used live.
"""

from __future__ import annotations

import numpy as np

from mimamba.models.evaluation.candidates.candidate import Candidate, UnlabelledSequence
from mimamba.models.training.windowing import HopSequence

TOLERANCE = 1e-4
"""Difference of probabilities that rounding may make."""


def uses_future(candidate: Candidate, sequence: HopSequence) -> bool:
    """Check for answers in the first half of a sequence that change with its second half.

    ``candidate`` is fitted; ``sequence`` has at least two hops. The second half is replaced by
    noise ten times as strong.
    """
    middle = len(sequence.windows) // 2
    other = sequence.windows.copy()
    rng = np.random.default_rng(0)
    scale = 10 * (1 + float(np.abs(other).mean()))
    other[middle:] = scale * rng.standard_normal(other[middle:].shape)
    before, after = (
        candidate.probabilities([UnlabelledSequence(windows, sequence.restart)])[0][:middle]
        for windows in (sequence.windows, other)
    )
    return bool(np.abs(before - after).max(initial=0.0) > TOLERANCE)
