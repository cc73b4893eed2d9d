"""The verdict of a calibration: whether a person's own output may be served, in words and numbers.

A head is served only if it tells blocks apart that it has not seen. Four things can pass for a
state of mind, and each has its own verdict: chance, the face's muscles, the passing of time, and
too little to judge by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.models.personal.features import FeatureSet, columns
from mimamba.models.personal.statistics import BlockScores, LabelledBlocks, score_blocks

VerdictName: TypeAlias = Literal[
    "reliable", "no difference", "muscle", "drift", "too few", "model fits"
]
Served: TypeAlias = Literal["yes", "this session", "no"]

LARGEST_P = 0.05
"""Largest p of a difference, times the number of tests that were made."""
LEAST_ACCURACY = 0.60
"""Smallest accuracy that is of use to a person, whatever its p."""
LEAST_BLOCKS = 4
"""Blocks of each kind below which no result could be told from chance.

With 3 + 3 there are 10 different relabellings, so p is never below 0.1; with 4 + 4 there are 35.
"""
MOST_POOR = 0.25
"""Share of hops with poor signal above which a sitting is not judged."""
MUSCLE_GAIN = 0.10
"""Gain in accuracy by 20 to 40 Hz from which muscle is taken to tell the states apart."""
MIXED_ORDER = 0.5
"""Largest distance of the kinds' mean places, 0 to 1, at which time can be told from state.

