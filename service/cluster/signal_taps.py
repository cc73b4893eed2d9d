"""Taps of a session that a worker elsewhere computes: they take its signal as the bus brings it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from mimamba.drivers.driver import Chunk
from mimamba.service.sessions.session_pipeline import SessionTap

log = logging.getLogger(__name__)


Notice: TypeAlias = Literal["removed", "ended"]
"""Notice that a tap was removed, or that the session has ended."""


class SignalTaps:
    """The taps of one session, in a thread of their own while there are any.

    Parameters
    ----------
    name
        Of the session.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()
        """Held while taps take a chunk."""
        self._taps: tuple[SessionTap, ...] = ()
        self._waiting: queue.SimpleQueue[Chunk | Notice] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no tap take a chunk meanwhile."""
        with self._lock:
            yield

    @property
    def any(self) -> bool:
        """True while there is any tap."""
        return bool(self._taps)

    def add(self, tap: SessionTap) -> None:
        """Give a tap all chunks from the next one on."""
        with self._lock:
            self._taps = (*self._taps, tap)
            if self._thread is None:
                self._waiting = queue.SimpleQueue()  # without what came for those before
                if self._ended:
                    self._waiting.put("ended")
                self._thread = threading.Thread(target=self._run, name=f"taps of {self._name}")
                self._thread.start()

    def remove(self, tap: SessionTap) -> None:
        """Give a tap no more chunks."""
        with self._lock:
            self._taps = tuple(each for each in self._taps if each is not tap)
            self._waiting.put("removed")

    def put(self, chunk: Chunk) -> None:
        """Give the taps a chunk; waits for none of them."""
        if self._taps:
            self._waiting.put(chunk)

    def end(self) -> None:
        """Note that the session has ended: the taps end after what they have. Waits for none."""
        self._ended = True  # for a tap that is being added
        self._waiting.put("ended")

    def join(self) -> None:
        """Wait until the taps have ended, after ``end``."""
        if (thread := self._thread) is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            news = self._waiting.get()
            with self._lock:
                if isinstance(news, Chunk):
                    self._take(news)
                elif news == "ended":
                    for tap in self._taps:
                        tap.end()
                    self._taps = ()
                if not self._taps:
                    self._thread = None
                    return

    def _take(self, chunk: Chunk) -> None:
        for tap in self._taps:
            try:
                tap.take(chunk)
            except Exception:  # an error of ours; the session goes on without this tap
                log.exception("a tap failed", extra={"session": self._name})
                self.remove(tap)
                tap.end()
