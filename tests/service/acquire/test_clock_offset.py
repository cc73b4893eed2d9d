"""The other machine's clock, from pings over a line that takes its time, more one way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mimamba.service.acquire.clock_offset import DRIFT, OffsetEstimate

DELAYS = st.floats(0.0, 0.5)


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=200))
def test_the_offset_is_wrong_by_less_than_half_of_the_best_round_trip(
    offset: float, trips: list[tuple[float, float]]
) -> None:
    estimate, bounds = OffsetEstimate(), []
    for k, (there, back) in enumerate(trips):
        estimate.note(k, k + there + back, k + there + offset)
        bounds.append((k + there + back, (there + back) / 2))
        now = bounds[-1][0]
        bound = min(error + DRIFT * (now - at) for at, error in bounds[-120:])
        assert abs(estimate.offset - offset) <= bound + 1e-6
    assert estimate.known == min(len(trips), 120)


def test_clocks_that_part_are_followed() -> None:
    estimate = OffsetEstimate()
    estimate.note(0.0, 0.001, 0.0005)
    for k in range(1, 600):
        estimate.note(k, k + 0.002, (k + 0.001) * (1 + DRIFT / 2))
        assert abs(estimate.offset - k * DRIFT / 2) < 0.001
