"""Splits of people: as the packages have them, and honest about what is missing or differs."""

from __future__ import annotations

import importlib.util
import json
import random
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mimamba.models.datasets.open import open_dataset
from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassDistribution,
    ClassificationTask,
    MajorityLabel,
    without_labels,
)
from mimamba.models.evaluation.evaluator import EARLIER_WINDOWS, evaluate_split
from mimamba.models.evaluation.report import from_json, to_json, to_markdown, to_text
from mimamba.models.evaluation.results import EvaluationReport
from mimamba.models.evaluation.splits import (
    SPLITS,
    PeopleFold,
    PeopleSplit,
    SplitError,
    find_split,
    list_differences,
    split_people,
)
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.windowing import HopSequence, cut_hops
from tests.models.datasets.layouts import write_deap
from tests.models.evaluation.people import TASK, people, telling

KINDS = {"openeegbench": "bids", "eegain": "deap", "seed": "seed", "dreamer": "dreamer"}


def kind_of(name: str) -> str:
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), "deap")


def test_zyma_is_divided_28_4_4() -> None:
    (fold,) = find_split("openeegbench-zyma2019", "bids", 0).folds
    assert (fold.train[0], fold.train[-1], len(fold.train)) == ("sub-00", "sub-27", 28)
    assert fold.validation == ("sub-28", "sub-29", "sub-30", "sub-31")
    assert fold.test == ("sub-32", "sub-33", "sub-34", "sub-35")
    (fold,) = find_split("openeegbench-faced", "bids", 0).folds
    assert [len(part) for part in (fold.train, fold.validation, fold.test)] == [80, 20, 23]


def test_eegain_leaves_each_person_out_or_a_fixed_quarter() -> None:
    split = find_split("eegain-deap", "deap", 0)
    assert [fold.test for fold in split.folds] == [(f"s{n:02d}",) for n in range(1, 33)]
    assert all(len(fold.train) == 31 for fold in split.folds)
    (fold,) = find_split("eegain-deap-fixed", "deap", 0).folds
    assert fold.test == ("s02", "s07", "s09", "s12", "s15", "s16", "s21", "s32")
    assert len(fold.train) == 24


@pytest.mark.parametrize("name", SPLITS)
def test_nobody_is_in_two_parts(name: str) -> None:
    for fold in find_split(name, kind_of(name), 2024).folds:
        assert len(fold.people) == len(fold.train) + len(fold.validation) + len(fold.test)


