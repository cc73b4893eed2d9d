"""Counts of verdicts over many pseudo-calibrations: false ones, and effects that are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.recording import Recording
from mimamba.models.personal.blocks import Block
from mimamba.models.personal.features import (
    FeatureSet,
    track_features,
)
from mimamba.models.personal.fit_personal import make_attempt
from mimamba.models.personal.pseudo_calibrations import (
    SHORTEST_BLOCK,
    Effect,
    add_effect,
    cut_spans,
    draw_pairs,
    judge_pseudo,
    make_blocks,
    serves_random_windows,
)
from mimamba.models.personal.verdict import RANK, Verdict, half_labels

RATINGS = (80.0, 20.0)
"""Ratings of the second and first kind of blocks."""


@dataclass(frozen=True, eq=False)
class PersonRecording:
    """A recording with its person, and the name of the state that the person is in."""

    person: str
    name: str
    state: str
    recording: Recording


@dataclass
class VerdictCount:
    """Verdicts of many pseudo-calibrations.

    Parameters
    ----------
    name
        Name of the condition.
    verdicts
        Number of each verdict.
    served
        Number that a person would have been served, with or without a warning.
    passed
        Number whose test passed, whatever the verdict.
    random
        Number that random windows would have served.
    people, recordings
        Names of those that were used.
    seconds
        Length of a block of each draw, s.
    """

    name: str
    verdicts: Counter[str] = field(default_factory=Counter)
    served: int = 0
    passed: int = 0
    random: int = 0
    people: set[str] = field(default_factory=set)
    recordings: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)

    @property
    def draws(self) -> int:
        """Number of pseudo-calibrations with a verdict other than ``too few``."""
        return self.verdicts.total() - self.verdicts["too few"]

    def add(self, one: PersonRecording, verdict: Verdict, seconds: float) -> None:
        """Count a verdict."""
        self.verdicts[verdict.name] += 1
        if verdict.name == "too few":
            return
        self.served += RANK[verdict.served] > 0
        self.passed += verdict.result is not None and verdict.result.passed
        self.people.add(one.person)
        self.recordings.add(f"{one.person} {one.name}")
        self.seconds.append(seconds)


@dataclass(frozen=True)
class FlipCount:
    """Effect of one rating the wrong way on the verdicts of ``flips`` pseudo-calibrations.

    ``raised`` counts verdicts that became better in any way, ``lowered`` those no longer served.
    """

    flips: int
    raised: int
    lowered: int


def count_false(
    recordings: Sequence[PersonRecording],
    montage: Sequence[str],
    draws: int,
    n_blocks: int = 12,
    shortest: float = SHORTEST_BLOCK,
    seed: int = 0,
) -> tuple[VerdictCount, VerdictCount]:
    """Count verdicts where there is nothing to find.

    Parameters
    ----------
    recordings
        Recordings of one state each.
    montage
        Electrodes.
    draws
        Number of random orders of pairs for each recording.
    n_blocks
        Blocks of each pseudo-calibration.
    shortest
        Seconds of a block below which a recording is left out.
    seed
        Seed of all random numbers.

    Returns
    -------
    Counts with kinds in random pairs, and with the first half against the second.
    """
    rng = np.random.default_rng(seed)
    pairs, halves = VerdictCount("random pairs"), VerdictCount("early against late")
    for one in recordings:
        recording = one.recording
        spans = cut_spans(recording, n_blocks, shortest)
        if not spans:
            continue
        seconds = (spans[0][1] - spans[0][0]) / recording.info.sfreq
        track = track_features(recording, montage)
        orders = [draw_pairs(n_blocks, rng) for _ in range(draws)]
        for kinds, count in [
            *((each, pairs) for each in orders),
            (half_labels(np.zeros(n_blocks, np.int64)), halves),
        ]:
            blocks = make_blocks(spans, kinds)
            verdict = judge_pseudo(track, recording, blocks, montage, seed=seed)
            count.add(one, verdict, seconds)
            if verdict.name != "too few":
                attempt = make_attempt(recording, blocks)
                count.random += serves_random_windows(track, attempt, montage, rng)
    return pairs, halves


def count_found(
    recordings: Sequence[PersonRecording],
    montage: Sequence[str],
    effect: Effect,
    draws: int,
    n_blocks: int = 12,
    features: FeatureSet = "below-20",
    flipped: int = 0,
    shortest: float = SHORTEST_BLOCK,
    seed: int = 0,
) -> VerdictCount:
    """Count verdicts where an effect is planted.

    Parameters
    ----------
    recordings, montage, draws, n_blocks, shortest, seed
        As for ``count_false``.
    effect
        The effect.
    features
        Features of the head.
    flipped
        Number of blocks of each kind whose kind is given the wrong way.
    """
    rng = np.random.default_rng(seed)
    count = VerdictCount(effect.name)
    for one in recordings:
        spans = cut_spans(one.recording, n_blocks, shortest)
        if not spans:
            continue
        seconds = (spans[0][1] - spans[0][0]) / one.recording.info.sfreq
        for _ in range(draws):
            kinds = draw_pairs(n_blocks, rng)
            planted = add_effect(one.recording, spans, kinds, effect, montage, rng)
            blocks = make_blocks(spans, _flip(kinds, flipped, rng))
            track = track_features(planted, montage)
            count.add(one, judge_pseudo(track, planted, blocks, montage, features, seed), seconds)
    return count


def count_raised(
    recordings: Sequence[PersonRecording],
    montage: Sequence[str],
    effect: Effect | None,
    draws: int,
    n_blocks: int = 12,
    shortest: float = SHORTEST_BLOCK,
    seed: int = 0,
) -> FlipCount:
    """Count verdicts that one rating the wrong way raises or lowers.

    Parameters
    ----------
    recordings, montage, draws, n_blocks, shortest, seed
        As for ``count_false``.
    effect
        The effect; None for none.
    """
    rng = np.random.default_rng(seed)
    raised = lowered = flips = 0
    for one in recordings:
        spans = cut_spans(one.recording, n_blocks, shortest)
        for _ in range(draws if spans else 0):
            kinds = draw_pairs(n_blocks, rng)
            recording = one.recording
            if effect is not None:
                recording = add_effect(recording, spans, kinds, effect, montage, rng)
            track = track_features(recording, montage)
            ratings = np.where(kinds == 1, *RATINGS)
            place = int(rng.integers(n_blocks))
            wrong = ratings.copy()
            wrong[place] = sum(RATINGS) - ratings[place]
            before, after = (
                judge_pseudo(track, recording, _rated(spans, kinds, each), montage, seed=seed)
                for each in (ratings, wrong)
            )
            if before.name != "too few":
                flips += 1
                raised += after.rank > before.rank
                lowered += RANK[after.served] < RANK[before.served]
    return FlipCount(flips, raised, lowered)


def _rated(
    spans: Sequence[tuple[int, int]], kinds: NDArray[np.int64], ratings: NDArray[np.float64]
) -> tuple[Block, ...]:
    blocks = make_blocks(spans, kinds)
    return tuple(
        replace(block, rating=float(rating)) for block, rating in zip(blocks, ratings, strict=True)
    )


def _flip(kinds: NDArray[np.int64], flipped: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Exchange the kinds of some blocks of each kind."""
    kinds = kinds.copy()
    for kind in (0, 1):
        places = rng.choice(np.flatnonzero(kinds == kind), flipped, replace=False)
        kinds[places] = -1 - kind
    return np.where(kinds < 0, 2 + kinds, kinds)
