"""Samples come back in the order of their numbers, each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.osc.packet_order import HOLD_SECONDS, RESTART, NumberedSample, NumberOrder

PERIOD = 1 / 256


@given(st.data())
def test_delays_repeats_and_losses_change_nothing_else(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 120))
    start = data.draw(st.integers(0, 1 << 30))
    delay = st.floats(0, 0.9 * HOLD_SECONDS)
    sent: list[tuple[float, int]] = []
    kept: set[int] = set()
    for k in range(count):
        copies = data.draw(st.sampled_from([1, 1, 1, 1, 0, 2]))
        if copies:
            kept.add(start + k)
        sent += [(k * PERIOD + data.draw(delay), start + k) for _ in range(copies)]
    order, found = NumberOrder(), []
    for at, number in sorted(sent):
        found += order.push(NumberedSample(number, at, (float(number),)))
    found += order.flush()
    assert [each.number for each in found] == sorted(kept)


def test_what_comes_too_late_is_dropped_and_a_restart_is_followed() -> None:
    order = NumberOrder()
    found = [
        *order.push(NumberedSample(7000, 0.0, ())),
        *order.push(NumberedSample(7001, 0.2, ())),
        *order.push(NumberedSample(6999, 0.21, ())),
        *order.push(NumberedSample(7000 - RESTART, 0.3, ())),
        *order.flush(),
    ]
    assert [each.number for each in found] == [7000, 7001, 7000 - RESTART]
