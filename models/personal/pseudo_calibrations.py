"""Pseudo-calibrations: blocks cut from recordings in which nothing changes, with or without effect.

They measure what cannot be measured on a person: how often a verdict is wrong where there is
nothing to find, and how often a change of known size is found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt
from scipy.stats import binomtest

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import Recording
from mimamba.models.personal.blocks import Block
from mimamba.models.personal.features import FeatureSet, FeatureTrack
from mimamba.models.personal.fit_personal import (
    Attempt,
    CalibrationSettings,
    judge_measured,
    make_attempt,
    measure,
)
from mimamba.models.personal.statistics import RIDGE, BlockMoments
from mimamba.models.personal.verdict import LARGEST_P, LEAST_ACCURACY, Verdict, choose_features
from mimamba.models.signal.montage import match_montage

KINDS = ("a", "b")
"""Names of the two states."""
SETTLE = 2.0
"""Seconds at the start that are not used: the filters' transient."""
LONGEST_BLOCK = 30.0
"""Seconds of a block; a shorter recording is divided evenly."""
SHORTEST_BLOCK = 7.0
"""Seconds below which a recording is not used: four windows of 4 s."""
SPREAD = 0.5
"""Share of an effect's size by which it differs at most from block to block."""
FILTER_ORDER = 4
"""Order of the Butterworth filter that separates a planted band."""
FOLDS = 5
"""Folds of the usual validation with random windows."""

EFFECT = re.compile(
    r"(?P<low>[0-9.]+)-(?P<high>[0-9.]+):(?P<db>-?[0-9.]+)(?:@(?P<electrodes>[A-Za-z0-9+]+))?"
)
"""An effect as people write it."""


@dataclass(frozen=True)
class Effect:
    """A change of band power in the blocks of the second kind.

    Parameters
    ----------
    name
        Name for people.
    band
        Edges of the band, Hz.
    decibels
        Mean change of its power, dB.
    electrodes
        Electrodes where it changes; empty for all.
    """

    name: str
    band: tuple[float, float]
    decibels: float
    electrodes: tuple[str, ...] = ()


def parse_effect(text: str) -> Effect:
    """Parse an effect written as ``8-13:1.5`` or ``20-40:1.5@AF7+AF8``; raises Mismatch."""
    found = EFFECT.fullmatch(text.strip())
    if found is None or not 0 < float(found["low"]) < float(found["high"]):
        raise Mismatch(
            "an effect such as 8-13:1.5 or 20-40:1.5@AF7+AF8", repr(text), "correct --effect"
        )
    electrodes = tuple((found["electrodes"] or "").split("+")) if found["electrodes"] else ()
    band = float(found["low"]), float(found["high"])
    return Effect(text.strip(), band, float(found["db"]), electrodes)


def cut_spans(
    recording: Recording, n_blocks: int, shortest: float = SHORTEST_BLOCK
) -> list[tuple[int, int]]:
    """Divide a recording into blocks of equal length; empty if they would be too short."""
    sfreq = recording.info.sfreq
    first = round(SETTLE * sfreq)
    length = min(round(LONGEST_BLOCK * sfreq), (recording.end - first) // n_blocks)
    if length < shortest * sfreq:
        return []
    return [(first + n * length, first + (n + 1) * length) for n in range(n_blocks)]


def draw_pairs(n_blocks: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the kinds of blocks: pairs of one of each, in random order."""
    return np.concatenate([rng.permutation(2) for _ in range(n_blocks // 2)]).astype(np.int64)


def make_blocks(spans: Sequence[tuple[int, int]], kinds: NDArray[np.int64]) -> tuple[Block, ...]:
    """Make blocks of spans and their kinds."""
    return tuple(
        Block(KINDS[kind], start, stop)
        for (start, stop), kind in zip(spans, kinds.tolist(), strict=True)
    )


def add_effect(
    recording: Recording,
    spans: Sequence[tuple[int, int]],
    kinds: NDArray[np.int64],
    effect: Effect,
    montage: Sequence[str],
    rng: np.random.Generator,
) -> Recording:
    """Return the recording with an effect in the spans of kind 1, of another size in each.

    The band's part of the signal is amplified, by a filter without delay.

    Raises
    ------
    Mismatch
        If the band or an electrode does not suit the recording.
    """
    _check_effect(effect, montage, recording.info.sfreq)
    gain = np.zeros(recording.end)
    for (start, stop), kind in zip(spans, kinds.tolist(), strict=True):
        size = effect.decibels * (1 + SPREAD * rng.uniform(-1, 1))
        if kind:
            gain[start:stop] = 10 ** (size / 20) - 1
    sos = butter(FILTER_ORDER, effect.band, "bandpass", fs=recording.info.sfreq, output="sos")
    data = recording.data.astype(np.float64)
    for electrode in match_montage(montage, recording.info.ch_names):
        if not effect.electrodes or electrode.electrode in effect.electrodes:
            column = data[:, electrode.row]
            band = sosfiltfilt(sos, column - column.mean())
            data[:, electrode.row] = column + gain[recording.index] * band
    return replace(recording, data=data.astype(np.float32))


def _check_effect(effect: Effect, montage: Sequence[str], sfreq: float) -> None:
    if effect.band[1] >= sfreq / 2:
        raise Mismatch(
            f"a band below half of the sampling frequency, {sfreq / 2:g} Hz",
            f"one up to {effect.band[1]:g} Hz",
            "choose a lower band",
        )
    for electrode in effect.electrodes:
        if electrode not in montage:
            raise Mismatch(
                f"one of the electrodes {', '.join(montage)}", electrode, "correct the effect"
            )


def judge_pseudo(
    track: FeatureTrack,
    recording: Recording,
    blocks: tuple[Block, ...],
    montage: Sequence[str],
    features: FeatureSet = "below-20",
    seed: int = 0,
) -> Verdict:
    """Judge blocks of a recording as a calibration does, without a shipped model."""
    attempt = make_attempt(recording, blocks)
    settings = CalibrationSettings(
        KINDS, tuple(montage), features=features, seed=seed, test_model=False
    )
    return judge_measured(measure([track], [attempt], KINDS[1]), settings)


def serves_random_windows(
    track: FeatureTrack,
    attempt: Attempt,
    montage: Sequence[str],
    rng: np.random.Generator,
) -> bool:
    """Judge blocks as is usual: hops of all blocks mixed, in random folds, with a binomial test.

    Windows that overlap, or lie in one block, are then trained and tested on. The head, the
    largest p and the least accuracy are the same as ours.
    """
    blocks = choose_features(measure([track], [attempt], KINDS[1]).blocks, "below-20", len(montage))
    x = np.concatenate(blocks.features)
    y = np.repeat(blocks.kinds, [len(each) for each in blocks.features])
    folds = rng.permutation(len(x)) % FOLDS
    moments, right = BlockMoments.of([each[np.newaxis] for each in x]), 0
    for fold in range(FOLDS):
        w, bias = moments.directions(folds != fold, y[np.newaxis, folds != fold], RIDGE)
        right += int(((x[folds == fold] @ w[:, 0] > bias[0]) == y[folds == fold]).sum())
    p = binomtest(right, len(x), 0.5, alternative="greater").pvalue
    return bool(p <= LARGEST_P and right / len(x) >= LEAST_ACCURACY)
