"""The live reading: by hand, blind to nothing that a live session would show, and chosen by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    MajorityLabel,
    UnlabelledSequence,
)
from mimamba.models.evaluation.evaluator import evaluate_sequences
from mimamba.models.evaluation.live_reading import MAX_LATENCY, score_live, trace_curve
from mimamba.models.evaluation.live_streams import join_streams
from mimamba.models.evaluation.results import EvaluationReport, LiveResult
from mimamba.models.evaluation.smoothing import KEEPS
from mimamba.models.training.windowing import HopSequence
from tests.models.evaluation.people import TASK, people, telling


def said(labels: Sequence[int]) -> NDArray[np.float64]:
    return np.eye(2)[list(labels)]


def test_by_hand() -> None:
    truth = np.array([0] * 30 + [1] * 30 + [0] * 30)
    # Four hops late into 1, with a wrong hop that delays it by three more; never back into 0.
    answers = [0] * 30 + [0] * 4 + [1, 1, 0] + [1] * 23 + [1] * 30
    scores = score_live([truth], [said(answers)], hop=1.0)
    assert scores.latency == pytest.approx((8 + MAX_LATENCY) / 2)
    assert scores.missed == 0.5
    assert scores.steady_accuracy == pytest.approx((np.mean([1, 0]) + 1) / 2)
    assert scores.balanced_accuracy == pytest.approx((30 / 60 + 25 / 30) / 2)


def test_seconds_are_hops_times_their_distance() -> None:
    truth = np.array([0] * 8 + [1] * 8)
    at_once = score_live([truth], [said(truth.tolist())], hop=4.0)
    assert (at_once.latency, at_once.missed) == (4.0, 0.0)
    late = score_live([truth], [said([0] * 10 + [1] * 6)], hop=4.0)
    assert late.latency == 12.0
    assert late.steady_accuracy == 1.0  # the last 20 s are five hops


def test_a_short_part_is_followed_if_all_of_it_is_right() -> None:
    truth = np.array([0, 0, 0, 1, 1, 0, 0, 0])
    assert score_live([truth], [said(truth.tolist())], 1.0).latency == 1.0


def test_without_a_switch_there_is_no_latency() -> None:
    scores = score_live([np.zeros(5, np.int64)], [said([0] * 5)], 1.0)
    assert (scores.latency, scores.missed, scores.balanced_accuracy) == (None, None, 1.0)


@given(st.integers(0, 2**16), st.floats(0.25, 4))
def test_scores_stay_in_their_ranges(seed: int, hop: float) -> None:
    rng = np.random.default_rng(seed)
    truths = [rng.integers(0, 3, n) for n in rng.integers(1, 30, 3)]
    scores = score_live(truths, [rng.dirichlet(np.ones(3), len(t)) for t in truths], hop)
    assert 0 <= scores.balanced_accuracy <= 1
    assert 0 <= scores.steady_accuracy <= 1
    if scores.latency is not None and scores.missed is not None:
        assert min(hop, MAX_LATENCY) <= scores.latency <= MAX_LATENCY
        assert 0 <= scores.missed <= 1


def test_the_stronger_the_smoothing_the_later_a_switch_is_followed() -> None:
    parts = [people(1, 2, 64, telling)[i] for i in (0, 1)]
    streams = join_streams(parts)
    labels = streams[0].joined.labels[:, 0]
    (curve,) = trace_curve([said(labels.tolist())], streams, [2], hop=1.0)
    assert [point.keep for point in curve] == list(KEEPS)
    latencies = [point.scores.latency or 0.0 for point in curve]
    assert latencies == sorted(latencies)
    assert latencies[0] == 1.0
    assert latencies[-1] > 10


class Oracle:
    """Sees the true frequency in a window's spectrum; noisy at first, or slow, as it is told."""

    def __init__(self, name: str, lag: int = 0, right: float = 1.0) -> None:
        self.name, self._lag, self._right = name, lag, right
        self.carries_state = lag > 0
        self.asked: list[int] = []

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        pass

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        pass

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        self.asked += [len(s.windows) for s in sequences]
        rng = np.random.default_rng(0)
        found = []
        for s in sequences:
            power = np.abs(np.fft.rfft(s.windows, axis=-1)).mean(1)
            high = power[:, 20] > power[:, 6]
            if self._lag:
                high = np.concatenate([np.repeat(high[0], self._lag), high])[: len(high)]
            wrong = rng.random(len(high)) > self._right
            found.append(said((high ^ wrong).astype(int).tolist()))
        return found


def reports(*candidates: Candidate) -> tuple[EvaluationReport, dict[str, LiveResult]]:
    sequences = people(6, 2, 40, telling)
    report = evaluate_sequences("waves", sequences, TASK, candidates, n_folds=3)
    (subject,) = [e for e in report.evaluations if e.protocol == "subject"]
    return report, {result.contender: result for result in subject.live}


def test_blocks_hide_a_lag_that_the_live_reading_shows() -> None:
    report, live = reports(Oracle("at once"), Oracle("late", lag=12), MajorityLabel(TASK))
    (subject,) = [e for e in report.evaluations if e.protocol == "subject"]
    blocks = {(r.contender, r.smoothing): r.mean.balanced_accuracy for r in subject.results}
    assert blocks["late", "plain"] == blocks["at once", "plain"] == 1.0
    assert live["at once"].mean.latency == 1.0
    assert live["late"].mean.latency == 13.0
    assert live["late"].mean.balanced_accuracy < live["at once"].mean.balanced_accuracy == 1.0
    # Of each label a fold has one whole part and two halves; 8 of the last half's 20 s are right.
    assert live["late"].mean.steady_accuracy == pytest.approx((1 + 1 + 8 / 20) / 3)
    assert live["majority label"].mean.balanced_accuracy == 0.5


def test_smoothing_is_chosen_by_the_live_reading_and_scored_at_that_keep() -> None:
    _, live = reports(Oracle("sure"), Oracle("noisy", right=0.75))
    assert set(live["sure"].keeps) == {0.0}
    noisy = live["noisy"]
    assert min(noisy.keeps) > 0
    plain = noisy.curve[0].scores
    assert noisy.mean.balanced_accuracy > plain.balanced_accuracy + 0.05
    assert [len(r.folds) for r in live.values()] == [3, 3]
    assert noisy.spread is not None
    assert noisy.r == ()


def test_a_state_is_carried_through_whole_streams() -> None:
    candidate = Oracle("late", lag=1)
    reports(candidate)
    assert 80 in candidate.asked  # both recordings of a person as one stream
    alone = Oracle("at once")
    reports(alone)
    assert set(alone.asked) == {40, 1}  # their hops are the same in blocks, and single in paper


def test_without_people_of_several_labels_there_is_no_live_reading() -> None:
    sequences = [s for s in people(8, 2, 6, telling) if s.labels[0, 0] == int(s.person[1:]) % 2]
    report = evaluate_sequences(
        "one each", sequences, TASK, [MajorityLabel(TASK)], protocols=["subject"], n_folds=2
    )
    assert report.evaluations[0].live == ()
