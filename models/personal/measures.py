"""Measures of the calibration itself: false verdicts, power, and accuracy over seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.recording import Recording
from mimamba.models.personal.features import (
    BANDS_OF,
    FeatureSet,
    FeatureTrack,
    columns,
    track_features,
)
from mimamba.models.personal.fit_personal import make_attempt
from mimamba.models.personal.pseudo import (
    SHORTEST_BLOCK,
    Effect,
    cut_spans,
    draw_pairs,
    judge_pseudo,
    make_blocks,
    plant,
    serves_random_windows,
)
from mimamba.models.personal.statistics import RIDGE, BlockMoments
from mimamba.models.personal.verdict import RANK, Verdict, half_labels

TRAINING_SECONDS = (5.0, 7.0, 10.0, 15.0, 20.0, 28.0)
"""Seconds of each state to train on."""


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
            planted = plant(one.recording, spans, kinds, effect, montage, rng)
            blocks = make_blocks(spans, _flip(kinds, flipped, rng))
            track = track_features(planted, montage)
            count.add(one, judge_pseudo(track, planted, blocks, montage, features, seed), seconds)
    return count


def _flip(kinds: NDArray[np.int64], flipped: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Exchange the kinds of some blocks of each kind."""
    kinds = kinds.copy()
    for kind in (0, 1):
        places = rng.choice(np.flatnonzero(kinds == kind), flipped, replace=False)
        kinds[places] = -1 - kind
    return np.where(kinds < 0, 2 + kinds, kinds)


def accuracies_over_seconds(
    people: Sequence[PersonRecording],
    kinds: tuple[str, str],
    montage: Sequence[str],
    draws: int,
    seed: int = 0,
) -> Iterator[tuple[float, FeatureSet, list[float]]]:
    """Yield the accuracy of each person for each length of training and set of features.

    As if a person had been calibrated for some seconds of each state, and then left alone.

    Parameters
    ----------
    people
        Recordings of one state each.
    kinds
        The two states.
    montage
        Electrodes.
    draws
        Number of random pairs of stretches for each person.
    seed
        Seed of all random numbers.
    """
    tracks: dict[str, tuple[list[FeatureTrack], list[FeatureTrack]]] = {}
    rates = {}
    for one in people:
        pair = tracks.setdefault(one.person, ([], []))
        pair[kinds.index(one.state)].append(track_features(one.recording, montage))
        rates[one.person] = one.recording.info.sfreq
    for seconds in TRAINING_SECONDS:
        for features in BANDS_OF:
            rng = np.random.default_rng(seed)
            scores = [
                accuracy_over_seconds(
                    first, second, rates[person], seconds, len(montage), features, draws, rng
                )
                for person, (first, second) in tracks.items()
                if first and second
            ]
            yield seconds, features, [score for score in scores if score is not None]


def accuracy_over_seconds(
    first: Sequence[FeatureTrack],
    second: Sequence[FeatureTrack],
    sfreq: float,
    seconds: float,
    n_electrodes: int,
    features: FeatureSet,
    draws: int,
    rng: np.random.Generator,
) -> float | None:
    """Train on a stretch of each state and test on all the rest; mean over random stretches.

    Parameters
    ----------
    first, second
        Recordings of the two states of one person.
    sfreq
        Their sampling frequency, Hz.
    seconds
        Length of each stretch, in windows that lie wholly within it.
    n_electrodes
        Number of electrodes.
    features
        Features of the head.
    draws
        Number of random pairs of stretches.
    rng
        Random numbers.

    Returns
    -------
    Mean over the two states of the share of right hops; None if a state has too few hops.
    """
    chosen = columns(features, n_electrodes)
    scores = []
    for _ in range(draws):
        trained, tested = [], []
        for tracks in (first, second):
            found = _stretch(tracks, sfreq, seconds, rng)
            if found is None:
                return None
            trained.append(found[0][:, chosen])
            tested.append(found[1][:, chosen])
        moments = BlockMoments.of(trained)
        w, bias = moments.directions(np.ones(2, np.bool_), np.array([[0, 1]]), RIDGE)
        right = [np.mean((x @ w[:, 0] > bias[0]) == kind) for kind, x in enumerate(tested)]
        scores.append(float(np.mean(right)))
    return float(np.mean(scores))


def _stretch(
    tracks: Sequence[FeatureTrack], sfreq: float, seconds: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Draw a stretch; return its hops, and those that share no sample with it."""
    choice = int(rng.integers(len(tracks)))
    track = tracks[choice]
    good = track.index[track.ok]
    first, last = good[0] - track.reach + 1, good[-1] + 1 - seconds * sfreq
    if last < first:
        return None
    start = int(rng.integers(first, last + 1))
    stop = start + round(seconds * sfreq)
    inside = track.within(start, stop)
    trained = track.values[inside][track.ok[inside]]
    tested = [
        each.values[
            each.ok
            & ((number != choice) | (each.index < start) | (each.index - each.reach >= stop))
        ]
        for number, each in enumerate(tracks)
    ]
    rest = np.concatenate(tested)
    return (trained, rest) if len(trained) > 0 and len(rest) > 0 else None


def cut_state(
    tracks: Sequence[FeatureTrack], sfreq: float, seconds: float
) -> Iterator[NDArray[np.float64]]:
    """Yield the good hops of each block of ``seconds`` that a state's recordings are cut into."""
    for track in tracks:
        good = track.index[track.ok]
        if not len(good):
            continue
        start = int(good[0]) - track.reach + 1
        length = round(seconds * sfreq)
        while start + length <= good[-1] + 1:
            inside = track.within(start, start + length)
            hops = inside[track.ok[inside]]
            if len(hops):
                yield track.values[hops]
            start += length
