"""Judging: every candidate has a name of its own, and a report says of what it is."""

from __future__ import annotations

from dataclasses import replace

from mimamba.models.evaluation.candidates.candidate import ClassificationTask
from mimamba.models.evaluation.candidates.candidate_set import CandidateSet
from mimamba.models.evaluation.evaluator import evaluate_dataset
from mimamba.models.evaluation.report import from_json, to_json
from mimamba.models.evaluation.results import EvaluationConditions
from mimamba.models.training.data_fingerprint import DataFingerprint
from tests.models.labelled import MUSE, TINY, labelled


def test_ablations_of_several_recipes_say_of_which() -> None:
    task = ClassificationTask({"pitch": ("low", "high")}, MUSE, TINY.signal)
    other = replace(
        TINY, name="other", architecture=replace(TINY.architecture, mstb=True, n_scales=1)
    )
    both = CandidateSet((TINY, other), comparisons=False).candidates(task, 0)[0]
    names = [candidate.name for candidate in both]
    assert len(set(names)) == len(names)
    assert {"tiny no iMamba, r = 0", "other no MSTB, r = 0", "other no iMamba, r = 0"} <= set(names)
    one = CandidateSet((other,), comparisons=False).candidates(task, 0)[0]
    assert "no MSTB, r = 0" in [candidate.name for candidate in one]
    alone = CandidateSet((TINY,), ablations=False, comparisons=False).candidates(task, 0)[0]
    assert [c.name for c in alone] == [
        "tiny, carried, r = 0.9",
        "tiny, carried, r chosen",
        "tiny, r = 0",
        "majority label",
    ]


def test_the_report_says_what_it_is_of_and_so_does_its_json() -> None:
    waves = labelled(n_trials=2)
    field = CandidateSet((TINY,), ablations=False, comparisons=False)
    report = evaluate_dataset(
        waves, field, 2.0, protocols=["trial"], n_folds=2, seed=4
    )  # refused at once
    assert report.evaluations == ()
    seeded = replace(TINY, training=replace(TINY.training, seed=4))
    expected = EvaluationConditions(DataFingerprint.of(waves, 2.0), TINY.signal, (seeded,), 2)
    assert report.conditions == expected
    assert report.data == "waves: 8 trials of 4 people, T7, Fp1, Fp2, T8, baseline 2 s"
    assert from_json(to_json(report)) == report
