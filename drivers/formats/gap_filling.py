"""Gaps in formats that cannot represent them: a repeated value and an annotation.

EDF+ and BDF+ are written without interruptions, so lost samples need a value. It is that of the
sample before, and an annotation of the same length marks them: ``BAD_gap: 12 samples lost``. MNE
excludes annotations that begin with BAD from epochs. The end of the last data record is filled in
the same way (``BAD_padding: 40 samples``). ``parse_gap`` reads both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Samples

_TEXT = re.compile(r"BAD_(?:(gap): (\d{1,15}) samples? lost|(padding): (\d{1,15}) samples?)")


@dataclass(frozen=True)
class Gap:
    """``count`` samples from index ``first`` on that were lost, or that fill a record."""

    first: int
    count: int
    kind: Literal["gap", "padding"] = "gap"

    @property
    def text(self) -> str:
        """Text of the annotation."""
        noun = "sample" if self.count == 1 else "samples"
        return f"BAD_{self.kind}: {self.count} {noun}" + (" lost" if self.kind == "gap" else "")


def parse_gap(text: str, first: int) -> Gap | None:
    """Parse the annotation of a gap at sample ``first``; None if it is another annotation."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    if match[1]:
        return Gap(first, int(match[2]))
    return Gap(first, int(match[4]), "padding")


def find_gaps(index: NDArray[np.int64]) -> list[Gap]:
    """Find the gaps between samples; ``index`` is (n_times,), growing, from 0."""
    after = np.flatnonzero(np.diff(index) != 1)
    return [Gap(int(index[at]) + 1, int(index[at + 1] - index[at]) - 1) for at in after]


def fill_gaps(data: Samples, index: NDArray[np.int64]) -> Samples:
    """Fill each gap with the sample before it; returns (index[-1] + 1, n_channels)."""
    repeats = np.diff(index, append=index[-1] + 1)
    return np.repeat(data, repeats, axis=0)
