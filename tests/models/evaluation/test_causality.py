"""The probe finds a candidate that looks ahead, and none of those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassDistribution,
    MajorityLabel,
    UnlabelledSequence,
)
from mimamba.models.evaluation.candidates.recipe_candidates import recipe_candidates
from mimamba.models.evaluation.causality import uses_future
from mimamba.models.evaluation.evaluator import evaluate_sequences
from mimamba.models.evaluation.report import to_text
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.training.recipes import WHOLE, Recipe
from mimamba.models.training.stages import Stage
from mimamba.models.training.trainer import TrainingConfig
from mimamba.models.training.windowing import HopSequence
from tests.models.evaluation.people import TASK, people, telling


class Ahead:
    """Scales by the whole recording, as many do."""

    name = "scaled by the recording"
    carries_state = True

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        pass

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        pass

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        found = []
        for sequence in sequences:
            power = sequence.windows.std((1, 2)).astype(np.float64)
            high = power / (power + power.mean())
            found.append(np.stack([1 - high, high], axis=1))
        return found


class Smoothed:
    """A candidate whose answers are smoothed over the whole recording."""

    name = "smoothed"
    carries_state = True

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate

    def fit(self, sequences: Sequence[HopSequence], validation: Sequence[HopSequence]) -> None:
        self._candidate.fit(sequences, validation)

    def refit(self, sequences: Sequence[HopSequence]) -> None:
        self._candidate.refit(sequences)

    def probabilities(self, sequences: Sequence[UnlabelledSequence]) -> list[NDArray[np.float64]]:
        found = self._candidate.probabilities(sequences)
        return [(each + each.mean(0)) / 2 for each in found]


def test_one_that_looks_ahead_is_named_in_a_warning() -> None:
    sequences = people(4, 2, 6, telling)
    candidates: list[Candidate] = [Ahead(), MajorityLabel(TASK), ClassDistribution(TASK, 0)]
    report = evaluate_sequences("ahead", sequences, TASK, candidates, protocols=["subject"])
    assert report.evaluations[0].acausal == ("scaled by the recording",)
    assert "WARNING: scaled by the recording looks ahead" in to_text(report)


def paper() -> Recipe:
    tiny = MSiMambaConfig(n_scales=1, kernels=(1,), hidden=2, d_model=16, d_ff=8, n_layers=1)
    return Recipe("tiny", tiny, TASK.signal, TrainingConfig(1, 1, 4, (4, 6)), 0.9)


def whole() -> Recipe:
    """All parts of the recipe, with each of its stages for an epoch."""
    stages = (
        Stage("windows", 1, 16, (1, 1), 0.1),
        Stage("memory", 1, 4, (16, 16), 1e-2),
    )
    tiny = replace(WHOLE.resized(1.0, None).architecture, d_model=8, d_ff=8)
    training = replace(WHOLE.training, epochs=1, batch=4, sequence=(16, 16), stages=stages)
    return Recipe("tiny", tiny, TASK.signal, training, 1.0)


@pytest.mark.parametrize("recipe", [paper(), whole()], ids=["paper", "whole"])
def test_a_carried_state_does_not_look_ahead(recipe: Recipe) -> None:
    """With its r, with r chosen, and window by window."""
    sequences = people(2, 2, 70, telling)  # longer than one scan
    candidates = recipe_candidates(recipe, TASK)
    assert len(candidates) == 3
    train, validation = sequences[:2], sequences[2:3]
    for candidate in candidates:
        candidate.fit(train, validation)
        assert not uses_future(candidate, sequences[3])
    assert uses_future(Smoothed(candidates[0]), sequences[3])


def test_band_power_does_not_look_ahead() -> None:
    classifiers = pytest.importorskip(
        "mimamba.models.evaluation.candidates.band_power_classifiers",
        reason="the extra train is not installed",
    )
    sequences = people(2, 2, 8, telling)
    for candidate in (classifiers.logistic_regression(TASK), classifiers.random_forest(TASK, 0)):
        candidate.fit(sequences[:2], sequences[2:3])
        assert not uses_future(candidate, sequences[3])
