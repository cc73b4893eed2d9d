"""Blocks from markers and tables, and ratings that contradict them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mimamba.drivers.driver import Marker
from mimamba.models.personal.blocks import (
    Block,
    CalibrationError,
    blocks_from_markers,
    blocks_from_table,
    check_blocks,
    choose_kinds,
    find_doubtful,
)
from tests.models.personal.sittings import SFREQ, noise


def at(seconds: float, label: str) -> Marker:
    return Marker(seconds, round(seconds * SFREQ), label, "test")


RECORDING = replace(
    noise(40, 0), markers=(at(1, "calm"), at(11, "task"), at(20, "pause"), at(30, "calm"))
)
KINDS = {"calm": "calm", "task": "strained"}


def seconds(blocks: tuple[Block, ...]) -> list[tuple[str, float, float]]:
    return [(block.kind, block.start / SFREQ, block.stop / SFREQ) for block in blocks]


def test_a_block_lasts_up_to_the_next_marker_or_the_end() -> None:
    assert seconds(blocks_from_markers(RECORDING, KINDS)) == [
        ("calm", 1, 11),
        ("strained", 11, 20),
        ("calm", 30, 40),
    ]


def test_a_block_may_have_a_given_length() -> None:
    assert seconds(blocks_from_markers(RECORDING, KINDS, 5)) == [
        ("calm", 1, 6),
        ("strained", 11, 16),
        ("calm", 30, 35),
    ]
    with pytest.raises(CalibrationError, match="do not overlap"):
        blocks_from_markers(RECORDING, KINDS, 10.5)


def test_a_label_without_marker_is_named() -> None:
    with pytest.raises(CalibrationError, match="label rest, but found calm, pause, task"):
        blocks_from_markers(RECORDING, {"rest": "rest"})


def table(folder: Path, text: str) -> Path:
    path = folder / "events.tsv"
    path.write_text(text.replace(" ", "\t"))
    return path


def test_a_table_gives_kinds_and_ratings(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "onset duration trial_type valence\n"
        "12 5.5 task 20\n1 10 calm 80\n20 3 n/a n/a\n25 3 other 5\n30 5 calm n/a\n",
    )
    found = blocks_from_table(path, RECORDING, "valence", ("calm", "task"))
    assert seconds(found) == [("calm", 1, 11), ("task", 12, 17.5), ("calm", 30, 35)]
    assert [block.rating for block in found] == [80, 20, None]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("onset trial_type\n1 calm\n", "a column duration"),
        ("onset duration trial_type\nsoon 3 calm\n", "number as onset in row 1 .* found soon"),
        ("onset duration trial_type\n1 nan calm\n", "number as duration in row 1"),
        ("onset duration trial_type\n1 0 calm\n", "begin before they end"),
        ("onset duration trial_type\n100 5 calm\n", "begin before they end"),
        ("onset duration trial_type\n1 5 n/a\n", "found no block"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(CalibrationError, match=error):
        blocks_from_table(table(tmp_path, text), RECORDING)


def test_a_table_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no such file"):
        blocks_from_table(tmp_path / "none.tsv", RECORDING)


def test_two_kinds_are_needed() -> None:
    blocks = [Block("c", 0, 1), Block("a", 1, 2), Block("b", 2, 3)]
    assert choose_kinds(blocks[:2]) == ("a", "c")
    assert choose_kinds(blocks, ("c", "b")) == ("c", "b")
    for wanted in ((), ("a",), ("a", "x")):
        with pytest.raises(CalibrationError, match="found a, b, c"):
            choose_kinds(blocks, wanted)


def test_blocks_are_sorted() -> None:
    one, other = Block("a", 5, 9), Block("b", 0, 5)
    assert check_blocks([one, other]) == (other, one)


def rate(*ratings: float | None) -> list[Block]:
    return [Block("ab"[n % 2], n, n + 1, rating) for n, rating in enumerate(ratings)]


def test_a_rating_on_the_wrong_side_or_near_the_middle_is_doubtful() -> None:
    assert find_doubtful(rate(20, 80, 30, 70, 20, 35, 58, 80), "b").tolist() == [
        *(False,) * 5,
        True,
        True,
        False,
    ]


def test_one_wrong_rating_does_not_move_the_middle() -> None:
    assert find_doubtful(rate(30, 70, 30, 70, 30, 70, 30, 0), "b").tolist() == [False] * 7 + [True]


def test_the_second_kind_may_be_rated_lower() -> None:
    assert not find_doubtful(rate(80, 20, 70, 30), "b").any()


def test_blocks_without_ratings_are_not_doubtful() -> None:
    assert not find_doubtful(rate(None, None, 20, None), "b").any()
    assert not find_doubtful(rate(20, 80, None, None), "b").any()
