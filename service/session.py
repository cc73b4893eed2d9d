"""A session: one source being watched. Its thread takes chunks, logs them and cuts hops."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeAlias

from drivers import open_source
from drivers.base import Chunk, Driver, DriverError, LinkChange, Playback, Seekable, StreamInfo
from drivers.battery import Powered
from drivers.clock import local_clock
from models.checkpoint import Checkpoint
from models.hops import Hop
from models.meter import QualityMeter
from models.montage import Electrode, MontageError
from models.prediction import Prediction
from models.signal import SignalError
from service.decoding import Decoding
from service.engine import Engine, EngineStopped
from service.history import History, LinkEntry, Place, Told, gap_detail, playback_entry
from service.messages import TOPICS, LinkEvent, Model, Timing
from service.tally import Counts
from service.watcher import Watcher

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
    """

    def __init__(
        self,
        name: str,
        url: str,
        engine: Engine | None,
        required: bool,
        r: float,
        watcher: Watcher,
        connect: Connect = open_source,
    ) -> None:
        self.name = name
        self.url = url
        self.r = r
        self.state: State = "opening"
        self.reason: str | None = None
        self.error: Exception | None = None
        self.info: StreamInfo | None = None
        self.link: LinkEntry | None = None
        self.history: History | None = None
        self.counts = Counts()
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
        self._decoding: Decoding | None = None
        self._meter: QualityMeter | None = None
        self._epoch = 0
        self._expected: int | None = None
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

    def place(self) -> Place:
        """Where the session stands, all hops so far predicted; its thread waits meanwhile.

        Raises
        ------
        SessionOver
            If it is not open.
        EngineStopped
            If its model has failed.
        """
        with self._between:
            if self.state != "open" or self.history is None:
                raise SessionOver(f"wanted an open session; found that {self.name} is {self.state}")
            state = self._decoding.state() if self._decoding else None
            following = {topic: self.history.log(topic).next for topic in TOPICS}
            return Place(self.history, self._expected, following, state)

    def tell_recording(self, detail: str) -> None:
        """Tell all who follow the link what became of a recording of this session."""
        self._tell("recording", detail, local_clock())

    @property
    def seekable(self) -> Seekable | None:
        """What only a recording can do; None for a live source, and where it is not open."""
        driver = self._driver
        if driver is None or self.state != "open":
            return None
        return driver if isinstance(driver, Seekable) else None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The model that speaks in this session."""
        return self._decoding.checkpoint if self._decoding else None

    @property
    def model(self) -> Model | None:
        """The model's facts for people; None where the session watches the signal only."""
        return self._decoding.model if self._decoding else None

    @property
    def montage(self) -> list[Electrode] | None:
        """Which channels stand for the model's electrodes."""
        return self._decoding.montage if self._decoding else None

    @property
    def battery(self) -> float | None:
        """The device's charge, percent; None where it does not tell."""
        return self._driver.battery if isinstance(self._driver, Powered) else None

    @property
    def delay(self) -> float | None:
        """The signal path's delay, seconds."""
        return self._decoding.delay if self._decoding else None

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
            self._watcher.prompt(self)

    def _follow(self) -> None:
        with self._connect() as driver:
            self._open(driver)
            for chunk in driver:
                received = local_clock()
                with self._between:
                    self._take(chunk, received)

    def _connect(self) -> Driver:
        """The driver, not yet entered; ``close`` ends it from now on."""
        driver = self._connect_to(self.url, self._link_changed)
        with self._closing:
            self._driver = driver
            if self._closed:
                driver.close()
        return driver

    def _open(self, driver: Driver) -> None:
        self.info = info = driver.info
        self._meter = QualityMeter(info)
        if self._engine is not None:
            self._decode(self._engine, info)
        self._start_history(0)
        if isinstance(driver, Seekable):
            self.link = playback_entry(driver.playback())
            driver.watch(self._playback_changed)
        self.state = "open"
        self.opened.set()
        self._watcher.prompt(self)

    def _decode(self, engine: Engine, info: StreamInfo) -> None:
        """Give the model its electrodes, or go on without it."""
        if info.live:  # nobody waits for a recording's hops
            self.counts.period = engine.checkpoint.signal.hop / engine.checkpoint.signal.sfreq
        try:
            self._decoding = Decoding(engine, info, self.r, self._publish, self._hop_noted)
        except (MontageError, SignalError) as error:
            if self._required:
                raise
            notice = f"No predictions, only the signal: {error}."
            self.info = replace(info, notices=(*info.notices, notice))

    def _start_history(self, epoch: int) -> None:
        assert self.info is not None
        self._epoch, self._expected = epoch, None
        hop = self.model.hop if self.model else None
        self.history = History(f"{self._token}-{epoch}", self.info, hop)

    def _take(self, chunk: Chunk, received: float) -> None:
        if chunk.epoch != self._epoch:
            if self._decoding:
                self._decoding.drain()  # what is still waiting belongs to the old epoch
            self._start_history(chunk.epoch)
        assert self.history is not None
        assert self._meter is not None
        self._note_gap(chunk)
        self.counts.samples += chunk.n_times
        self.history.signal.append(chunk)
        for quality in self._meter.feed(chunk):
            self.history.quality.append(quality)
        for marker in chunk.markers:
            self.history.marker.append(marker)
        if chunk.markers:
            self._watcher.prompt(self)
        self._watcher.signal(self)
        if self._decoding:
            self._decoding.feed(chunk, received)

    def _note_gap(self, chunk: Chunk) -> None:
        assert self.info is not None
        if self._expected is not None and chunk.first > self._expected:
            lost = chunk.first - self._expected
            self.counts.lost += lost
            detail = gap_detail(lost, self.info.sfreq)
            self._tell("gap", detail, float(chunk.timestamps[0]), self._expected, lost)
        self._expected = chunk.end

    def _hop_noted(self, event: LinkEvent, detail: str, hop: Hop) -> None:
        self.counts.skipped += event == "hops_skipped"
        self._tell(event, detail, hop.timestamp, hop.index)

    def _link_changed(self, change: LinkChange) -> None:
        """From the supervisor, in this thread."""
        self._tell(change.state, change.detail, change.timestamp)

    def _playback_changed(self, playback: Playback) -> None:
        """From whichever thread has changed it."""
        entry = playback_entry(playback)
        self._tell(entry.event, entry.detail, entry.timestamp)

    def _tell(
        self,
        event: LinkEvent,
        detail: str,
        timestamp: float,
        first: int | None = None,
        lost: int | None = None,
    ) -> None:
        assert self.history is not None
        entry = LinkEntry(timestamp, event, detail, first, lost)
        if event in ("connected", "lost", "retrying", "paused", "playing"):
            self.link = entry
        self.history.link.append(entry)
        self._watcher.prompt(self)

    # In the engine's thread ----------------------------------------------------------------------

    def _publish(self, prediction: Prediction, received: float, stepped: float) -> None:
        assert self.history is not None
        timing = Timing(received, stepped, local_clock())
        self.counts.predicted(prediction.outputs is None, timing.published - received)
        self.history.prediction.append(Told(prediction, timing))
        self._watcher.prompt(self)
