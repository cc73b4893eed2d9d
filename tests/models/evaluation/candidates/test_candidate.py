"""Sequences without labels, and the majority label."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from mimamba.models.evaluation.candidates.candidate import (
    ClassificationTask,
    MajorityLabel,
    UnlabelledSequence,
    split_outputs,
    without_labels,
)
from tests.models.evaluation.people import TASK
from tests.models.evaluation.test_protocols import sequence


def test_what_is_asked_has_no_label_no_person_and_no_trial() -> None:
    asked = without_labels([sequence("p", "t", [1], 3)])
    assert [f.name for f in fields(UnlabelledSequence)] == ["windows", "restart"]
    assert not any(hasattr(asked[0], name) for name in ("labels", "person", "trial"))
    assert asked[0].windows.shape == (3, 1, 2)


def test_the_majority_says_the_shares_of_the_training() -> None:
    task = ClassificationTask({"a": ("x", "y"), "b": ("u", "v", "w")}, TASK.montage, TASK.signal)
    majority = MajorityLabel(task)
    majority.fit([sequence("p", "1", [0, 2], 3), sequence("p", "2", [1, 0], 1)], [])
    said = majority.probabilities(without_labels([sequence("q", "1", [1, 1], 2)]))
    assert said[0].tolist() == [[0.75, 0.25, 0.25, 0.0, 0.75]] * 2
    heads = split_outputs(said[0], task.sizes)
    assert [head.shape for head in heads] == [(2, 2), (2, 3)]
    majority.fit([sequence("p", "1", [1, 1], 3)], [])
    assert majority.probabilities(without_labels([sequence("q", "1", [0, 0], 1)]))[0].tolist() == [
        [0.0, 1.0, 0.0, 1.0, 0.0]
    ]
    assert np.array_equal(split_outputs(said[0], [2, 3])[0], said[0][:, :2])
