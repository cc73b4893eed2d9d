"""Exact indices from a header and a list of losses, and what contradicts itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.formats.xdf.sample_index import exact_index


def gap(first: object, lost: object) -> str:
    return json.dumps({"event": "gap", "first": first, "lost": lost})


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=8),
    st.integers(0, 40),
)
def test_any_losses(first: int, parts: list[tuple[int, int]], n_times: int) -> None:
    there: list[int] = []
    events = ["no object", "[1]", '{"event": "restarted", "first": 3}']
    at = first
    for present, lost in parts:
        there += range(at, at + present)
        events.append(gap(at + present, lost))
        at += present + lost
    there += range(at, at + 40)
    found = exact_index(n_times, str(first), events)
    assert found is not None
    np.testing.assert_array_equal(found, there[:n_times])


@pytest.mark.parametrize(
    ("first", "events"),
    [
        ("", []),
        ("-1", []),
        ("1.5", []),
        ("9" * 5000, []),
        ("10", [gap(5, 3)]),
        ("0", [gap(5, 0)]),
        ("0", [gap(5, -3)]),
        ("0", [gap(5, 3), gap(6, 1)]),
        ("0", [gap(5, 1 << 60)]),
        ("0", [gap(1 << 60, 5)]),
    ],
)
def test_contradictions(first: str, events: list[str]) -> None:
    assert exact_index(20, first, events) is None


@pytest.mark.parametrize(
    "event", [gap("5", 3), gap(True, 3), gap(5, None), gap(5.0, 3), "[" * 9999]
)
def test_what_is_no_loss_is_left_out(event: str) -> None:
    found = exact_index(20, "0", [event])
    assert found is not None
    np.testing.assert_array_equal(found, np.arange(20))
