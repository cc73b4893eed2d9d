"""Augmentation: mixed with one of the same labels, mirrored, or as it was."""

from __future__ import annotations

import numpy as np
import pytest

from mimamba.models.training.augmentation import NO_AUGMENTATION, Augmentation, Augmenter
from mimamba.models.training.windowing import HopSequence


def sequence(label: int, size: float, n_hops: int = 10, changing: bool = False) -> HopSequence:
    """Windows of a size that tells whose they are; channel k has k added."""
    windows = np.full((n_hops, 4, 8), size, np.float32) + np.arange(4, dtype=np.float32)[:, None]
    labels = np.full((n_hops, 1), label, np.int64)
    if changing:
        labels[n_hops // 2 :] = 1 - label
    return HopSequence(windows, np.zeros(n_hops, np.bool_), labels)


def drawn(
    config: Augmentation, sequences: list[HopSequence], first: HopSequence, n: int = 40
) -> list[float]:
    """The size of the first channel in sequences of four hops."""
    augmenter = Augmenter(config, sequences, np.random.default_rng(0))
    return [float(augmenter.draw(first, slice(2, 6))[0, 0, 0]) for _ in range(n)]


def test_nothing_is_changed_by_default() -> None:
    one = sequence(0, 1.0)
    assert set(drawn(NO_AUGMENTATION, [one, sequence(0, 100.0)], one)) == {1.0}


def test_it_is_mixed_with_others_of_the_same_label_alone() -> None:
    low, other, high = sequence(0, 1.0), sequence(0, 100.0), sequence(1, -100.0)
    sizes = drawn(Augmentation(mixing=1.0), [low, other, high], low)
    assert min(sizes) > 0.99  # the one with another label would have made it less
    assert 1.3 < max(sizes) < 1.5  # brought to the same loudness before
    assert low.windows[0, 0, 0] == 1.0  # what is learnt from stays as it is


def test_powers_add_up_to_that_of_one() -> None:
    """Two sources of equal power that know nothing of each other stay as loud when mixed."""
    rng = np.random.default_rng(1)
    noise = [rng.standard_normal((4, 4, 4000)).astype(np.float32) for _ in range(2)]
    labels, restart = np.zeros((4, 1), np.int64), np.zeros(4, np.bool_)
    sequences = [HopSequence(windows, restart, labels) for windows in noise]
    augmenter = Augmenter(Augmentation(mixing=1.0), sequences[1:], rng)
    mixed = augmenter.draw(sequences[0], slice(0, 4))
    assert mixed.std() == pytest.approx(1.0, abs=0.02)
    assert (mixed != noise[0]).all()


@pytest.mark.parametrize("others", ["changing", "short", "none"])
def test_it_stays_as_it_is_where_there_is_nothing_to_mix_with(others: str) -> None:
    one = sequence(0, 1.0, changing=others == "changing")
    found = {"changing": [sequence(0, 9.0)], "short": [sequence(0, 9.0, 3)], "none": []}[others]
    assert set(drawn(Augmentation(mixing=1.0), found, one)) == {1.0}


def test_half_of_the_sequences_are_mirrored() -> None:
    one = sequence(0, 1.0)
    sizes = drawn(Augmentation(mirror=(3, 2, 1, 0)), [one], one, 200)
    assert set(sizes) == {1.0, 4.0}
    assert 60 < sizes.count(4.0) < 140
