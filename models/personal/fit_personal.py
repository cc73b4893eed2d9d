"""The calibration of a person's own output: from recordings with blocks to a head and a verdict."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.recording import Recording
from mimamba.models.personal.blocks import (
    LEAST_CONTRAST,
    Block,
    CalibrationError,
    check_blocks,
    choose_kinds,
    find_doubtful,
    rating_medians,
)
from mimamba.models.personal.features import (
    FeatureSet,
    FeatureTrack,
    columns,
    track_features,
)
from mimamba.models.personal.head import LinearHead, fit_head
from mimamba.models.personal.joined_data import (
    NOTHING_JOINED,
    JoinedData,
    MomentNote,
    RatedMoment,
)
from mimamba.models.personal.shipped_output import CLAIMS, score_claim
from mimamba.models.personal.statistics import BlockScores, LabelledBlocks, score_blocks
from mimamba.models.personal.verdict import (
    MIXED_ORDER,
    AccuracyTest,
    Verdict,
    choose_features,
    judge,
    strictest_verdict,
)
from mimamba.models.signal.baseline import Baseline
from mimamba.models.signal.montage import MONTAGES

LEAST_GOOD = 0.5
"""Share of a block's hops that must be good for it to be used."""
MOST_DOUBTFUL = 3
"""Blocks with a doubtful rating above which a sitting is not judged."""


@dataclass(frozen=True)
class CalibrationSettings:
    """CalibrationSettings of a calibration; with the recordings they determine the head.

    Parameters
    ----------
    kinds
        Names of the two states.
    montage
        Electrodes.
    baseline
        Seconds of rest at each recording's start by which its windows are aligned; 0 for none.
    features
        Features of the head.
    seed
        Seed of drawn relabellings and of the bootstrap.
    test_model
        Test a shipped model first if it claims this contrast.
    """

    kinds: tuple[str, str]
    montage: tuple[str, ...]
    baseline: float = 0.0
    features: FeatureSet = "below-20"
    seed: int = 0
    test_model: bool = True


@dataclass(frozen=True)
class Attempt:
    """One recording that a head was made of.

    Parameters
    ----------
    sha256
        SHA-256 of its samples and their positions, in hexadecimal digits.
    sfreq, ch_names, n_times
        Sampling frequency in Hz, channels, and number of samples.
    blocks
        Its blocks, in the order of time.
    """

    sha256: str
    sfreq: float
    ch_names: tuple[str, ...]
    n_times: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class PersonalFit:
    """Result of a calibration.

    Parameters
    ----------
    settings
        Its settings.
    attempts
        Its recordings.
    verdict
        The verdict.
    head
        The head; None if there were too few blocks, or if a shipped model fits.
    baseline
        Rest of the latest attempt, or of the latest moments, or None.
    days
        Dates of confirmed days whose blocks joined; they are the last attempts.
    moments
        Rated moments that joined.
    added
        Test of the latest moments while they were held out; None without any.
    looks
        Number of tests of these moments so far, by which p is multiplied.
    """

    settings: CalibrationSettings
    attempts: tuple[Attempt, ...]
    verdict: Verdict
    head: LinearHead | None
    baseline: Baseline | None
    days: tuple[str, ...] = ()
    moments: tuple[MomentNote, ...] = ()
    added: AccuracyTest | None = None
    looks: int = 1

    @property
    def holds(self) -> bool:
        """True if all tests permit to serve the head without a warning."""
        added = self.added is None or self.added.passed
        return self.head is not None and self.verdict.served == "yes" and added