Pairs in random order have at most 1/6 with 12 blocks; all of one kind before the other has 1.
"""
RANK: dict[Served, int] = {"no": 0, "this session": 1, "yes": 2}


@dataclass(frozen=True)
class AccuracyTest:
    """Result of one test over blocks.

    Parameters
    ----------
    accuracy
        Block-balanced accuracy on blocks held out; chance is 0.5.
    interval
        Its bounds, 95 %, by drawing the blocks again.
    p
        Share of relabellings that score as well, times the number of tests made; at most 1.
    n_relabellings
        Number of relabellings.
    """

    accuracy: float
    interval: tuple[float, float]
    p: float
    n_relabellings: int

    @classmethod
    def of(cls, scores: BlockScores, tests: int = 1) -> AccuracyTest:
        """Make the result of scores that were one of several tests."""
        return cls(
            scores.accuracy, scores.interval, min(1.0, tests * scores.p), scores.n_relabellings
        )

    @property
    def passed(self) -> bool:
        """True if the difference is no chance, and large enough to be of use."""
        return self.p <= LARGEST_P and self.accuracy >= LEAST_ACCURACY

    @property
    def percent(self) -> str:
        """The accuracy in per cent."""
        return f"{100 * self.accuracy:.0f} %"

    @property
    def details(self) -> str:
        """Interval, chance and p, in brackets."""
        low, high = (f"{100 * bound:.0f}" for bound in self.interval)
        p = "p below .001" if self.p < 0.001 else f"p {self.p:.3f}".replace("p 0.", "p .")
        return f"({low} to {high}; guessing 50; {p})"

    def __str__(self) -> str:
        return f"{self.percent} {self.details}"


@dataclass(frozen=True)
class Verdict:
    """Verdict of a calibration.

    Parameters
    ----------
    name
        The verdict.
    served
        If the head may be served: always, until the session ends, or not.
    kinds
        Names of the two states.
    n_blocks
        Usable blocks of each.
    attempts
        Attempts that were pooled.
    tests
        Number of tests by which p was multiplied: attempts, times two if a model was tested first.
    result
        The test below 20 Hz, or of the features chosen; None if there were too few blocks.
    muscle
        The test with 20 to 40 Hz alone.
    both
        The test with 1 to 40 Hz.
    time
        The test with the first and second half of each attempt in place of the two states.
    model
        The test of the shipped model's untouched output, if one was made.
    order
        Distance of the two kinds' mean places in the order of blocks, 0 (mixed) to 1 (apart).
    poor
        Share of the blocks' hops with poor signal.
    doubtful
        Blocks whose rating contradicted their kind.
    reason
        What was missing, for the verdict ``too few``; a remark on the model otherwise, or None.
    """

    name: VerdictName
    served: Served
    kinds: tuple[str, str]
    n_blocks: tuple[int, int]
    attempts: int
    tests: int
    result: AccuracyTest | None = None
    muscle: AccuracyTest | None = None
    both: AccuracyTest | None = None
    time: AccuracyTest | None = None
    model: AccuracyTest | None = None
    order: float = 0.0
    poor: float = 0.0
    doubtful: int = 0
    reason: str | None = None

    @property
    def rank(self) -> tuple[int, float, float]:
        """Sort key: the more a verdict allows, the larger."""
        if self.result is None:
            return RANK[self.served], -1.0, 0.0
        return RANK[self.served], -self.result.p, self.result.accuracy

    @property
    def sentence(self) -> str:
        """The verdict for a person."""
        attempts = f" {self.attempts} attempts were pooled." if self.attempts > 1 else ""
        return self._words() + attempts

    def _words(self) -> str:
        one, other = self.kinds
        result = self.model if self.name == "model fits" else self.result
        if result is None:
            return f"Too little to judge by: {self.reason}. Nothing is served."
        nothing = "Nothing is served."
        if self.name == "drift" and self.served == "no":
            return (
                f"{one.capitalize()} and {other} cannot be told from the passing of time: nearly "
                f"all blocks of one came before the other ({result}). {nothing} Let them alternate "
                "in random order."
            )
        words: dict[VerdictName, str] = {
            "reliable": f"Reliable today: your own output told {one} from {other} in "
            f"{result.percent} of the time in blocks that it had not seen {result.details}.",
            "no difference": f"No reliable difference was found between {one} and {other}: "
            f"{result}. {nothing} Ratings that lie further apart, better contact of the "
            "electrodes or another contrast may help.",
            "muscle": f"Your face or jaw told {one} from {other} apart, not your brain waves: the "
            f"difference lies above 20 Hz ({self.muscle}), not below ({result}). {nothing} Keep "
            "your face soft, and try again.",
            "drift": f"The signal followed time more than your state: {result} by state, "
            f"{self.time} by first and second half. The output is served with this warning until "
            "the session ends.",
            "model fits": "The shipped model fits you: its output, unchanged, was right in "
            f"{result.percent} of the time {result.details}. Nothing was trained.",
        }
        return words[self.name]


def judge(
    blocks: LabelledBlocks,
    n_electrodes: int,
    kinds: tuple[str, str],
    features: FeatureSet = "below-20",
    tests: int = 1,
    poor: float = 0.0,
    seed: int = 0,
) -> Verdict:
    """Judge blocks with the features of all bands.

    Parameters
    ----------
    blocks
        Blocks in the order of time, with all columns of ``BandFeatures``.
    n_electrodes
        Number of electrodes.
    kinds
        Names of the two states.
    features
        Features that the head would have.
    tests
        Number of tests that p is multiplied by.
    poor
        Share of hops with poor signal.
    seed
        Seed of drawn relabellings and of the bootstrap.
    """
    attempts = len(np.unique(blocks.attempts))
    counts = blocks.counts
    if (reason := _too_few(counts, kinds, poor)) is not None:
        return Verdict("too few", "no", kinds, counts, attempts, tests, poor=poor, reason=reason)

    def test(chosen: FeatureSet, of: LabelledBlocks) -> AccuracyTest:
        return AccuracyTest.of(score_blocks(choose_features(of, chosen, n_electrodes), seed), tests)

    result = test(features, blocks)
    muscle, both = test("above-20", blocks), test("below-40", blocks)
    halves = half_labels(blocks.attempts)
    time = test(features, blocks.relabelled(halves))
    order = mean_order(blocks)
    name, served = _decide(result, muscle, both, time, order)
    return Verdict(
        name, served, kinds, counts, attempts, tests, result, muscle, both, time, None, order, poor
    )


def _too_few(counts: tuple[int, int], kinds: tuple[str, str], poor: float) -> str | None:
    if poor > MOST_POOR:
        return f"the signal was poor in {100 * poor:.0f} % of the blocks' time"
    if min(counts) < LEAST_BLOCKS:
        found = " and ".join(f"{n} of {kind}" for n, kind in zip(counts, kinds, strict=True))
        return f"{found} can be used, where {LEAST_BLOCKS} of each are the least"
    return None


def _decide(
    result: AccuracyTest, muscle: AccuracyTest, both: AccuracyTest, time: AccuracyTest, order: float
) -> tuple[VerdictName, Served]:
    """Choose the verdict; muscle comes first, for it must never be served."""
    gained = both.passed and both.accuracy >= result.accuracy + MUSCLE_GAIN
    if gained or (muscle.passed and not result.passed):
        return "muscle", "no"
    if not result.passed:
        return "no difference", "no"
    if order > MIXED_ORDER:
        return "drift", "no"
    if time.passed and time.accuracy > result.accuracy:
        return "drift", "this session"
    return "reliable", "yes"


def choose_features(
    blocks: LabelledBlocks, features: FeatureSet, n_electrodes: int
) -> LabelledBlocks:
    """Return the blocks with a set of features."""
    chosen = columns(features, n_electrodes)
    parts = tuple(each[:, chosen] for each in blocks.features)
    return LabelledBlocks(parts, blocks.kinds, blocks.attempts)


def half_labels(attempts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label the later half of each attempt's blocks (B,) with 1."""
    labels = np.zeros(len(attempts), np.int64)
    for attempt in np.unique(attempts):
        mine = np.flatnonzero(attempts == attempt)
        labels[mine[(len(mine) + 1) // 2 :]] = 1
    return labels


def mean_order(blocks: LabelledBlocks) -> float:
    """Return the distance of the two kinds' mean places: 0 if they are mixed, 1 if apart."""
    distances = []
    for attempt in np.unique(blocks.attempts):
        kinds = blocks.kinds[blocks.attempts == attempt]
        if 0 < kinds.sum() < len(kinds):
            places = np.arange(len(kinds))
            apart = places[kinds == 1].mean() - places[kinds == 0].mean()
            distances.append(apart / (len(kinds) / 2))
    return float(abs(np.mean(distances))) if distances else 1.0


def strictest_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict that allows least."""
    return min(verdicts, key=lambda verdict: verdict.rank)
