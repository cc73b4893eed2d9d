"""Comparison of features on moments that people have rated, such as those of UNIVERSE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.datasets.universe import RatedSession
from mimamba.models.personal.blocks import MARGIN
from mimamba.models.personal.comparison import ComparedPerson, track_all
from mimamba.models.personal.fit_personal import LEAST_GOOD
from mimamba.models.personal.statistics import LabelledBlocks, score_blocks
from mimamba.models.personal.verdict import LEAST_BLOCKS

RATED_SECONDS = 30.0
"""Seconds before a rating that it labels, by default."""


@dataclass
class _RatedBlocks:
    """Blocks of one person: features by set, minus their session's centre; kinds; sessions."""

    features: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    kinds: list[int] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)


def compare_rated(
    sessions: Iterable[RatedSession],
    montage: Sequence[str],
    dimension: Literal["valence", "arousal"],
    checkpoint: Checkpoint | None = None,
    seconds: float = RATED_SECONDS,
    permute: bool = False,
    seed: int = 0,
) -> list[ComparedPerson]:
    """Score every set of features on each person's rated moments: low against high.

    The middle is the median of a session's ratings; those within ``MARGIN`` of it are left out, as
    are moments that overlap the one before or have too little good signal. Sessions keep their own
    centre, and are relabelled by themselves.

    Parameters
    ----------
    sessions
        Sessions, those of a person one after the other.
    montage
        Electrodes.
    dimension
        The rating that counts.
    checkpoint
        Network whose tokens and states are compared as well; None for none.
    seconds
        Seconds before a rating that it labels.
    permute
        Exchange the labels within each session at random first: every result should be at chance.
    seed
        Seed of drawn relabellings and of the bootstrap.
    """
    people: dict[str, _RatedBlocks] = {}
    for session in sessions:
        mine = people.setdefault(session.person, _RatedBlocks())
        number = 1 + max(mine.sessions, default=-1)
        tracks = track_all(session.recording, montage, checkpoint)
        found = []
        for start, stop, kind in _moments(session, dimension, seconds):
            hops = {name: track.within(start, stop) for name, track in tracks.items()}
            good = {name: each[tracks[name].ok[each]] for name, each in hops.items()}
            if all(len(good[name]) >= max(1, LEAST_GOOD * len(hops[name])) for name in tracks):
                found.append((kind, {name: tracks[name].values[good[name]] for name in tracks}))
        for name in tracks if found else ():
            parts = [values[name] for _, values in found]
            centre = np.mean([each.mean(axis=0) for each in parts], axis=0)
            mine.features.setdefault(name, []).extend(each - centre for each in parts)
        mine.kinds += [kind for kind, _ in found]
        mine.sessions += [number] * len(found)
    rng = np.random.default_rng(seed) if permute else None
    return [
        scored
        for person, mine in people.items()
        if (scored := _score(person, mine, rng, seed)) is not None
    ]


def _moments(
    session: RatedSession, dimension: Literal["valence", "arousal"], seconds: float
) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and kind (0 low, 1 high) of the moments whose rating is clear."""
    ratings = [(each.index, float(getattr(each, dimension))) for each in session.ratings]
    middle = float(np.median([rating for _, rating in ratings])) if ratings else 0.0
    length, last = round(seconds * session.recording.info.sfreq), 0
    for index, rating in sorted(ratings):
        start, stop = index + 1 - length, index + 1
        if abs(rating - middle) >= MARGIN and start >= last:
            yield start, stop, int(rating > middle)
            last = stop


def _score(
    person: str, mine: _RatedBlocks, rng: np.random.Generator | None, seed: int
) -> ComparedPerson | None:
    """Score a person; None with too few blocks of a kind."""
    kinds, owners = np.array(mine.kinds, np.int64), np.array(mine.sessions, np.int64)
    n_high = int(kinds.sum())
    if min(n_high, len(kinds) - n_high) < LEAST_BLOCKS:
        return None
    if rng is not None:
        for owner in np.unique(owners):
            kinds[owners == owner] = rng.permutation(kinds[owners == owner])
    scores = {
        name: score_blocks(LabelledBlocks(tuple(features), kinds, owners), seed)
        for name, features in mine.features.items()
    }
    return ComparedPerson(person, (len(kinds) - n_high, n_high), scores)
