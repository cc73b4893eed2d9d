"""The pace of the compute loop's rounds: with all sessions often enough, however many there are."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mimamba.service.engine.round_pace import LONGEST_PERIOD, RoundPace, rest_of

SECONDS = 1.0


def whole_rounds(sessions: int, sending: int, hops: list[float]) -> list[float]:
    """Times of the rounds with all sessions, where rounds take no time."""
    pace, now = RoundPace(0.0), 0.0
    found = []
    while now < SECONDS:
        if pace.begin(sessions, sending, now):
            found.append(now)
        earliest = now + rest_of(sending)
        nth = bisect_left(hops, math.nextafter(now, math.inf))
        hop = hops[nth] if nth < len(hops) else math.inf
        now = max(earliest, min(hop, now + pace.wait(sessions, now)))
    return found


def test_rounds_with_all_sessions_begin_25_to_50_times_a_second() -> None:
    for sessions in (9, *range(64, 501)):
        hops = [n / (4 * sessions) for n in range(4 * sessions)]
        found = whole_rounds(sessions, sessions, hops)
        steps = [after - before for before, after in pairwise(found)]
        assert max(steps) <= LONGEST_PERIOD + 1e-9, sessions
        assert min(steps) >= 0.02 - 1e-9, sessions


@given(st.integers(9, 500), st.lists(st.floats(0, SECONDS), max_size=200), st.floats(0, 1))
def test_so_they_do_whenever_hops_come(sessions: int, hops: list[float], share: float) -> None:
    found = whole_rounds(sessions, round(share * sessions), sorted(hops))
    assert max(b - a for a, b in pairwise(found)) <= LONGEST_PERIOD + 1e-9


def test_with_few_sessions_every_round_is_with_all() -> None:
    pace = RoundPace(0.0)
    assert all(pace.begin(8, 8, now) for now in (0.0, 0.001, 0.002))
    assert pace.wait(8, 0.002) >= 1
