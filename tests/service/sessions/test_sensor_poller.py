"""The thread that reads sensors: which sessions it reads, and what an error does to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from mimamba.service.sessions.sensor_poller import SensorPoller


class Asked:
    """A member that counts how often it is read; it fails if ``broken``."""

    def __init__(self, news: bool = True, broken: bool = False) -> None:
        self.news, self.broken = news, broken
        self.times = 0

    def take_sensors(self) -> bool:
        self.times += 1
        if self.broken:
            raise ValueError("no sensor")
        return self.news


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


def test_members_are_read_until_they_leave_and_those_with_news_are_told_of() -> None:
    before = threading.active_count()
    told: list[Asked] = []
    poller = SensorPoller[Asked](told.extend)
    assert threading.active_count() == before  # nothing runs before there is a member
    new, old = Asked(), Asked(news=False)
    poller.join(new)
    poller.join(old)
    until(lambda: min(new.times, old.times) >= 2)
    poller.leave(new)
    read = new.times
    more = old.times + 2
    until(lambda: old.times >= more)
    assert new.times == read
    assert set(told) == {new}
    poller.close()
    assert threading.active_count() == before


def test_an_error_ends_the_reading_of_its_member_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    poller = SensorPoller[Asked](lambda _: None)
    broken, sound = Asked(broken=True), Asked()
    poller.join(broken)
    poller.join(sound)
    until(lambda: sound.times >= 3)
    poller.leave(broken)
    poller.close()
    assert broken.times == 1
    assert [each.message for each in caplog.records] == ["sensors failed"]
