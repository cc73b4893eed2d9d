"""MS-iMamba as a candidate: trained once for both readings, over sequences or single hops."""

from __future__ import annotations

import numpy as np
import pytest

from mimamba.models.evaluation.candidates.candidate import UnlabelledSequence, without_labels
from mimamba.models.evaluation.candidates.recipe_candidates import recipe_candidates
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.training.recipes import Recipe
from mimamba.models.training.trainer import TrainingConfig, limit_crop_length
from tests.models.evaluation.people import TASK, people, telling

TINY = MSiMambaConfig(
    n_scales=1, kernels=(1,), hidden=2, d_model=64, d_ff=16, n_layers=1, d_state=4
)
RECIPE = Recipe("tiny", TINY, TASK.signal, TrainingConfig(6, 6, 2, (4, 4), learning_rate=1e-2), 0.9)
ONCE = Recipe("tiny", TINY, TASK.signal, TrainingConfig(1, 1, 4, (4, 6)), 0.9)


def test_both_readings_share_weights_and_learn() -> None:
    sequences = people(2, 8, 4, telling)
    carried, _, alone = recipe_candidates(RECIPE, TASK)
    assert (carried.carries_state, alone.carries_state) == (True, False)
    learn, choose = sequences[:12], sequences[12:14]
    asked = without_labels(sequences[14:])
    said = []
    for candidate in (carried, alone):
        candidate.fit(learn, choose)
        said.append(candidate.probabilities(asked))
    for whole in said:
        assert [p.mean(0).argmax() for p in whole] == [s.labels[0, 0] for s in sequences[14:]]
        assert np.concatenate(whole).sum(1) == pytest.approx(1.0)
    # Only the first hop of a sequence is the same: from then on one of them remembers.
    assert said[0][0][0] == pytest.approx(said[1][0][0], abs=1e-5)
    assert abs(said[0][0][1:] - said[1][0][1:]).max() > 1e-4


def test_other_streams_are_learnt_anew_and_the_same_are_not() -> None:
    sequences = people(2, 2, 4, telling)
    asked, learn = without_labels(sequences[2:3]), sequences[:2]
    carried, _, alone = recipe_candidates(ONCE, TASK)
    carried.fit(learn, sequences[3:])
    first = carried.probabilities(asked)[0]
    learn[0].windows[:] = 0.0  # would be seen if they were learnt once more
    alone.fit(learn, sequences[3:])
    carried.fit(learn, sequences[3:])
    assert (carried.probabilities(asked)[0] == first).all()
    carried.fit(learn[:1], sequences[3:])
    assert (carried.probabilities(asked)[0] != first).any()


def test_refitted_it_has_learnt_from_the_validation_too() -> None:
    sequences = people(2, 3, 4, telling)
    asked = without_labels(sequences[4:5])
    carried, _, alone = recipe_candidates(ONCE, TASK)
    for candidate in (carried, alone):
        candidate.fit(sequences[:3], sequences[3:4])
    chosen = [candidate.probabilities(asked)[0] for candidate in (carried, alone)]
    whole = sequences[:4]
    carried.refit(whole)
    assert (carried.probabilities(asked)[0] != chosen[0]).any()
    assert (alone.probabilities(asked)[0] == chosen[1]).all()  # it was not asked to yet
    alone.refit(whole)
    assert (alone.probabilities(asked)[0] != chosen[1]).any()


def test_a_restart_in_the_stream_begins_anew() -> None:
    sequences = people(2, 2, 4, telling)
    carried = recipe_candidates(ONCE, TASK)[0]
    carried.fit(sequences[:2], sequences[2:3])
    windows = np.concatenate([sequences[2].windows, sequences[3].windows])
    restart = np.concatenate([sequences[2].restart, sequences[3].restart])
    joined = carried.probabilities([UnlabelledSequence(windows, restart)])[0]
    assert joined == pytest.approx(
        np.concatenate(carried.probabilities(without_labels(sequences[2:]))), abs=1e-5
    )


def test_r_of_0_has_one_reading() -> None:
    plain = recipe_candidates(Recipe("plain", TINY, TASK.signal, TrainingConfig(), 0.0), TASK)
    assert [candidate.name for candidate in plain] == ["plain, r = 0"]


def test_sequences_fit_the_sequences() -> None:
    config = TrainingConfig(batch=8, sequence=(16, 64))
    assert limit_crop_length(config, 100) == config
    assert limit_crop_length(config, 40).sequence == (16, 40)
    single = limit_crop_length(config, 1)
    assert (single.sequence, single.batch) == ((1, 1), 128)