@pytest.mark.parametrize("seed", [1, 2024])
@pytest.mark.parametrize(("kind", "n_people"), [("deap", 32), ("seed", 15), ("dreamer", 23)])
def test_libeer_is_as_the_package_has_it(
    kind: str, n_people: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec("LibEER")
    if found is None or not found.submodule_search_locations:
        pytest.skip("LibEER is not installed")
    # Its modules name each other as if they were at the top, and need one that it does not ship.
    store = ModuleType("utils.store")
    store.__dict__["save_data"] = None
    monkeypatch.setitem(sys.modules, "utils.store", store)
    path = Path(next(iter(found.submodule_search_locations))) / "data_utils" / "split.py"
    split: dict[str, Any] = runpy.run_path(str(path))
    setting = SimpleNamespace(
        experiment_mode="subject-independent",
        split_type="early-stop",
        test_size=0.2,
        val_size=0.2,
        sr=None,
    )
    random.seed(seed)
    parts = split["get_split_index"](None, list(range(n_people)), setting)
    (fold,) = find_split("libeer", kind, seed).folds
    ours = (fold.train, fold.validation, fold.test)
    for part, key in zip(ours, ("train", "val", "test"), strict=True):
        assert part == tuple(f"s{place + 1:02d}" for place in sorted(parts[key][0]))


def test_open_eeg_bench_is_as_the_package_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec("open_eeg_bench")
    if found is None or not found.submodule_search_locations:
        pytest.skip("open-eeg-bench is not installed")
    # Only the file with the lists is read: the package imports much that they do not need.
    package, dataset = ModuleType("open_eeg_bench"), ModuleType("open_eeg_bench.dataset")
    dataset.__dict__.update(Dataset=SimpleNamespace, PredefinedSplitter=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "open_eeg_bench", package)
    monkeypatch.setitem(sys.modules, "open_eeg_bench.dataset", dataset)
    path = Path(next(iter(found.submodule_search_locations))) / "default_configs" / "datasets.py"
    configs: dict[str, Any] = runpy.run_path(str(path))
    for name, theirs in (
        ("openeegbench-zyma2019", configs["arithmetic_zyma2019"]()),
        ("openeegbench-faced", configs["faced"]()),
    ):
        (fold,) = find_split(name, "bids", 0).folds
        splitter = theirs.splitter
        values = (splitter.train_values, splitter.val_values, splitter.test_values)
        for ours, expected in zip((fold.train, fold.validation, fold.test), values, strict=True):
            assert ours == tuple(f"sub-{value}" for value in expected)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"train": ["p0", "p1"], "validation": ["p2"], "test": ["p3"]}))
    split = find_split(str(path), "bids", 0)
    assert split == PeopleSplit("mine.json", (PeopleFold(("p0", "p1"), ("p2",), ("p3",)),))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{}", "train"),
        ("[1", "mine.json"),
        ('{"train": ["a"], "test": ["b"], "tests": []}', "tests"),
        ('{"train": ["a"], "validation": ["b"], "test": ["a"]}', "a in two"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: str, word: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(SplitError, match=word):
        find_split(str(path), "bids", 0)


def test_unknown_splits_and_other_data_sets_are_refused() -> None:
    with pytest.raises(SplitError, match="openeegbench-zyma2019"):
        find_split("zyma", "bids", 0)
    with pytest.raises(SplitError, match="data set deap"):
        find_split("eegain-deap", "bids", 0)
    with pytest.raises(SplitError, match="libeer"):
        find_split("libeer", "bids", 0)


MINE = PeopleSplit("mine", (PeopleFold(("p0", "p1", "p2"), (), ("p3", "p9")),))


def test_parts_are_the_people_named_and_validation_is_held_out_of_the_training() -> None:
    sequences = people(6, 4, 3, telling)
    plan = split_people(MINE, sequences, seed=1)
    (fold,) = plan.folds
    train, validation, test = (
        {plan.sequences[i].person for i in part} for part in vars(fold).values()
    )
    assert len(validation) == 1
    assert train | validation == {"p0", "p1", "p2"}
    assert test == {"p3"}
    assert plan.notes == ("in no part of the split, so not used: p4, p5",)
    assert plan.folds == split_people(MINE, sequences, seed=1).folds


def test_without_test_people_there_is_nothing_to_evaluate() -> None:
    nobody = PeopleSplit("nobody", (PeopleFold(("p0", "p1"), ("p2",), ("p8",)),))
    with pytest.raises(SplitError, match="nobody for training"):
        split_people(nobody, people(4, 4, 3, telling), 0)
    untaught = PeopleSplit("untaught", (PeopleFold((), ("p2",), ("p3",)),))
    with pytest.raises(SplitError, match="every label"):
        split_people(untaught, people(4, 4, 3, telling), 0)


def report_of(split: PeopleSplit, n_people: int) -> EvaluationReport:
    candidates: list[Candidate] = [MajorityLabel(TASK), ClassDistribution(TASK, 0)]
    differences = list_differences(split, TASK, 60.0, None)
    result = evaluate_split(split, named(n_people), TASK, candidates, differences)
    return EvaluationReport("waves", dict(TASK.outputs), 0, False, (result,), {}, ())


def named(n_people: int) -> list[HopSequence]:
    """People of Zyma's set, in memory."""
    return [
        replace(s, person=f"sub-{int(s.person[1:]):02d}") for s in people(n_people, 2, 4, telling)
    ]


def test_each_row_says_what_differs_and_who_is_missing() -> None:
    report = report_of(find_split("openeegbench-zyma2019", "bids", 0), 34)
    (result,) = report.evaluations
    assert result.split is not None
    assert result.split.missing == ("sub-34", "sub-35")
    plain, smoothed = result.results[:2]
    assert "2 people of the split are missing" in plain.differs
    assert "4 channels instead of 20" in plain.differs
    assert any(words.startswith("causal filter of 1 to 40 Hz") for words in plain.differs)
    assert "aligned by 60 s of each person's rest" in plain.differs
    assert EARLIER_WINDOWS in smoothed.differs
    assert EARLIER_WINDOWS not in plain.differs
    text = " ".join(to_text(report).split())
    assert "NOT COMPARABLE" in text
    assert "sub-34, sub-35" in text
    assert "0.556 to 0.674" in text
    assert "weighted F1" in text
    assert "± " not in " ".join(line for line in text.splitlines() if "majority" in line)[:60]
    assert max(map(len, to_text(report).splitlines())) <= 140
    assert "differs" in to_markdown(report)
    assert from_json(to_json(report)) == report


def test_with_everyone_there_nothing_is_missing() -> None:
    text = to_text(report_of(find_split("openeegbench-zyma2019", "bids", 0), 36))
    assert "NOT COMPARABLE" not in text
    assert "missing:" not in text.replace("missed", "")


def test_the_published_setting_has_no_differences_but_the_signal_path() -> None:
    split = find_split("eegain-deap", "deap", 0)
    montage = tuple(f"E{i}" for i in range(32))
    task = ClassificationTask(TASK.outputs, montage, SignalConfig(window=512, hop=512))
    same = list_differences(split, task, 0.0, 4.5)
    assert len(same) == 3  # filter, poor signal, validation
    other = list_differences(split, task, 0.0, 5.0)
    assert set(other) - set(same) == {"high is above 5 instead of 4.5"}
    shifted = replace(task, signal=SignalConfig(window=512, hop=128))
    assert set(list_differences(split, shifted, 0.0, 4.5)) - set(same) == {
        "windows of 4 s every 1 s instead of 4 s every 4 s"
    }
    assert list_differences(MINE, task, 0.0, None) == ()


def test_a_part_of_deap_in_eegains_setting(tmp_path: Path) -> None:
    for person in (2, 7, 8):  # of the fixed list, the first two are the test
        write_deap(tmp_path / f"s{person:02d}.dat")
    deap = open_dataset("deap", tmp_path, "all", "valence", cache=tmp_path / "cache", threshold=4.5)
    signal = SignalConfig(window=512, hop=512)
    task = ClassificationTask(deap.outputs, deap.info.ch_names, signal)
    sequences = cut_hops(deap, signal)
    assert {len(s.windows) for s in sequences} == {0, 14}  # the first trial of each is flat
    split = find_split("eegain-deap", "deap", 0)
    differences = list_differences(split, task, 0.0, 4.5)
    result = evaluate_split(split, sequences, task, [MajorityLabel(task)], differences)
    assert (result.n_folds, result.n_people, result.n_trials) == (3, 3, 117)
    assert result.split is not None
    assert len(result.split.missing) == 29
    assert result.results[0].differs == (
        "29 people of the split are missing",
        "causal filter of 1 to 40 Hz at 128 Hz instead of DEAP's own filter, 50 Hz notch",
        "windows with a poor signal are left out",
        "validation on whole people instead of a fifth of the training people's windows",
    )
    with pytest.raises(SplitError, match="eegain-deap-fixed"):  # one person, for two parts
        split_people(find_split("eegain-deap-fixed", "deap", 0), sequences, 0)


def test_libeers_seed_is_named_if_it_is_another() -> None:
    for seed, differs in ((2024, False), (0, True)):
        found = list_differences(find_split("libeer", "deap", seed), TASK, 0.0, 5.0)
        assert any("instead of 2024" in words for words in found) == differs


def test_class_distribution_draws_labels_by_their_shares() -> None:
    sequences = people(4, 8, 50, telling)[:12]
    candidate = ClassDistribution(TASK, 0)
    candidate.fit(sequences, ())
    said = np.concatenate(candidate.probabilities(without_labels(sequences)))
    share = np.concatenate([s.labels for s in sequences]).mean()
    assert set(np.unique(said)) == {0.0, 1.0}
    assert said.sum(1) == pytest.approx(1)
    assert said[:, 1].mean() == pytest.approx(share, abs=0.08)
    candidate.refit(sequences)
    again = np.concatenate(candidate.probabilities(without_labels(sequences)))
    assert (again == said).all()
