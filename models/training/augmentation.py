"""Augmentation of windows during training, so that personal traits are learnt less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.models.training.windowing import HopSequence

Windows = NDArray[np.float32]
Labels = tuple[int, ...]


@dataclass(frozen=True)
class Augmentation:
    """Settings of the augmentation, applied to each crop; the default changes nothing.

    Parameters
    ----------
    mixing
        Share of the crops (0 to 1) that are mixed with a crop of the same labels, as if recorded
        from a person who does not exist. The powers add up as those of two independent sources, and
        both trials are scaled to the same loudness first. Only trials with constant labels are
        mixed.
    mirror
        Channel order with left and right swapped, applied to half of the crops; empty for never.
    """

    mixing: float = 0.0
    mirror: tuple[int, ...] = ()


NO_AUGMENTATION = Augmentation()


class Augmenter:
    """Augmenter of crops of the given hop sequences."""

    def __init__(
        self, config: Augmentation, sequences: Sequence[HopSequence], rng: np.random.Generator
    ) -> None:
        self._config, self._rng = config, rng
        self._alike: dict[Labels, list[HopSequence]] = {}
        self._labels: dict[int, Labels | None] = {}
        self._loud: dict[int, Windows] = {}
        for sequence in sequences if config.mixing else ():
            labels = self._constant(sequence)
            if labels is not None:
                self._alike.setdefault(labels, []).append(sequence)

    def draw(self, sequence: HopSequence, hops: slice) -> Windows:
        """Return the augmented windows of some hops, (n_hops, n_channels, n_times) in µV."""
        windows = sequence.windows[hops]
        if self._config.mixing and self._rng.random() < self._config.mixing:
            windows = self._mixed(windows, sequence)
        if self._config.mirror and self._rng.random() < 0.5:
            windows = windows[:, list(self._config.mirror)]
        return windows

    def _mixed(self, windows: Windows, sequence: HopSequence) -> Windows:
        labels = self._constant(sequence)
        alike = self._alike.get(labels, []) if labels is not None else []
        if not alike:
            return windows
        other = alike[self._rng.integers(len(alike))]
        if len(other.windows) < len(windows):
            return windows
        first = int(self._rng.integers(len(other.windows) - len(windows) + 1))
        share = self._rng.uniform(0.5, 1.0)
        loud = self._loudness(sequence) / self._loudness(other) * np.float32((1 - share) ** 0.5)
        mixed: Windows = windows * np.float32(share**0.5)
        mixed += other.windows[first : first + len(windows)] * loud
        return mixed

    def _constant(self, sequence: HopSequence) -> Labels | None:
        """Return the labels of a sequence, or None if they change."""
        if id(sequence) not in self._labels:
            first = sequence.labels[0]
            constant = (sequence.labels == first).all()
            self._labels[id(sequence)] = tuple(first.tolist()) if constant else None
        return self._labels[id(sequence)]

    def _loudness(self, sequence: HopSequence) -> Windows:
        """Return the RMS of each channel over the whole sequence, (n_channels, 1) in µV."""
        if id(sequence) not in self._loud:
            square = np.square(sequence.windows).mean((0, 2), dtype=np.float64)
            self._loud[id(sequence)] = np.sqrt(square)[:, None].clip(1e-3).astype(np.float32)
        return self._loud[id(sequence)]
