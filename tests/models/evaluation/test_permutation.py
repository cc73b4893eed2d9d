"""Permutation: the same labels, elsewhere, in the units that the protocol keeps whole."""

from __future__ import annotations

from collections import Counter

from mimamba.models.evaluation.permutation import permute_labels
from mimamba.models.evaluation.protocols import PROTOCOLS
from mimamba.models.training.windowing import HopSequence
from tests.models.evaluation.people import people, silent
from tests.models.evaluation.test_protocols import sequence

STREAMS = people(6, 8, 5, silent)


def rows(sequences: list[HopSequence]) -> list[list[int]]:
    return [sequence.labels[:, 0].tolist() for sequence in sequences]


def test_only_labels_change_and_the_seed_tells_how() -> None:
    for protocol in PROTOCOLS:
        moved = permute_labels(protocol, STREAMS, 0)
        assert all(a.windows is b.windows for a, b in zip(moved, STREAMS, strict=True))
        assert rows(moved) != rows(STREAMS)
        assert rows(moved) == rows(permute_labels(protocol, STREAMS, 0))
        assert rows(moved) != rows(permute_labels(protocol, STREAMS, 1))
        counts = [
            Counter(label for row in rows(sequences) for label in row)
            for sequences in (moved, STREAMS)
        ]
        assert counts[0] == counts[1]


def test_paper_mixes_windows_the_others_whole_trials() -> None:
    assert any(len(set(row)) == 2 for row in rows(permute_labels("paper", STREAMS, 0)))
    for protocol in ("trial", "subject"):
        assert all(len(set(row)) == 1 for row in rows(permute_labels(protocol, STREAMS, 0)))


def test_trial_keeps_each_persons_labels_and_subject_breaks_a_label_of_the_person() -> None:
    sequences = [sequence(f"p{p}", f"t{i}", [p % 2]) for p in range(6) for i in range(4)]
    assert rows(permute_labels("trial", sequences, 0)) == rows(sequences)
    moved = permute_labels("subject", sequences, 0)
    mixed = [{s.labels[0, 0] for s in moved if s.person == f"p{p}"} for p in range(6)]
    assert any(len(labels) == 2 for labels in mixed)


def test_labels_are_stretched_over_another_length() -> None:
    long, short = sequence("p", "long", [0], 6), sequence("p", "short", [0], 3)
    long.labels[3:] = 1
    for seed in range(4):
        moved = permute_labels("subject", [long, short], seed)
        if moved[1].labels[:, 0].tolist() != [0, 0, 0]:
            assert moved[1].labels[:, 0].tolist() == [0, 0, 1]
            break
    else:
        raise AssertionError("no seed moved anything")


def test_a_trial_without_a_hop_is_passed_over() -> None:
    assert len(permute_labels("subject", [*STREAMS, sequence("p", "none", [0], 0)], 0)) == len(
        STREAMS
    )
