"""Accuracy of a head over the seconds of each state that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.models.personal.features import (
    BANDS_OF,
    FeatureSet,
    FeatureTrack,
    columns,
    track_features,
)
from mimamba.models.personal.head import smooth
from mimamba.models.personal.statistics import RIDGE, BlockMoments
from mimamba.models.personal.verdict_counts import PersonRecording

TRAINING_SECONDS = (5, 10, 15, 20, 28)
"""Windows of each state to train on, one per second."""


@dataclass(frozen=True)
class TrainingAccuracy:
    """Accuracy after training on some seconds of each state.

    Parameters
    ----------
    seconds
        Number of windows of each state, one per second.
    features
        Features of the head.
    single, smoothed
        Accuracy of each person, from single windows and as it would be served.
    """

    seconds: int
    features: FeatureSet
    single: list[float]
    smoothed: list[float]


def accuracies_over_seconds(
    people: Sequence[PersonRecording],
    kinds: tuple[str, str],
    montage: Sequence[str],
    draws: int,
    seed: int = 0,
) -> Iterator[TrainingAccuracy]:
    """Yield the accuracy for each length of training and set of features.

    It is as if a person had been calibrated on one stretch of each state: what lies outside, and
    shares no sample with it, is the test.

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
    for one in people:
        pair = tracks.setdefault(one.person, ([], []))
        pair[kinds.index(one.state)].append(track_features(one.recording, montage))
    complete = [pair for pair in tracks.values() if pair[0] and pair[1]]
    for seconds in TRAINING_SECONDS:
        for features in BANDS_OF:
            rng = np.random.default_rng(seed)
            chosen = columns(features, len(montage))
            scores = []
            for pair in complete:
                drawn = [_train_and_test(pair, seconds, chosen, rng) for _ in range(draws)]
                found = [each for each in drawn if each is not None]
                if found:
                    scores.append(np.mean(found, axis=0))
            yield TrainingAccuracy(
                seconds,
                features,
                [float(single) for single, _ in scores],
                [float(smoothed) for _, smoothed in scores],
            )


def _train_and_test(
    pair: tuple[list[FeatureTrack], list[FeatureTrack]],
    seconds: int,
    chosen: slice,
    rng: np.random.Generator,
) -> tuple[float, float] | None:
    """Train on a stretch of each state; return the accuracy of single and smoothed scores."""
    trained, tested = [], []
    for tracks in pair:
        found = _stretch(tracks, seconds, rng)
        if found is None:
            return None
        trained.append(found[0][:, chosen])
        tested.append([each[:, chosen] for each in found[1]])
    w, bias = BlockMoments.of(trained).directions(np.ones(2, np.bool_), np.array([[0, 1]]), RIDGE)
    right = []
    for kind, parts in enumerate(tested):
        scores = [part @ w[:, 0] - bias[0] for part in parts]
        right.append(
            [
                np.mean((np.concatenate(each) > 0) == kind)
                for each in (scores, [smooth(part) for part in scores])
            ]
        )
    single, smoothed = np.mean(right, axis=0)
    return float(single), float(smoothed)


def _stretch(
    tracks: Sequence[FeatureTrack], seconds: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]] | None:
    """Draw a stretch of successive hops; return it, and the hops that share no sample with it."""
    choice = int(rng.integers(len(tracks)))
    track = tracks[choice]
    good = np.flatnonzero(track.ok)
    if len(good) <= seconds:
        return None
    first = int(rng.integers(len(good) - seconds))
    taken = good[first : first + seconds]
    start, stop = track.index[taken[0]] - track.reach + 1, track.index[taken[-1]] + 1
    tested = []
    for number, each in enumerate(tracks):
        apart = (each.index < start) | (each.index - each.reach + 1 >= stop)
        kept = each.ok & (apart | (number != choice))
        if kept.any():
            tested.append(each.values[kept])
    return (track.values[taken], tested) if tested else None


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
