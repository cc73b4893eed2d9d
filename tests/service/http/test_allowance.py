"""An address asks as often as it may, and waits its turn beyond that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.service.http.allowance import MAX_ADDRESSES, MAX_WAIT, Allowance, Rate
from tests.service.auth.test_authenticator import Clock

RATE = Rate(burst=5, per_second=2)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_no_more_have_their_turn_than_the_rate_allows(pauses: list[float]) -> None:
    clock = Clock()
    allowance = Allowance(RATE, clock)
    turns = []
    for pause in pauses:
        clock.time += pause
        wait = allowance.take("192.0.2.1")
        assert 0 <= wait <= MAX_WAIT
        if wait < MAX_WAIT:
            turns.append(clock.time + wait)
    for n, first in enumerate(turns):
        for m, last in enumerate(turns[n:], start=1):
            assert m <= RATE.burst + (last - first) * RATE.per_second + 1e-6


def test_one_who_waits_long_enough_may_ask_as_before() -> None:
    clock = Clock()
    allowance = Allowance(RATE, clock)
    for _ in range(100):
        wait = allowance.take("192.0.2.1")
    assert wait == MAX_WAIT
    assert not allowance.take("192.0.2.2")
    clock.time += MAX_WAIT + RATE.burst / RATE.per_second
    assert [allowance.take("192.0.2.1") for _ in range(6)] == [0, 0, 0, 0, 0, 0.5]


def test_one_with_a_token_uses_up_nothing() -> None:
    allowance = Allowance(RATE, Clock())
    for _ in range(100):
        assert not allowance.take("192.0.2.1")
        allowance.give_back("192.0.2.1")
    allowance.give_back("192.0.2.1")  # more than it had
    assert [allowance.take("192.0.2.1") for _ in range(6)] == [0, 0, 0, 0, 0, 0.5]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, same: bool) -> None:
    allowance = Allowance(RATE, Clock())
    for _ in range(5):
        allowance.take(one)
    assert bool(allowance.take(other)) == same


def test_only_some_addresses_are_remembered() -> None:
    allowance = Allowance(RATE, Clock())
    for _ in range(7):
        allowance.take("192.0.2.1")
    for n in range(MAX_ADDRESSES):
        assert not allowance.take(f"10.0.{n >> 8}.{n & 255}")
    assert not allowance.take("192.0.2.1")
