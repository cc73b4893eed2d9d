"""Folds: no overlap, whole groups, every label in the training; and refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.models.evaluation.protocols import (
    PROTOCOLS,
    ProtocolError,
    ProtocolName,
    Splits,
    make_splits,
)
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.windowing import HopSequence
from tests.benchmarks.training.fold_leaks import audit_folds


def sequence(person: str, trial: str, labels: Sequence[int], n_hops: int = 2) -> HopSequence:
    restart = np.arange(n_hops) == 0
    rows = np.tile(np.array(labels, np.int64), (n_hops, 1))
    return HopSequence(np.zeros((n_hops, 1, 2), np.float32), restart, rows, person, trial)


@st.composite
def sets(draw: Callable[..., int]) -> list[HopSequence]:
    """People with up to nine trials each, two outputs, trials of 1 to 4 hops."""
    return [
        sequence(
            f"p{person}",
            f"t{i}",
            (draw(st.integers(0, 1)), draw(st.integers(0, 2))),
            draw(st.integers(1, 4)),
        )
        for person in range(draw(st.integers(1, 6)))
        for i in range(draw(st.integers(1, 9)))
    ]


def plan_or_none(
    protocol: ProtocolName, sequences: list[HopSequence], n_folds: int
) -> Splits | None:
    try:
        return make_splits(protocol, sequences, n_folds, seed=1)
    except ProtocolError:
        return None


def labels_of(plan: Splits, part: Sequence[int], person: str | None = None) -> set[tuple[int, int]]:
    """(output, label) that occur, of one person or of all."""
    chosen = [plan.sequences[i] for i in part]
    rows = [s.labels for s in chosen if person in (None, s.person)]
    return {(k, int(v)) for row in rows for k in range(row.shape[1]) for v in row[:, k]}


@given(sets(), st.integers(2, 6), st.sampled_from(PROTOCOLS))
def test_no_index_is_in_two_parts_and_none_is_tested_twice(
    sequences: list[HopSequence], n_folds: int, protocol: ProtocolName
) -> None:
    plan = plan_or_none(protocol, sequences, n_folds)
    if plan is None:
        return
    tested = [i for fold in plan.folds for i in fold.test]
    assert len(tested) == len(set(tested))
    assert 2 <= len(plan.folds) <= n_folds
    for fold in plan.folds:
        parts = [*fold.train, *fold.validation, *fold.test]
        assert sorted(parts) == list(range(len(plan.sequences)))
        assert fold.train
        assert fold.validation
        assert fold.test
    assert plan.folds == make_splits(protocol, sequences, n_folds, seed=1).folds


@given(sets(), st.integers(2, 6))
def test_subject_keeps_people_whole_and_tests_each_once(
    sequences: list[HopSequence], n_folds: int
) -> None:
    plan = plan_or_none("subject", sequences, n_folds)
    if plan is None:
        return
    for fold in plan.folds:
        who = [{plan.sequences[i].person for i in part} for part in vars(fold).values()]
        assert sum(map(len, who)) == len(set.union(*who))
        assert labels_of(plan, fold.train) == labels_of(plan, range(len(plan.sequences)))
    assert sorted(i for fold in plan.folds for i in fold.test) == list(range(len(sequences)))


@given(sets(), st.integers(2, 6))
def test_trial_teaches_each_tested_person_all_of_their_labels(
    sequences: list[HopSequence], n_folds: int
) -> None:
    plan = plan_or_none("trial", sequences, n_folds)
    if plan is None:
        return
    everything = range(len(plan.sequences))
    for fold in plan.folds:
        for person in {plan.sequences[i].person for i in fold.test}:
            assert labels_of(plan, fold.train, person) == labels_of(plan, everything, person)
    tested = {i for fold in plan.folds for i in fold.test}
    untested = {plan.sequences[i].person for i in everything if i not in tested}
    assert not untested & {plan.sequences[i].person for i in tested}
    assert all(person in plan.notes[-1] for person in untested)


def test_trials_in_several_streams_stay_together() -> None:
    sequences = [
        sequence(f"p{p}", f"t{i}", [i % 2])
        for p in range(4)
        for i in range(6)
        for _piece in range(3)
    ]
    for fold in make_splits("trial", sequences).folds:
        keys = [
            {(sequences[i].person, sequences[i].trial) for i in part}
            for part in vars(fold).values()
        ]
        assert sum(map(len, keys)) == len(set.union(*keys)) == 24


def test_labels_are_as_even_as_can_be() -> None:
    sequences = [sequence(f"p{p}", f"t{i}", [int(i < 10)]) for p in range(5) for i in range(40)]
    for protocol in ("trial", "subject"):
        for fold in make_splits(protocol, sequences).folds:
            for part in vars(fold).values():
                assert np.mean([sequences[i].labels[0, 0] for i in part]) == pytest.approx(
                    0.25, abs=0.02
                )
    for fold in make_splits("trial", sequences).folds:
        assert len(fold.test) == 40
        assert len(fold.validation) == pytest.approx(32, abs=4)


def test_few_people_are_left_out_one_by_one() -> None:
    sequences = [sequence(f"p{p}", f"t{i}", [i % 2]) for p in range(4) for i in range(2)]
    plan = make_splits("subject", sequences)
    assert [{sequences[i].person for i in fold.test} for fold in plan.folds] != []
    assert sorted(len({sequences[i].person for i in fold.test}) for fold in plan.folds) == [1] * 4


def test_paper_deals_single_hops_that_all_restart() -> None:
    sequences = [sequence(f"p{p}", f"t{i}", [i % 2], 5) for p in range(2) for i in range(4)]
    plan = make_splits("paper", sequences)
    assert [s.windows.shape[0] for s in plan.sequences] == [1] * 40
    assert all(s.restart.all() for s in plan.sequences)
    assert sorted(i for fold in plan.folds for i in fold.test) == list(range(40))


def test_leakfence_finds_leaks_in_paper_alone() -> None:
    rng = np.random.default_rng(0)
    sequences = [sequence(f"p{p}", f"t{i}", [i % 2], 9) for p in range(5) for i in range(6)]
    for each in sequences:
        each.windows[:] = rng.standard_normal(each.windows.shape)
    signal = SignalConfig(window=512, hop=128)
    for protocol in ("subject", "trial"):
        assert audit_folds(protocol, sequences, signal, 5) == []
    overlaps = audit_folds("paper", sequences, signal, 5)
    assert any("overlap" in error for error in overlaps)
    sequences[0].windows[:] = sequences[-1].windows  # the same recording under two names
    assert any("identical" in error for error in audit_folds("subject", sequences, signal, 5))


def test_another_seed_gives_other_folds() -> None:
    sequences = [sequence(f"p{p}", f"t{i}", [i % 2], 5) for p in range(12) for i in range(8)]
    for protocol in PROTOCOLS:
        first, other = (make_splits(protocol, sequences, seed=seed).folds for seed in (0, 1))
        assert first != other


def test_one_recording_of_each_label_is_refused_for_trial() -> None:
    sequences = [sequence(f"p{p}", name, [i]) for p in range(9) for i, name in enumerate("ab")]
    with pytest.raises(ProtocolError, match=r"18 trials of 9 people.*protocol subject"):
        make_splits("trial", sequences)
    assert len(make_splits("subject", sequences).folds) == 5


def test_who_cannot_be_tested_is_named() -> None:
    sequences = [sequence(f"p{p}", f"t{i}", [i % 2]) for p in range(3) for i in range(6)]
    sequences += [sequence("alone", "a", [0]), sequence("alone", "b", [1])]
    plan = make_splits("trial", sequences)
    assert "alone" in plan.notes[0]
    assert all({18, 19} <= set(fold.train) for fold in plan.folds)


def test_too_few_people_are_refused_for_subject() -> None:
    two = [sequence(f"p{p}", f"t{i}", [i % 2]) for p in range(2) for i in range(6)]
    with pytest.raises(ProtocolError, match="12 trials of 2 people"):
        make_splits("subject", two)
    rare = [sequence(f"p{p}", f"t{i}", [int(p == 0)]) for p in range(9) for i in range(6)]
    with pytest.raises(ProtocolError, match="every label from at least 3 people"):
        make_splits("subject", rare)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_is_refused_in_one_line(protocol: ProtocolName) -> None:
    with pytest.raises(ProtocolError, match="0 trials of 0 people"):
        make_splits(protocol, [])


def test_a_trial_without_a_good_hop_is_left_out_and_reported() -> None:
    sequences = [sequence(f"p{p}", f"t{i}", [i % 2]) for p in range(4) for i in range(6)]
    plan = make_splits("subject", [*sequences, sequence("p0", "bad", [0], 0)])
    assert len(plan.sequences) == 24
    assert plan.notes == ("1 trials have no good signal",)


def test_one_fold_is_refused() -> None:
    with pytest.raises(ProtocolError, match="at least 2 folds"):
        make_splits("subject", [], n_folds=1)
