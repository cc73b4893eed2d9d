"""Events that repeat are counted, whatever their order and times."""

from __future__ import annotations

import io
import logging
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.service.monitoring.limited_handler import LimitedHandler
from mimamba.service.monitoring.logging import SUBJECTS, TextLine

events = st.lists(
    st.tuples(st.floats(0.0, 6.0), st.sampled_from(["muse-1", "muse-2"]), st.integers(0, 9)),
    max_size=60,
)


class Written:
    """A handler with a clock of its own, and what it wrote."""

    def __init__(self) -> None:
        self.now, self.stream = 0.0, io.StringIO()
        self.handler = LimitedHandler(
            self.stream, ("lost", "of %s"), SUBJECTS, period=10.0, now=lambda: self.now
        )
        self.handler.setFormatter(TextLine())

    def say(self, session: str, reason: str, level: int = logging.WARNING) -> None:
        self.log("lost", level, session=session, reason=reason)

    def log(
        self,
        text: object,
        level: int = logging.WARNING,
        *values: object,
        error: Exception | None = None,
        **extra: object,
    ) -> None:
        traceback = (type(error), error, None) if error else None
        made = logging.getLogger("x").makeRecord(
            "x", level, "", 1, text, values, traceback, extra=extra
        )
        self.handler.handle(made)

    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.stream.getvalue().splitlines()]


@given(events)
def test_each_is_counted_once_and_none_is_written_twice_in_ten_seconds(
    course: list[tuple[float, str, int]],
) -> None:
    made, said = Written(), Counter[str]()
    at: dict[str, list[float]] = {"muse-1": [], "muse-2": []}
    for wait, session, reason in course:
        made.now += wait
        before = len(made.lines())
        made.say(session, f"no {reason}")
        said[session] += 1
        for line in made.lines()[before:]:
            at[line.split("session=")[1].split()[0]].append(made.now)
    for times in at.values():
        assert all(later >= first + 10.0 for first, later in pairwise(times))
    made.handler.close()
    told = Counter[str]()
    for line in made.lines():
        fields = dict(word.split("=") for word in line.split() if "=" in word)
        told[fields["session"]] += int(fields.get("repeats", 1))
    assert told == said


def test_the_last_reason_comes_with_the_number_and_lower_levels_as_they_come() -> None:
    made = Written()
    for reason in ("far", "farther", "off"):
        made.say("muse-1", reason)
        made.say("muse-1", "info", logging.INFO)
    assert (
        made.lines()
        == ["warning lost session=muse-1 reason=far"] + ["info lost session=muse-1 reason=info"] * 3
    )
    made.handler.close()
    assert made.lines()[-1] == "warning lost session=muse-1 repeats=2 reason=off"


def test_other_events_and_those_with_a_traceback_are_written_as_they_come() -> None:
    made = Written()
    for number in range(2):
        made.log("a thread did not end")
        made.log("lost", error=ZeroDivisionError())
        made.log("of %s", logging.WARNING, f"port {number}")
    lines = made.lines()
    assert lines.count("warning a thread did not end") == 2
    assert lines.count("warning lost") == 2
    assert {"warning of port 0", "warning of port 1"} <= {*lines}
    made.handler.close()
    assert made.lines() == lines


def test_two_with_other_ids_are_two() -> None:
    made = Written()
    for number in range(3):
        made.log("lost", shard=number)
        made.log("lost", peer="::1", client=f"c{number}")
    assert [line.split("=")[1] for line in made.lines() if "shard" in line] == ["0", "1", "2"]
    assert sum("peer" in line for line in made.lines()) == 1
    made.handler.close()


@pytest.mark.parametrize("text", [{"a": 1}, "lost", "of %s"])
def test_nothing_that_is_logged_raises_into_its_caller(
    text: object, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Written()
    for _ in range(2):
        made.log(text, session=["a list"])
    made.handler.close()
    assert made.lines() or "Logging error" in capsys.readouterr().err
