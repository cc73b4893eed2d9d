"""From a recording to a verdict: what is there is found, and no wrong rating helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.models.personal.blocks import Block, CalibrationError
from mimamba.models.personal.fit_personal import fit_personal
from mimamba.models.personal.pseudo_calibrations import Effect, draw_pairs
from mimamba.models.personal.shipped_output import CLAIMS
from mimamba.models.personal.verdict import RANK
from tests.models.personal.sittings import ALPHA, MUSCLE, rated, sitting


def test_an_effect_is_found() -> None:
    fit = fit_personal(*sitting(ALPHA))
    assert fit.verdict.name == "reliable"
    assert fit.head is not None
    assert np.flatnonzero(fit.head.weights).tolist() == list(range(16))
    assert fit.settings.kinds == ("a", "b")


def test_muscle_is_called_so() -> None:
    assert fit_personal(*sitting(MUSCLE)).verdict.name == "muscle"


def test_nothing_is_found_where_nothing_is() -> None:
    served = [RANK[fit_personal(*sitting(None, seed)).verdict.served] for seed in range(12)]
    assert sum(map(bool, served)) <= 2


def test_permuted_kinds_score_at_chance() -> None:
    recording, blocks = sitting(ALPHA)
    rng = np.random.default_rng(0)
    accuracies = []
    for _ in range(20):
        kinds = draw_pairs(len(blocks), rng)
        permuted = [
            replace(block, kind="ab"[kind]) for block, kind in zip(blocks, kinds, strict=True)
        ]
        result = fit_personal(recording, permuted).verdict.result
        assert result is not None
        accuracies.append(result.accuracy)
    assert 0.35 < np.mean(accuracies) < 0.6


@pytest.mark.parametrize("effect", [None, ALPHA, MUSCLE])
@pytest.mark.parametrize("seed", [0, 1])
def test_one_flipped_rating_never_raises_a_verdict(effect: Effect | None, seed: int) -> None:
    recording, blocks = sitting(effect, seed)
    before = fit_personal(recording, rated(blocks)).verdict
    assert before == fit_personal(recording, blocks).verdict
    for flipped in (0, 5, 11):
        after = fit_personal(recording, rated(blocks, (flipped,))).verdict
        assert after.doubtful == 1
        assert after.rank <= before.rank


def test_many_flipped_ratings_are_no_verdict() -> None:
    recording, blocks = sitting(ALPHA)
    few = fit_personal(recording, rated(blocks, (0, 3, 7))).verdict
    many = fit_personal(recording, rated(blocks, (0, 3, 7, 8))).verdict
    assert few.doubtful == 3
    assert (many.name, many.reason) == ("too few", "4 ratings contradict their block")


def test_ratings_that_do_not_differ_are_no_verdict() -> None:
    recording, blocks = sitting(ALPHA)
    same = [replace(block, rating=50.0) for block in blocks]
    assert "do not differ enough" in fit_personal(recording, same).verdict.sentence


def test_attempts_are_pooled_and_counted() -> None:
    sittings = [sitting(ALPHA, seed, n_blocks=8) for seed in (0, 1)]
    recordings, blocks = zip(*sittings, strict=True)
    fit = fit_personal(recordings, blocks)
    verdict = fit.verdict
    assert (verdict.attempts, verdict.tests, verdict.n_blocks) == (2, 2, (8, 8))
    assert verdict.name == "reliable"
    assert verdict.sentence.endswith("2 attempts were pooled.")
    assert len({attempt.sha256 for attempt in fit.attempts}) == 2


def test_a_second_attempt_without_effect_weakens_the_first() -> None:
    first, second = sitting(ALPHA, 0), sitting(None, 1)
    alone = fit_personal(*first).verdict
    both = fit_personal([first[0], second[0]], [first[1], second[1]]).verdict
    assert alone.result is not None
    assert both.result is not None
    assert both.result.accuracy < alone.result.accuracy


def test_blocks_with_poor_signal_are_left_out() -> None:
    recording, blocks = sitting(ALPHA)
    data = recording.data.copy()
    for block in blocks[:2]:
        data[block.start : block.stop] = 0.0  # flat
    verdict = fit_personal(replace(recording, data=data), blocks).verdict
    assert verdict.n_blocks == (5, 5)
    assert 0.1 < verdict.poor < 0.25
    for block in blocks[:6]:
        data[block.start : block.stop] = 0.0
    poor = fit_personal(replace(recording, data=data), blocks).verdict
    assert "the signal was poor" in poor.sentence


def test_equal_input_gives_equal_output() -> None:
    one, two = fit_personal(*sitting(ALPHA)), fit_personal(*sitting(ALPHA))
    assert one.verdict == two.verdict
    assert one.head is not None
    assert two.head is not None
    np.testing.assert_array_equal(one.head.weights, two.head.weights)
    assert one.head.bias == two.head.bias


def test_a_baseline_must_fit_before_the_first_block() -> None:
    recording, blocks = sitting(ALPHA, start=30.0)
    fit = fit_personal(recording, blocks, baseline=20.0)
    assert fit.baseline is not None
    assert fit.verdict.name == "reliable"
    with pytest.raises(CalibrationError, match="40 s of rest before the first block, but found 30"):
        fit_personal(recording, blocks, baseline=40.0)


def test_blocks_are_needed_for_each_recording() -> None:
    recording, blocks = sitting(ALPHA)
    with pytest.raises(CalibrationError, match="blocks for each of 2 recordings"):
        fit_personal([recording, recording], [blocks])
    with pytest.raises(CalibrationError, match="two kinds"):
        fit_personal(recording, [])


def test_a_model_is_tested_first_if_it_claims_the_contrast() -> None:
    recording, blocks = sitting(ALPHA)
    named = [replace(block, kind={"a": "calm", "b": "strained"}[block.kind]) for block in blocks]
    verdict = fit_personal(recording, named).verdict
    assert verdict.model is None
    assert verdict.reason == (
        "workload was not tested: it needs 60 s of rest before the first block"
    )
    untested = fit_personal(recording, named, test_model=False).verdict
    assert (untested.reason, untested.tests) == (None, 1)


def test_claims_name_the_rest_that_their_checkpoints_need() -> None:
    for claim in CLAIMS.values():
        assert claim.rest == load_checkpoint(claim.model).baseline


def alternating(rest: Recording, task: Recording) -> tuple[Recording, list[Block]]:
    """A minute of rest, then 54 s of each recording in turn, four times."""
    sfreq = rest.info.sfreq
    parts, blocks, end = [rest.data[: round(62 * sfreq)]], [], round(62 * sfreq)
    for n in range(4):
        order = (("rest", rest, 64 + 14 * n), ("arithmetic", task, 2 + n))
        for kind, recording, offset in order if n % 2 else order[::-1]:
            start = round(offset * sfreq)
            parts.append(recording.data[start : start + round(54 * sfreq)])
            blocks.append(Block(kind, end, end + len(parts[-1])))
            end += len(parts[-1])
    data = np.concatenate(parts)
    index = np.arange(len(data))
    return Recording(rest.info, data, index / sfreq, index), blocks


def test_the_shipped_model_fits_a_person_it_was_trained_on(shared_data: Path) -> None:
    folder = shared_data / "bids" / "arith" / "sub-01" / "eeg"
    rest, task = (
        read_recording(folder / f"sub-01_task-{name}_eeg.edf") for name in ("rest", "arithmetic")
    )
    fit = fit_personal(*alternating(rest, task))
    assert (fit.verdict.name, fit.verdict.served, fit.verdict.tests) == ("model fits", "no", 2)
    assert fit.head is None
    assert "The shipped model fits you" in fit.verdict.sentence
