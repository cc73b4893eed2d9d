"""MS-iMamba as a contender: trained once for both readings, over sequences or single hops."""

from __future__ import annotations

import numpy as np
import pytest

from mimamba.models.evaluation.candidates.candidate import Unlabelled, unlabelled
from mimamba.models.evaluation.candidates.msimamba import fit_sequences, readings
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.training.recipes import Recipe
from mimamba.models.training.trainer import TrainingConfig
from tests.models.evaluation.people import TASK, people, telling

TINY = MSiMambaConfig(
    n_scales=1, kernels=(1,), hidden=2, d_model=64, d_ff=16, n_layers=1, d_state=4
)
RECIPE = Recipe("tiny", TINY, TASK.signal, TrainingConfig(6, 6, 2, (4, 4), learning_rate=1e-2), 0.9)
ONCE = Recipe("tiny", TINY, TASK.signal, TrainingConfig(1, 1, 4, (4, 6)), 0.9)


def test_both_readings_share_weights_and_learn() -> None:
    streams = people(2, 8, 4, telling)
    carried, alone = readings(RECIPE, TASK)
    assert (carried.carries, alone.carries) == (True, False)
    learn, choose = streams[:12], streams[12:14]
    asked = unlabelled(streams[14:])
    said = []
    for contender in (carried, alone):
        contender.fit(learn, choose)
        said.append(contender.probabilities(asked))
    for whole in said:
        assert [p.mean(0).argmax() for p in whole] == [s.labels[0, 0] for s in streams[14:]]
        assert np.concatenate(whole).sum(1) == pytest.approx(1.0)
    # Only the first hop of a stream is the same: from then on one of them remembers.
    assert said[0][0][0] == pytest.approx(said[1][0][0], abs=1e-5)
    assert abs(said[0][0][1:] - said[1][0][1:]).max() > 1e-4


def test_other_streams_are_learnt_anew_and_the_same_are_not() -> None:
    streams = people(2, 2, 4, telling)
    asked, learn = unlabelled(streams[2:3]), streams[:2]
    carried, alone = readings(ONCE, TASK)
    carried.fit(learn, streams[3:])
    first = carried.probabilities(asked)[0]
    learn[0].windows[:] = 0.0  # would be seen if they were learnt once more
    alone.fit(learn, streams[3:])
    carried.fit(learn, streams[3:])
    assert (carried.probabilities(asked)[0] == first).all()
    carried.fit(learn[:1], streams[3:])
    assert (carried.probabilities(asked)[0] != first).any()


def test_refitted_it_has_learnt_from_the_validation_too() -> None:
    streams = people(2, 3, 4, telling)
    asked = unlabelled(streams[4:5])
    carried, alone = readings(ONCE, TASK)
    for contender in (carried, alone):
        contender.fit(streams[:3], streams[3:4])
    chosen = [contender.probabilities(asked)[0] for contender in (carried, alone)]
    whole = streams[:4]
    carried.refit(whole)
    assert (carried.probabilities(asked)[0] != chosen[0]).any()
    assert (alone.probabilities(asked)[0] == chosen[1]).all()  # it was not asked to yet
    alone.refit(whole)
    assert (alone.probabilities(asked)[0] != chosen[1]).any()


def test_a_restart_in_the_stream_begins_anew() -> None:
    streams = people(2, 2, 4, telling)
    carried = readings(ONCE, TASK)[0]
    carried.fit(streams[:2], streams[2:3])
    windows = np.concatenate([streams[2].windows, streams[3].windows])
    restart = np.concatenate([streams[2].restart, streams[3].restart])
    joined = carried.probabilities([Unlabelled(windows, restart)])[0]
    assert joined == pytest.approx(
        np.concatenate(carried.probabilities(unlabelled(streams[2:]))), abs=1e-5
    )


def test_r_of_0_has_one_reading() -> None:
    plain = readings(Recipe("plain", TINY, TASK.signal, TrainingConfig(), 0.0), TASK)
    assert [contender.name for contender in plain] == ["plain, r = 0"]


def test_sequences_fit_the_streams() -> None:
    config = TrainingConfig(batch=8, sequence=(16, 64))
    assert fit_sequences(config, 100) == config
    assert fit_sequences(config, 40).sequence == (16, 40)
    single = fit_sequences(config, 1)
    assert (single.sequence, single.batch) == ((1, 1), 128)