def fit_personal(
    recording: Recording | Sequence[Recording],
    blocks: Sequence[Block] | Sequence[Sequence[Block]],
    *,
    kinds: Sequence[str] = (),
    montage: Sequence[str] = MONTAGES["muse"],
    baseline: float = 0.0,
    features: FeatureSet = "below-20",
    seed: int = 0,
    test_model: bool = True,
) -> PersonalFit:
    """Calibrate a person's own output, and judge it on blocks held out.

    Equal recordings and settings give an equal result.

    Parameters
    ----------
    recording
        A recording, or those of all attempts of a day in the order of time, which are pooled.
    blocks
        Blocks of the recording, or of each.
    kinds
        Names of the two states, if there are more, or in another order than by name.
    montage
        Electrodes to measure.
    baseline
        Seconds of rest at each recording's start by which its windows are aligned; 0 for none.
    features
        Features of the head: ``below-20``, or one of those that muscle reaches.
    seed
        Seed of drawn relabellings and of the bootstrap.
    test_model
        Test a shipped model first if it claims this contrast, with its output as it is.

    Raises
    ------
    CalibrationError
        If the blocks are not of two kinds, are empty, or overlap.
    MontageError, SignalError
        If a recording is unsuitable.
    """
    recordings = (recording,) if isinstance(recording, Recording) else tuple(recording)
    single = [each for each in blocks if isinstance(each, Block)]
    several = [list(each) for each in blocks if not isinstance(each, Block)]
    given = several or [single]
    if len(given) != len(recordings):
        raise CalibrationError(
            f"blocks for each of {len(recordings)} recordings", f"{len(given)} lists", "add them"
        )
    pair = choose_kinds([block for each in given for block in each], kinds)
    electrodes, rest = tuple(montage), float(baseline)
    settings = CalibrationSettings(pair, electrodes, rest, features, seed, test_model)
    attempts = tuple(
        make_attempt(one, check_blocks([block for block in mine if block.kind in pair]))
        for one, mine in zip(recordings, given, strict=True)
    )
    return calibrate(recordings, attempts, settings)


def make_attempt(recording: Recording, blocks: tuple[Block, ...]) -> Attempt:
    """Describe a recording and its blocks."""
    digest = hashlib.sha256(np.ascontiguousarray(recording.data, "<f4").tobytes())
    digest.update(np.ascontiguousarray(recording.index, "<i8").tobytes())
    info = recording.info
    return Attempt(digest.hexdigest(), info.sfreq, info.ch_names, recording.n_times, blocks)


BEGIN_MARK = re.compile(r"calibration \S+ begin")
"""Label of the marker at a live sitting's first sample."""


def cut_attempt(recording: Recording, attempt: Attempt) -> Recording:
    """Return the part of a recording that an attempt is: all of it, or from a sitting's marker on.

    A recording that does not contain the attempt is returned as it is.
    """
    starts = [each.index for each in recording.markers if BEGIN_MARK.fullmatch(each.label)]
    for start in starts:
        first = int(np.searchsorted(recording.index, start))
        rows = slice(first, first + attempt.n_times)
        if first + attempt.n_times > recording.n_times:
            continue
        index = recording.index[rows] - recording.index[first]
        part = replace(
            recording,
            data=recording.data[rows],
            timestamps=recording.timestamps[rows],
            index=index,
            markers=(),
        )
        if make_attempt(part, attempt.blocks) == attempt:
            return part
    return recording


