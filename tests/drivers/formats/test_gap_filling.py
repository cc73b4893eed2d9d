from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.formats.gap_filling import Gap, fill_gaps, find_gaps, parse_gap


@given(st.sets(st.integers(0, 60), min_size=1))
def test_gaps_and_held_values_account_for_every_position(present: set[int]) -> None:
    index = np.array(sorted(present)) - min(present)
    gaps = find_gaps(index)
    lost = {at for gap in gaps for at in range(gap.first, gap.first + gap.count)}
    assert lost == set(range(int(index[-1]))) - set(index.tolist())
    held = fill_gaps(index[:, None].astype(np.float32), index)[:, 0]
    assert len(held) == index[-1] + 1
    for at, value in enumerate(held.tolist()):
        assert value == max(there for there in index.tolist() if there <= at)


@given(st.integers(0, 10**9), st.integers(1, 10**9), st.sampled_from(["gap", "padding"]))
def test_a_gap_s_text_tells_it_again(first: int, count: int, kind: str) -> None:
    gap = Gap(first, count, "gap" if kind == "gap" else "padding")
    assert gap.text.startswith("BAD_")
    assert parse_gap(gap.text, first) == gap


def test_other_annotations_are_no_gaps() -> None:
    for text in ("gap", "BAD_gap", "BAD_gap: x samples lost", "a BAD_gap: 1 sample lost", ""):
        assert parse_gap(text, 0) is None
    assert Gap(0, 1).text == "BAD_gap: 1 sample lost"
    assert Gap(0, 12).text == "BAD_gap: 12 samples lost"
