"""Joined streams: every hop once, in order, nothing reset, and every label entered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.models.evaluation.live_streams import StreamPart, has_switches, join_streams
from mimamba.models.training.windowing import HopSequence


def sequence(person: str, trial: str, labels: Sequence[int], first: int = 0) -> HopSequence:
    """Hops whose windows hold their number, with a restart at the first and after every ten."""
    n_hops = len(labels)
    windows = np.arange(first, first + n_hops, dtype=np.float32)[:, None, None]
    restart = np.arange(n_hops) % 10 == 0
    return HopSequence(windows, restart, np.array(labels, np.int64)[:, None], person, trial)


def test_one_recording_for_each_label_is_left_and_entered_again() -> None:
    rest, task = sequence("p", "rest", [0] * 8), sequence("p", "task", [1] * 4, 8)
    for both in ([rest, task], [task, rest]):  # in any order, the longest surrounds the others
        (stream,) = join_streams(both)
        assert stream.joined.labels[:, 0].tolist() == [0] * 4 + [1] * 4 + [0] * 4
        assert stream.joined.windows[:, 0, 0].tolist() == [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7]
        assert stream.joined.restart.tolist() == [True] + [False] * 11
        assert stream.n_switches == 2


def test_several_recordings_of_a_label_are_joined_in_their_order() -> None:
    trials = [sequence("p", f"t{i}", [label] * 3, 3 * i) for i, label in enumerate([0, 1, 1, 0])]
    (stream,) = join_streams(trials)
    assert stream.joined.windows[:, 0, 0].tolist() == list(range(12))
    assert stream.joined.restart.nonzero()[0].tolist() == [0]
    assert stream.n_switches == 2


def test_recordings_that_hold_several_labels_stay_as_they_are() -> None:
    events = [
        sequence("p", f"task-a_run-{run}_event-{n:03d}", [n % 2] * 2)
        for run in (1, 2)
        for n in range(3)
    ]
    assert [stream.joined.labels[:, 0].tolist() for stream in join_streams(events)] == [
        [0, 0, 1, 1, 0, 0]
    ] * 2
    turning = [sequence("p", "a", [0, 1, 0]), sequence("p", "b", [1, 1])]
    assert [s.parts for s in join_streams(turning)] == [
        (StreamPart(0, 0, 3),),
        (StreamPart(1, 0, 2),),
    ]


def test_a_gap_of_the_signal_still_resets() -> None:
    (stream,) = join_streams([sequence("p", "a", [0] * 12), sequence("p", "b", [1] * 12)])
    # The first part is the half of one, so its second half begins after the other.
    assert stream.joined.restart.nonzero()[0].tolist() == [0, 6 + 10, 6 + 12 + 4]


def test_people_with_one_label_have_no_switches() -> None:
    streams = join_streams([sequence("p", "a", [0] * 3), sequence("q", "a", [1] * 3)])
    assert [s.joined.person for s in streams] == ["p", "q"]
    assert not has_switches(streams)
    assert not has_switches([])
    assert join_streams([sequence("p", "a", [])]) == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 5)), max_size=12))
def test_every_hop_is_in_one_stream_of_its_person(drawn: list[tuple[int, int, int]]) -> None:
    sequences = [
        sequence(f"p{person}", f"t{i}", [label] * n_hops, 100 * i)
        for i, (person, label, n_hops) in enumerate(drawn)
    ]
    streams = join_streams(sequences)
    found = sorted(n for s in streams for n in s.joined.windows[:, 0, 0].tolist())
    assert found == sorted(n for s in sequences for n in s.windows[:, 0, 0].tolist())
    blocks = [s.windows[:, 0].astype(np.float64) for s in sequences]
    for stream in streams:
        assert stream.gather(blocks) == pytest.approx(stream.joined.windows[:, 0])
        assert stream.joined.restart[0]
        for part in stream.parts:
            assert sequences[part.sequence].person == stream.joined.person
