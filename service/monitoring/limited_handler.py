"""Log handler that no device or client can flood: it counts some events that repeat.

A headset at the edge of its range loses its link several times a second. To write a line for each
loss took 5 % of the time of a service with 200 of them.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TextIO, TypeAlias

PERIOD = 10.0
"""Seconds in which one of these events about the same subject is written once."""
Key: TypeAlias = tuple[str, ...]


@dataclass
class Repeats:
    """Events after one that was written, up to a time (s): their number, and the last one."""

    until: float
    count: int = 0
    last: logging.LogRecord | None = None


class LimitedHandler(logging.StreamHandler[TextIO]):
    """Handler that writes some events about the same subject once in ten seconds.

    Those in between are counted. When the time is over, the last of them is written, with their
    number as its field ``repeats``. All other events are written as they come, and so are lower
    levels than a warning, and whatever has a traceback.

    Parameters
    ----------
    stream
        Gets the lines.
    often
        Texts of the events that are limited, as they were given to the logger.
    subjects
        Fields of an event in which its repetitions are like it.
    period
        Seconds.
    now
        A clock, s.
    """

    def __init__(
        self,
        stream: TextIO,
        often: Collection[str],
        subjects: Collection[str],
        period: float = PERIOD,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self._often, self._subjects = often, subjects
        self._period, self._now = period, now
        self._written: OrderedDict[Key, Repeats] = OrderedDict()
        """By what they have in common; the first is over first."""
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write an event, or count it; ``handle`` holds the handler's lock."""
        try:
            self._write_repeats(self._now())
            counted = self._is_limited(record) and self._count(record)
        except Exception:  # noqa: BLE001  whoever logs must not fail
            self.handleError(record)
            return
        if not counted:
            super().emit(record)

    def _is_limited(self, record: logging.LogRecord) -> bool:
        text = record.msg
        limited = isinstance(text, str) and text in self._often
        return limited and record.levelno >= logging.WARNING and not record.exc_info

    def _count(self, record: logging.LogRecord) -> bool:
        """Count an event if the like was written not long ago; else return False."""
        fields = (str(record.__dict__.get(name)) for name in self._subjects)
        key = (record.name, record.levelname, record.getMessage(), *fields)
        repeats = self._written.get(key)
        if repeats is None:
            self._written[key] = Repeats(self._now() + self._period)
            return False
        repeats.count, repeats.last = repeats.count + 1, record
        self._start_timer()
        return True

    def close(self) -> None:
        """Write what was counted, and stop."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
            for repeats in self._written.values():
                self._write(repeats)
            self._written.clear()
        finally:
            self.release()
        super().close()

    def _start_timer(self) -> None:
        if self._timer is None:
            timer = threading.Timer(self._period, self._on_period_over)
            timer.daemon = True
            timer.start()  # raises if the system gives no thread; the next event tries again
            self._timer = timer

    def _on_period_over(self) -> None:
        self.acquire()
        try:
            self._timer = None
            self._write_repeats(self._now())
            if any(repeats.count for repeats in self._written.values()):
                self._start_timer()
        finally:
            self.release()

    def _write_repeats(self, now: float) -> None:
        """Write what was counted in the times that are over; what goes on is counted again."""
        while self._written and next(iter(self._written.values())).until <= now:
            key, repeats = self._written.popitem(last=False)
            if repeats.count:
                self._written[key] = Repeats(now + self._period)
                self._write(repeats)

    def _write(self, repeats: Repeats) -> None:
        if repeats.last is not None:
            record = copy.copy(repeats.last)
            record.__dict__["repeats"] = repeats.count
            super().emit(record)
