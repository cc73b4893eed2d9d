"""Switching sequences: a person's own hops, with their labels, and a switch at every join."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.models.training.switching_sequences import PART, SwitchingSequences
from mimamba.models.training.windowing import HopSequence


def recording(place: int, person: str, label: int, n_hops: int) -> HopSequence:
    """Each window tells the recording, the label and the hop; a gap at the tenth hop."""
    windows = np.zeros((n_hops, 1, 3), np.float32)
    windows[:, 0] = np.stack([np.full(n_hops, place), np.full(n_hops, label), np.arange(n_hops)], 1)
    restart = np.isin(np.arange(n_hops), [0, 10])
    return HopSequence(windows, restart, np.full((n_hops, 1), label), person, f"t{place}")


PEOPLE = [
    recording(0, "a", 0, 90),
    recording(1, "a", 1, 30),
    recording(2, "b", 1, 200),
    recording(3, "b", 0, 25),
    recording(4, "b", 2, 25),
]


@given(seed=st.integers(0, 999), n_hops=st.integers(1, 160))
@settings(max_examples=25)
def test_parts_are_of_one_person_and_switch_at_each_join(seed: int, n_hops: int) -> None:
    drawn = SwitchingSequences(PEOPLE).draw(n_hops, np.random.default_rng(seed))
    assert len(drawn) == -(-sum(len(s.windows) for s in PEOPLE) // n_hops)
    for sequence in drawn:
        place, label, hop = sequence.windows[:, 0].T.astype(int)
        assert len(hop) == n_hops
        assert (label == sequence.labels[:, 0]).all()
        assert {PEOPLE[i].person for i in place} == {sequence.person}
        joins = np.flatnonzero((np.diff(hop) != 1) | (np.diff(place) != 0)) + 1
        assert (label[joins] != label[joins - 1]).all()
        gaps = hop == 10
        gaps[[0, *joins]] = False
        assert (sequence.restart == (gaps | (np.arange(n_hops) == 0))).all()
        for start, stop in pairwise([0, *joins.tolist()]):
            longest = len(PEOPLE[place[start]].windows)
            assert min(PART[0], longest) <= stop - start <= PART[1]


def test_sequences_that_switch_already_are_cut_where_they_do() -> None:
    slow, fast = PEOPLE[:2]
    both = HopSequence(
        np.concatenate([slow.windows, fast.windows]),
        np.concatenate([slow.restart, fast.restart]),
        np.concatenate([slow.labels, fast.labels]),
    )
    (drawn,) = SwitchingSequences([both]).draw(120, np.random.default_rng(0))
    assert set(drawn.labels[:, 0]) == {0, 1}
    alone = replace(PEOPLE[0], person="")
    (drawn,) = SwitchingSequences([alone]).draw(90, np.random.default_rng(0))
    assert set(drawn.labels[:, 0]) == {0}


def test_half_of_the_sequences_are_mirrored_and_none_is_mixed() -> None:
    mirrored = [replace(s, windows=-s.windows) for s in PEOPLE]
    drawn = SwitchingSequences(PEOPLE, mirrored).draw(8, np.random.default_rng(0))
    signs = [set(np.sign(s.windows[:, 0].sum(1)).tolist()) - {0.0} for s in drawn]
    assert {1.0, -1.0} == set.union(*signs)
    assert all(len(sign) <= 1 for sign in signs)
    assert 0.3 < np.mean([sign == {-1.0} for sign in signs]) < 0.7
