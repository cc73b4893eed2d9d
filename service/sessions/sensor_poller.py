"""Reading of what devices measure beside the EEG, for all sessions, in a thread of its own.

It begins with the first session that has something, so others cost nothing, and no chunk of EEG
waits for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)

PERIOD = 0.1
"""Seconds between two reads: the samples of a Muse's two packets."""


class SensorMember(Protocol):
    """A session, as the poller sees it."""

    def take_sensors(self) -> bool:
        """Log what was measured since the last call; return whether there was anything."""
        ...


AnyMember = TypeVar("AnyMember", bound=SensorMember)


class SensorPoller(Generic[AnyMember]):
    """A thread that reads the sensors of its members ten times a second.

    Parameters
    ----------
    notify
        Called in that thread with the members that have something new.
    """

    def __init__(self, notify: Callable[[Sequence[AnyMember]], None]) -> None:
        self._notify = notify
        self._members: dict[AnyMember, None] = {}
        self._lock = threading.Lock()
        """Held while members are read, so that one that has left is read no more."""
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def join(self, member: AnyMember) -> None:
        """Read a member from now on."""
        with self._lock:
            self._members[member] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sensors")
                self._thread.start()

    def leave(self, member: AnyMember) -> None:
        """Read a member for the last time."""
        with self._lock:
            if self._members.pop(member, member) is None:
                self._read([member])

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(PERIOD):
            with self._lock:
                self._read([*self._members])

    def _read(self, members: Sequence[AnyMember]) -> None:
        news = []
        for member in members:
            try:
                if member.take_sensors():
                    news.append(member)
            except Exception:  # an error of ours; the EEG goes on without these sensors
                log.exception("sensors failed")
                self._members.pop(member, None)
        if news:
            self._notify(news)
