"""Permutation: the same labels, elsewhere, in the units that the protocol keeps whole."""

from __future__ import annotations

from collections import Counter

from mimamba.models.evaluation.permutation import permuted
from mimamba.models.evaluation.protocols import PROTOCOLS
from mimamba.models.training.hop_sequence import HopSequence
from tests.models.evaluation.people import people, silent
from tests.models.evaluation.test_protocols import stream

STREAMS = people(6, 8, 5, silent)


def rows(streams: list[HopSequence]) -> list[list[int]]:
    return [stream.labels[:, 0].tolist() for stream in streams]


def test_only_labels_change_and_the_seed_tells_how() -> None:
    for protocol in PROTOCOLS:
        moved = permuted(protocol, STREAMS, 0)
        assert all(a.windows is b.windows for a, b in zip(moved, STREAMS, strict=True))
        assert rows(moved) != rows(STREAMS)
        assert rows(moved) == rows(permuted(protocol, STREAMS, 0))
        assert rows(moved) != rows(permuted(protocol, STREAMS, 1))
        counts = [
            Counter(label for row in rows(streams) for label in row) for streams in (moved, STREAMS)
        ]
        assert counts[0] == counts[1]


def test_paper_mixes_windows_the_others_whole_trials() -> None:
    assert any(len(set(row)) == 2 for row in rows(permuted("paper", STREAMS, 0)))
    for protocol in ("trial", "subject"):
        assert all(len(set(row)) == 1 for row in rows(permuted(protocol, STREAMS, 0)))


def test_trial_keeps_each_persons_labels_and_subject_breaks_a_label_of_the_person() -> None:
    streams = [stream(f"p{p}", f"t{i}", [p % 2]) for p in range(6) for i in range(4)]
    assert rows(permuted("trial", streams, 0)) == rows(streams)
    moved = permuted("subject", streams, 0)
    mixed = [{s.labels[0, 0] for s in moved if s.person == f"p{p}"} for p in range(6)]
    assert any(len(labels) == 2 for labels in mixed)


def test_labels_are_stretched_over_another_length() -> None:
    long, short = stream("p", "long", [0], 6), stream("p", "short", [0], 3)
    long.labels[3:] = 1
    for seed in range(4):
        moved = permuted("subject", [long, short], seed)
        if moved[1].labels[:, 0].tolist() != [0, 0, 0]:
            assert moved[1].labels[:, 0].tolist() == [0, 0, 1]
            break
    else:
        raise AssertionError("no seed moved anything")


def test_a_trial_without_a_hop_is_passed_over() -> None:
    assert len(permuted("subject", [*STREAMS, stream("p", "none", [0], 0)], 0)) == len(STREAMS)
