"""A session: one source being watched. Its thread takes chunks, logs them and cuts hops."""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, TypeAlias

from mimamba.drivers.driver import Chunk, Driver, LinkChange, Powered, Seekable, StreamInfo
from mimamba.drivers.errors import DriverError
from mimamba.drivers.open import open_source
from mimamba.drivers.runtime.compute_lock import TURN
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.signal.baseline import UNALIGNED, AlignerState
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalError
from mimamba.service.engine.engine import Engine, EngineStopped
from mimamba.service.people.subject import Subject
from mimamba.service.sessions.epoch_logs import (
    ActiveModel,
    EpochLogs,
    LinkEntry,
    SessionSnapshot,
    playback_entry,
)
from mimamba.service.sessions.event_recorder import EventRecorder
from mimamba.service.sessions.session_decoder import SessionDecoder
from mimamba.service.watcher import SessionObserver

State: TypeAlias = Literal["opening", "open", "ended"]
Connect: TypeAlias = Callable[[str, Callable[[LinkChange], None]], Driver]


class SessionOver(RuntimeError):
    """A session is not open, or not any more."""


class Session:
    """One source, one model (or none), and the logs that readers follow.

    Parameters
    ----------
    name
        Its id in the API.
    url
        The source.
    engine
        Steps the model; None watches the signal only.
    required
        Whether a montage that the source cannot meet is an error; else the session then goes on
        without a model and says so.
    r
        The gate at each hop's start: the checkpoint's, or 0.
    watcher
        Told of everything new.
    connect
        Gives the driver of the URL, which is told to it with whom to tell the link's changes.
    subject
        Whose session it is; nobody's if absent.
    """

    def __init__(
        self,
        name: str,
        url: str,
        engine: Engine | None,
        required: bool,
        r: float,
        watcher: SessionObserver,
        connect: Connect = open_source,
        subject: Subject | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self.r = r
        self.subject = subject or Subject()
        self.state: State = "opening"
        self.reason: str | None = None
        self.error: Exception | None = None
        self.info: StreamInfo | None = None
        self.chronicle = EventRecorder(lambda: watcher.notify(self))
        """What it has to tell."""
        self.opened = threading.Event()
        """Set once the source is open, or has failed to."""
        self._engine = engine
        self._required = required
        self._watcher = watcher
        self._connect_to = connect
        self._token = secrets.token_hex(4)
        self._closing = threading.Lock()
        self._between = threading.Lock()
        """Held while a chunk is taken: who has it finds the session between two chunks."""
        self._closed = False
        self._driver: Driver | None = None
        self._decoding: SessionDecoder | None = None
        self._epoch = 0
        self._thread = threading.Thread(target=self._run, name=f"session {name}")

    def start(self) -> None:
        """Begin to connect; ``opened`` is set when that has succeeded or failed."""
        self._thread.start()

    def close(self) -> None:
        """End the session; returns when its thread has ended."""
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Have the session end, without waiting for it."""
        with self._closing:
            self._closed = True
            if self._driver is not None:
                self._driver.close()

    def snapshot(self) -> SessionSnapshot:
        """Where the session stands, all hops so far predicted; its thread waits meanwhile.

        Raises
        ------
        SessionOver
            If it is not open.
        EngineStopped
            If its model has failed.
        """
        with self._between:
            logs = self.check_open()
            state = self._decoding.state() if self._decoding else None
            return logs.snapshot(state)

    def set_model(self, engine: Engine | None, r: float) -> None:
        """Let another model speak, or none; the epoch goes on, and so do the predictions' numbers.

        Its hops begin with the next sample. All that the old one had to say is logged before.

        Raises
        ------
        SessionOver
            If it is not open.
        MontageError, SignalError
            If the model cannot use the source; the old one goes on then.
        """
        with self._between:
            logs, driver = self.check_open(), self._driver
            assert driver is not None
            decoding = self._decode(engine, driver.info, r) if engine else None
            if self._decoding:
                self._decoding.finish()
            self._decoding, self.r, self.info = decoding, r, driver.info
            self.chronicle.counters.period = decoding.period if decoding else math.inf
            self.chronicle.tell(
                logs.set_model(decoding.active_model if decoding else ActiveModel())
            )
            if decoding:
                decoding.begin()

    @contextmanager
    def between_chunks(self) -> Iterator[SessionDecoder | None]:
        """Its model, which takes nothing meanwhile; raises SessionOver where it is not open."""
        with self._between:
            self.check_open()
            yield self._decoding

    def tell_recording(self, detail: str) -> None:
        """Tell all who follow the link what became of a recording of this session."""
        self.chronicle.tell(LinkEntry(local_clock(), "recording", detail))

    def check_open(self) -> EpochLogs:
        """Its present logs; raises SessionOver where it is not open."""
        if self.state != "open" or self.logs is None:
            raise SessionOver(
                f"Expected an open session, but found that {self.name} is {self.state}."
            )
        return self.logs

    @property
    def logs(self) -> EpochLogs | None:
        """The logs of its present epoch; None before it is open."""
        return self.chronicle.logs

    @property
    def seekable(self) -> Seekable | None:
        """What only a recording can do; None for a live source, and where it is not open."""
        return self._driver if self.state == "open" and isinstance(self._driver, Seekable) else None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The model that speaks in this session."""
        return self._decoding.checkpoint if self._decoding else None

    @property
    def aligner(self) -> AlignerState:
        """What its model's windows are aligned by, and what is being taken for it."""
        return self._decoding.aligner if self._decoding else UNALIGNED

    @property
    def active_model(self) -> ActiveModel:
        """Who speaks now."""
        return self.logs.active_models[-1] if self.logs else ActiveModel()

    @property
    def battery(self) -> float | None:
        """The device's charge, percent; None where it does not tell."""
        return self._driver.battery if isinstance(self._driver, Powered) else None

    # In the session's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        reason: str | None = "an internal error; the service's log tells more"
        try:
            self._follow()
            reason = None
        except (DriverError, MontageError, SignalError, EngineStopped) as error:
            self.error, reason = error, str(error)
        finally:
            with self._between:
                if self._decoding:
                    self._decoding.finish()
                self.state, self.reason = "ended", reason
            self.opened.set()
            self._watcher.notify(self)

    def _follow(self) -> None:
        with self._connect() as driver:
            self._open(driver)
            for chunk in driver:
                received = local_clock()
                with self._between:
                    self._take(chunk, received)

    def _connect(self) -> Driver:
        """The driver, not yet entered; ``close`` ends it from now on."""
        driver = self._connect_to(self.url, self.chronicle.link_changed)
        with self._closing:
            self._driver = driver
            if self._closed:
                driver.close()
        return driver

    def _open(self, driver: Driver) -> None:
        self.info = info = driver.info
        if self._engine is not None:
            self._try_to_decode(self._engine, info)
        self._start_epoch(0)
        if isinstance(driver, Seekable):
            self.chronicle.link = playback_entry(driver.playback())
            driver.watch(lambda playback: self.chronicle.tell(playback_entry(playback)))
        if self._decoding:
            self._decoding.begin()
        self.state = "open"
        self.opened.set()
        self._watcher.notify(self)

    def _decode(self, engine: Engine, info: StreamInfo, r: float) -> SessionDecoder:
        return SessionDecoder(
            engine, info, r, self.chronicle.publish, self.chronicle.note, self.subject
        )

    def _try_to_decode(self, engine: Engine, info: StreamInfo) -> None:
        """Give the model its electrodes, or go on without it."""
        try:
            self._decoding = self._decode(engine, info, self.r)
            self.chronicle.counters.period = self._decoding.period
        except (MontageError, SignalError) as error:
            if self._required:
                raise
            notice = f"No predictions, only the signal: {error}."
            self.info = replace(info, notices=(*info.notices, notice))

    def _start_epoch(self, epoch: int) -> None:
        assert self.info is not None
        self._epoch = epoch
        active_model = self._decoding.active_model if self._decoding else ActiveModel()
        self.chronicle.begin(EpochLogs(f"{self._token}-{epoch}", self.info, active_model))

    def _take(self, chunk: Chunk, received: float) -> None:
        if chunk.epoch != self._epoch:
            if self._decoding:
                self._decoding.drain()  # what is still waiting belongs to the old epoch
            self._start_epoch(chunk.epoch)
        with TURN:
            self.chronicle.take(chunk)
            hops = self._decoding.cut(chunk) if self._decoding else []
        self._watcher.signal(self)
        if self._decoding:
            self._decoding.submit(hops, received)
