"""The filter gives the same however a signal is split, and does not ring at its start."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mimamba.models.detection.band_filter import BandFilter

SFREQ = 256.0


@given(cuts=st.sets(st.integers(1, 299)), seed=st.integers(0, 99))
def test_pieces_give_what_the_whole_gives(cuts: set[int], seed: int) -> None:
    samples = np.random.default_rng(seed).normal(1e5, 20.0, (300, 2))
    whole = BandFilter(2, (1.5, 10.0), SFREQ, 2).push(samples)
    split = BandFilter(2, (1.5, 10.0), SFREQ, 2)
    pieces = [split.push(piece) for piece in np.split(samples, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_an_offset_does_not_ring() -> None:
    filtered = BandFilter(4, (20.0, 45.0), SFREQ, 1).push(np.full((256, 1), 2e5))
    np.testing.assert_array_equal(filtered, 0.0)
