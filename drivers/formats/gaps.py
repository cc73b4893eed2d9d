"""Gaps in formats that have no place for them: the last value held, and an annotation.

EDF+ and BDF+ are written without a break, so samples that never came need a value. It is that of
the sample before, and an annotation of the same extent says that it is none: ``BAD_gap: 12 samples
lost``. MNE leaves annotations that begin with BAD out of epochs. The last data record is filled
likewise (``BAD_padding: 40 samples``). ``read_gap`` tells both again.
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
    """``count`` samples from index ``first`` on that never came, or that fill a record."""

    first: int
    count: int
    kind: Literal["gap", "padding"] = "gap"

    @property
    def text(self) -> str:
        """The annotation's text."""
        noun = "sample" if self.count == 1 else "samples"
        return f"BAD_{self.kind}: {self.count} {noun}" + (" lost" if self.kind == "gap" else "")


def read_gap(text: str, first: int) -> Gap | None:
    """The gap that an annotation at sample ``first`` tells of, or None where it is another."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    if match[1]:
        return Gap(first, int(match[2]))
    return Gap(first, int(match[4]), "padding")


def gaps_of(index: NDArray[np.int64]) -> list[Gap]:
    """The gaps between a recording's samples; ``index`` is (n_times,), growing, from 0."""
    after = np.flatnonzero(np.diff(index) != 1)
    return [Gap(int(index[at]) + 1, int(index[at + 1] - index[at]) - 1) for at in after]


def hold(data: Samples, index: NDArray[np.int64]) -> Samples:
    """(index[-1] + 1, n_channels): each gap filled with the sample before it."""
    repeats = np.diff(index, append=index[-1] + 1)
    return np.repeat(data, repeats, axis=0)
