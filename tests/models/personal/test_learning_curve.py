"""More seconds of training help, and what is tested was not trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mimamba.models.personal.features import track_features
from mimamba.models.personal.learning_curve import accuracies_over_seconds, cut_state
from mimamba.models.personal.pseudo_calibrations import add_effect
from mimamba.models.personal.verdict_counts import PersonRecording
from tests.models.personal.sittings import ALPHA, MUSE, SFREQ, noise


def people(effect: bool) -> list[PersonRecording]:
    found = []
    for person in range(2):
        for n, state in enumerate(("calm", "strained")):
            recording = noise(60, 2 * person + n)
            if effect and n:
                whole = [(0, recording.end)]
                rng = np.random.default_rng(0)
                recording = add_effect(recording, whole, np.array([1]), ALPHA, MUSE, rng)
            found.append(PersonRecording(f"p{person}", state, state, recording))
    return found


def test_accuracy_grows_with_seconds() -> None:
    rows = list(accuracies_over_seconds(people(True), ("calm", "strained"), MUSE, 5))
    assert len(rows) == 5 * 3
    below = {row.seconds: np.mean(row.single) for row in rows if row.features == "below-20"}
    assert below[28] > below[5]
    assert below[28] > 0.75
    last = next(row for row in rows if row.features == "below-20" and row.seconds == 28)
    assert np.mean(last.smoothed) > np.mean(last.single)


def test_nothing_is_at_chance() -> None:
    rows = list(accuracies_over_seconds(people(False), ("calm", "strained"), MUSE, 5))
    assert 0.35 < np.mean([np.mean(row.single) for row in rows]) < 0.65


def test_a_state_that_is_too_short_is_left_out() -> None:
    every = people(True)
    every[1] = replace(every[1], recording=noise(16, 0))  # 12 good hops
    rows = list(accuracies_over_seconds(every, ("calm", "strained"), MUSE, 5))
    assert {row.seconds: len(row.single) for row in rows} == {5: 2, 10: 1, 15: 1, 20: 1, 28: 1}


def test_a_state_is_cut_into_blocks_that_do_not_overlap() -> None:
    track = track_features(noise(40, 1), MUSE)
    blocks = list(cut_state([track], SFREQ, 10.0))
    assert [len(each) for each in blocks] == [7, 7, 7]
    assert len({tuple(row) for each in blocks for row in each}) == 21
