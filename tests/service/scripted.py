"""A session with a source that a test feeds, chunk by chunk."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Self

from mimamba.drivers.driver import AuxiliaryChunk, Chunk, StreamInfo
from mimamba.service.engine.engine import Engine
from mimamba.service.engine.loop import ComputeLoop
from mimamba.service.logs.epoch_logs import MAX_EVENTS
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.people.subject import Subject
from mimamba.service.sessions.pending_markers import MAX_DELAY
from mimamba.service.sessions.sensor_poller import SensorPoller
from mimamba.service.sessions.session import Session

INFO = StreamInfo(
    "Scripted headset", "00:11:22", 256.0, ("TP9", "AF7", "AF8", "TP10"), 1000 / 2048, 1000.0
)
PATIENCE = 60.0


class Script:
    """A driver of the chunks that a test gives."""

    def __init__(self, info: StreamInfo) -> None:
        self.info = info
        self.has_auxiliary = True
        self._chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self._measured: queue.SimpleQueue[AuxiliaryChunk] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self._chunks.get, None)

    def give(self, chunk: Chunk) -> None:
        self._chunks.put(chunk)

    def measure(self, *chunks: AuxiliaryChunk) -> None:
        for chunk in chunks:
            self._measured.put(chunk)

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        return [self._measured.get() for _ in range(self._measured.qsize())]

    def close(self) -> None:
        self._chunks.put(None)


class Stage:
    """A session that follows a script, in a compute loop of its own or in ``loop``."""

    def __init__(
        self,
        engine: Engine | None,
        info: StreamInfo,
        subject: Subject | None,
        max_events: int,
        max_delay: float,
        loop: ComputeLoop[Session] | None = None,
        max_wait: float = math.inf,
    ) -> None:
        self.max_wait = max_wait
        self.script = Script(info)
        self._own = loop is None
        self.loop = loop or ComputeLoop[Session](self.notify_round)
        self.poller = SensorPoller[Session](lambda _: None)
        self.session = Session(
            "scripted",
            "simulate://",
            self.loop,
            engine,
            required=True,
            r=1.0,
            observer=self,
            connect=self._connect,
            subject=subject,
            max_events=max_events,
            max_delay=max_delay,
            max_wait=max_wait,
            poller=self.poller,
        )
        self.session.start()
        assert self.session.opened.wait(PATIENCE)

    def _connect(self, *_: object) -> Script:
        return self.script

    def notify(self, session: Session) -> None:
        """Ignore it."""

    def notify_round(self, signal: Sequence[Session], news: Sequence[Session]) -> None:
        """Ignore it."""

    def close(self) -> None:
        """End the session, and its loop unless that is another's."""
        self.session.close()
        self.poller.close()
        if self._own:
            self.loop.close()

    def play(self, *chunks: Chunk) -> None:
        """Give chunks, and wait until the session has taken them and predicted.

        A live session gets them one by one, as it would skip hops if the engine is slow.
        """
        live = self.script.info.live
        for part in [(chunk,) for chunk in chunks] if live else [chunks]:
            for chunk in part:
                self.script.give(chunk)
            if part:
                self.until(partial(self.has_taken, part[-1]))

    def overload(self, chunks: Sequence[Chunk]) -> None:
        """Give chunks to a live session that all wait for one round of the loop."""
        with self.loop.held():
            for chunk in chunks:
                self.script.give(chunk)
            self.until(lambda: self.loop.waiting == len(chunks))
            time.sleep(1.1 * self.max_wait)  # until they have waited too long

    def has_taken(self, chunk: Chunk) -> bool:
        """Whether everything up to this chunk is computed."""
        return self.session.snapshot().first == chunk.end

    def predictions(self) -> list[PublishedPrediction]:
        """All predictions in the logs."""
        assert self.session.logs is not None
        log = self.session.logs.prediction
        return [each for _, each in log.read(0, log.next) if isinstance(each, PublishedPrediction)]

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that must come true."""
        end, pause = time.monotonic() + PATIENCE, 0.0005  # most chunks are computed at once
        while not condition():
            assert time.monotonic() < end, "it did not come true"
            time.sleep(pause)
            pause = min(0.01, 1.5 * pause)


@contextmanager
def staged(
    engine: Engine | None,
    live: bool = False,
    subject: Subject | None = None,
    max_events: int = MAX_EVENTS,
    max_delay: float = MAX_DELAY,
    max_wait: float = math.inf,
) -> Iterator[Stage]:
    """A session on a script; all its threads have ended on leaving.

    A live one skips hops after ``max_wait``, and otherwise none, however busy the machine is.
    """
    before = set(threading.enumerate())
    stage = Stage(
        engine, replace(INFO, live=live), subject, max_events, max_delay, max_wait=max_wait
    )
    try:
        yield stage
    finally:
        stage.close()
    assert set(threading.enumerate()) <= before
