"""When the connection rests; that it loses nothing is tested with the bus."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mimamba.service.bus.prompt_client import LONGEST_REST, ReadingPace


def rests(arrivals: Iterable[float]) -> list[float]:
    """Return how long it rests, for messages that arrive at these times.

    What arrives while it rests is one reading, and so is what arrives at the same time.
    """
    pace, found, read_on, resting = ReadingPace(50.0), [], 50.0, False
    for arrival in arrivals:
        if 50.0 + arrival > read_on:
            read_on, resting = 50.0 + arrival, False
        pace.count()
        if not resting and (rest := pace.rest(read_on)):
            found.append(rest)
            read_on, resting = read_on + rest, True
    return found


@pytest.mark.parametrize("rate", [100, 200, 600])
def test_few_messages_are_read_as_they_come_also_together(rate: int) -> None:
    for together in (1, 2, 4):
        assert rests(nth // together * together / rate for nth in range(2 * rate)) == []


def test_a_few_together_after_a_silence_are_no_reason_to_rest() -> None:
    assert rests([0.0, *12 * [3.0], *3 * [3.001], 3.021, 9.0, 9.0]) == []


def test_many_messages_wait_for_each_other() -> None:
    found = rests(nth / 3000 for nth in range(3000))
    assert set(found) == {LONGEST_REST}
    # It rests nearly always, once it has counted: 250 times a second.
    assert len(found) > 200
    assert 0.002 <= min(rests(nth / 1000 for nth in range(1000))) < 0.003
    before = [nth / 3000 for nth in range(300)]
    assert rests([*before, 1.0, 1.001]) == rests(before)
