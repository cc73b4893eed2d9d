"""Sequences that switch between the labels of one person, as a live session does.

In a recording of one state the label never changes, so nothing teaches a memory to let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mimamba.models.training.windowing import HopSequence

PART = (20, 70)
"""Shortest and longest part of one label, hops, if a person has as many in a row."""

Labels = tuple[int, ...]


class SwitchingSequences:
    """Maker of sequences of random parts, each of another label than the one before.

    People are drawn by the number of their hops. Where a person has only one label, parts of it
    follow each other. No state is reset where parts join.

    Parameters
    ----------
    sequences
        The hops, by person; those without a name are a person each.
    mirrored
        The same sequences with left and right swapped, from which half of the drawn ones are then
        made; empty for none.
    """

    def __init__(
        self, sequences: Sequence[HopSequence], mirrored: Sequence[HopSequence] = ()
    ) -> None:
        self._people = _by_person(sequences)
        self._mirrored = _by_person(mirrored)
        sizes = [sum(len(s.windows) for own in r.values() for s in own) for r in self._people]
        self._shares: NDArray[np.float64] = np.array(sizes) / sum(sizes)
        self._total = sum(sizes)

    def draw(self, n_hops: int, rng: np.random.Generator) -> list[HopSequence]:
        """Return sequences of ``n_hops``, together about as many hops as there are."""
        number = -(-self._total // n_hops)
        chosen = rng.choice(len(self._people), number, p=self._shares)
        swapped = rng.random(number) < (0.5 if self._mirrored else 0.0)
        return [
            _alternate((self._mirrored if swap else self._people)[i], n_hops, rng)
            for i, swap in zip(chosen, swapped, strict=True)
        ]


def _by_person(sequences: Sequence[HopSequence]) -> list[dict[Labels, list[HopSequence]]]:
    """Return each person's runs of one label, by label."""
    people: dict[str, dict[Labels, list[HopSequence]]] = {}
    for place, sequence in enumerate(sequences):
        runs = people.setdefault(sequence.person or f"#{place}", {})
        for run in _constant_runs(sequence):
            runs.setdefault(tuple(run.labels[0].tolist()), []).append(run)
    return [runs for runs in people.values() if runs]


def _constant_runs(sequence: HopSequence) -> list[HopSequence]:
    changes = (sequence.labels[1:] != sequence.labels[:-1]).any(1)
    borders = [0, *(np.flatnonzero(changes) + 1).tolist(), len(sequence.windows)]
    return [_cut(sequence, start, stop) for start, stop in pairwise(borders) if stop > start]


def _cut(sequence: HopSequence, start: int, stop: int) -> HopSequence:
    rows = slice(start, stop)
    return HopSequence(
        sequence.windows[rows],
        sequence.restart[rows],
        sequence.labels[rows],
        sequence.person,
        sequence.trial,
    )


def _alternate(
    runs: dict[Labels, list[HopSequence]], n_hops: int, rng: np.random.Generator
) -> HopSequence:
    labels, parts, left = list(runs), list[HopSequence](), n_hops
    label = int(rng.integers(len(labels)))
    while left:
        own = runs[labels[label]]
        run = own[rng.integers(len(own))]
        length = min(int(rng.integers(PART[0], PART[1] + 1)), len(run.windows), left)
        start = int(rng.integers(len(run.windows) - length + 1))
        parts.append(_cut(run, start, start + length))
        left -= length
        if len(labels) > 1:
            label = (label + int(rng.integers(1, len(labels)))) % len(labels)
    restart = np.concatenate([part.restart for part in parts])
    joins = np.cumsum([0, *(len(part.restart) for part in parts[:-1])])
    restart[joins] = False
    restart[0] = True
    return HopSequence(
        np.concatenate([part.windows for part in parts]),
        restart,
        np.concatenate([part.labels for part in parts]),
        parts[0].person,
        parts[0].trial,
    )