def calibrate(
    recordings: Sequence[Recording],
    attempts: tuple[Attempt, ...],
    settings: CalibrationSettings,
    joined: JoinedData = NOTHING_JOINED,
) -> PersonalFit:
    """Fit and judge a head as ``fit_personal`` does, with complete settings.

    Parameters
    ----------
    recordings, attempts
        The recordings and their blocks; those of confirmed days come last.
    settings
        The settings.
    joined
        Days and ratings that joined a head; each is one more test.

    Raises
    ------
    CalibrationError, MontageError, SignalError
        As ``fit_personal``.
    """
    for attempt in attempts:
        if attempt.blocks[0].start < settings.baseline * attempt.sfreq:
            raise CalibrationError(
                f"{settings.baseline:g} s of rest before the first block",
                f"{attempt.blocks[0].start / attempt.sfreq:.1f} s",
                "choose a shorter baseline, or none",
            )
    tracks = [track_features(each, settings.montage, settings.baseline) for each in recordings]
    measured = measure(tracks, attempts, settings.kinds[1])
    n_own = len(attempts) - len(joined.days)
    tests = n_own
    scores = _score_model(recordings[:n_own], attempts[:n_own], settings)
    remark = scores if isinstance(scores, str) else None
    model: AccuracyTest | None = None
    if isinstance(scores, BlockScores):
        tests *= 2
        model = AccuracyTest.of(scores, tests)
    groups = joined.groups
    for group in groups:
        measured = add_moments(measured, group, settings.kinds[1])
    verdict = judge_measured(measured, settings, tests + len(joined.days) + len(groups))
    fitted = bool(joined.days or groups)  # a head is there already
    if fitted:
        verdict = replace(verdict, attempts=n_own)
    if model is not None:
        verdict = replace(verdict, model=model)
        if (
            not fitted
            and model.passed
            and verdict.name != "too few"
            and verdict.order <= MIXED_ORDER
        ):
            verdict = replace(verdict, name="model fits", served="no")
    if remark is not None and verdict.reason is None:
        verdict = replace(verdict, reason=remark)
    head = None if verdict.name in ("too few", "model fits") else make_head(measured, settings)
    notes = tuple(each.note for each in joined.moments)
    added = score_newest(measured, settings, joined.looks) if groups else None
    rest = joined.rest if groups else tracks[-1].baseline
    return PersonalFit(
        settings, attempts, verdict, head, rest, joined.days, notes, added, joined.looks
    )


def _score_model(
    recordings: Sequence[Recording], attempts: Sequence[Attempt], settings: CalibrationSettings
) -> BlockScores | str | None:
    """Test the shipped model that claims this contrast, if there is one and it is wanted."""
    if not settings.test_model:
        return None
    claim = CLAIMS.get(frozenset(settings.kinds))
    if claim is None:
        return None
    blocks = [attempt.blocks for attempt in attempts]
    return score_claim(claim, recordings, blocks, settings.kinds, settings.seed)


@dataclass(frozen=True, eq=False)
class MeasuredBlocks:
    """Blocks with the features of their good hops.

    Parameters
    ----------
    blocks
        Usable blocks in the order of time, with all features, minus their attempt's centre.
    doubt
        (B,) True for blocks whose rating contradicts their kind.
    centre
        (n_features,) centre of the latest attempt with a usable block.
    poor
        Share of all blocks' hops with poor signal.
    felt
        False if the ratings of the two kinds do not differ.
    """

    blocks: LabelledBlocks
    doubt: NDArray[np.bool_]
    centre: NDArray[np.float64]
    poor: float
    felt: bool = True


def measure(
    tracks: Sequence[FeatureTrack], attempts: Sequence[Attempt], second: str
) -> MeasuredBlocks:
    """Measure the blocks of attempts.

    A hop counts for a block if its whole window lies in it. A block is usable if at least
    ``LEAST_GOOD`` of its hops are good. Each attempt's mean block is taken as its centre, which
    knows nothing of the kinds.
    """
    features: list[NDArray[np.float64]] = []
    kinds, owners, doubt = [], [], []
    n_hops, n_good, felt = 0, 0, True
    centre = np.zeros(tracks[-1].values.shape[1])
    for number, (track, attempt) in enumerate(zip(tracks, attempts, strict=True)):
        doubts = find_doubtful(attempt.blocks, second)
        felt = felt and _felt(attempt.blocks, second)
        mine = []
        for block, doubted in zip(attempt.blocks, doubts, strict=True):
            hops = track.within(block.start, block.stop)
            good = hops[track.ok[hops]]
            n_hops, n_good = n_hops + len(hops), n_good + len(good)
            if len(good) and len(good) >= LEAST_GOOD * len(hops):
                mine.append(track.values[good])
                kinds.append(int(block.kind == second))
                owners.append(number)
                doubt.append(bool(doubted))
        if mine:
            centre = np.mean([each.mean(axis=0) for each in mine], axis=0)
            features += [each - centre for each in mine]
    labelled = LabelledBlocks(
        tuple(features), np.array(kinds, np.int64), np.array(owners, np.int64)
    )
    poor = 1 - n_good / n_hops if n_hops else 1.0
    return MeasuredBlocks(labelled, np.array(doubt, np.bool_), centre, poor, felt)


def add_moments(
    measured: MeasuredBlocks, moments: Sequence[RatedMoment], second: str
) -> MeasuredBlocks:
    """Add rated moments that are alike, with a centre of their own, as one more attempt."""
    before = measured.blocks
    centre = np.mean([each.values.mean(axis=0) for each in moments], axis=0)
    kinds = [int(each.note.kind == second) for each in moments]
    owner = int(before.attempts.max(initial=-1)) + 1
    blocks = LabelledBlocks(
        (*before.features, *(each.values - centre for each in moments)),
        np.append(before.kinds, np.array(kinds, np.int64)),
        np.append(before.attempts, np.full(len(moments), owner, np.int64)),
    )
    doubt = np.append(measured.doubt, np.zeros(len(moments), np.bool_))
    return MeasuredBlocks(blocks, doubt, centre, measured.poor, measured.felt)


def score_newest(
    measured: MeasuredBlocks, settings: CalibrationSettings, looks: int
) -> AccuracyTest:
    """Test the newest attempt alone, while all others train; p is multiplied by the looks."""
    n_electrodes = len(settings.montage)
    kept = measured.blocks.subset(~measured.doubt)
    blocks = choose_features(kept, settings.features, n_electrodes)
    tested = blocks.attempts == blocks.attempts.max()
    return AccuracyTest.of(score_blocks(blocks, settings.seed, tested=tested), looks)


def _felt(blocks: Sequence[Block], second: str) -> bool:
    """Check that the ratings of the two kinds differ, where there are any."""
    medians = rating_medians(blocks, second)
    return medians is None or abs(medians[1] - medians[0]) >= LEAST_CONTRAST


def judge_measured(
    measured: MeasuredBlocks, settings: CalibrationSettings, tests: int = 1
) -> Verdict:
    """Judge measured blocks.

    Doubtful blocks are left out of the head. The verdict is the worst of those with each choice of
    doubtful blocks left out, so a rating that contradicts its kind never makes it better.
    """
    places = np.flatnonzero(measured.doubt)
    n_electrodes, kinds = len(settings.montage), settings.kinds
    if not measured.felt or len(places) > MOST_DOUBTFUL:
        reason = (
            f"{len(places)} ratings contradict their block"
            if measured.felt
            else "your ratings of the two states do not differ enough"
        )
        attempts = len(np.unique(measured.blocks.attempts))
        return Verdict(
            "too few",
            "no",
            kinds,
            measured.blocks.counts,
            attempts,
            tests,
            poor=measured.poor,
            doubtful=len(places),
            reason=reason,
        )
    verdicts = []
    for n_left_out in range(len(places) + 1):
        for chosen in combinations(places.tolist(), n_left_out):
            kept = np.ones(len(measured.doubt), np.bool_)
            kept[list(chosen)] = False
            verdicts.append(
                judge(
                    measured.blocks.subset(kept),
                    n_electrodes,
                    kinds,
                    settings.features,
                    tests,
                    measured.poor,
                    settings.seed,
                )
            )
    return replace(strictest_verdict(verdicts), doubtful=len(places))


def make_head(measured: MeasuredBlocks, settings: CalibrationSettings) -> LinearHead:
    """Fit the head to all blocks that are not doubtful."""
    n_electrodes = len(settings.montage)
    chosen = columns(settings.features, n_electrodes)
    blocks = choose_features(
        measured.blocks.subset(~measured.doubt), settings.features, n_electrodes
    )
    return fit_head(blocks, chosen, len(measured.centre), measured.centre[chosen])
