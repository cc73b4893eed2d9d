"""One connection to a live source: a thread that enters, reads and leaves its driver."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from mimamba.drivers.driver import (
    AuxiliaryChunk,
    ChoosesStream,
    Chunk,
    Driver,
    HasAuxiliary,
    HasBattery,
    HasPatience,
    HasRemarks,
    StreamInfo,
    TakesCues,
)
from mimamba.drivers.errors import BadSource, DriverError, StreamLost, WrongStream
from mimamba.drivers.supervision.frozen_signal import FrozenSignalDetector
from mimamba.drivers.timing.pacer_thread import PACER, Paced
from mimamba.drivers.timing.stamp_check import RATE_TOLERANCE


@dataclass(frozen=True)
class Timeouts:
    """Time limits of a supervisor, seconds.

    Parameters
    ----------
    silence
        Time without a sample after which a connection counts as lost.
    first_sample
        The same, right after connecting: headsets need a while to start.
    connect
        Time after which an attempt to reconnect is given up. (Only the driver limits the first
        connection.)
    frozen
        Time with one and the same sample, to the last bit in every channel, after which a
        connection counts as lost.
    release
        Time that a new attempt, or the end, waits for the old driver to release its device.
        BrainFlow needs about 4 s for Bluetooth headsets.
    backoff
        Pause before the first attempt; it doubles with each failure.
    max_backoff
        Longest pause.
    max_wrong_backoff
        Longest pause after another device has answered: the right one may come at any time.
    queue
        Length of the queue for a slow reader; beyond it the oldest samples are dropped, and
        ``first`` jumps. It holds what a network delivers at once after a stall: liblsl keeps 360 s.
    """

    silence: float = 2.0
    first_sample: float = 5.0
    connect: float = 60.0
    frozen: float = 2.0
    release: float = 5.0
    backoff: float = 0.5
    max_backoff: float = 30.0
    max_wrong_backoff: float = 2.0
    queue: float = 390.0


class DeviceConnection:
    """A thread that reads a driver into a bounded queue, for one reader.

    Parameters
    ----------
    connect
        Function that makes the driver; called in the connection's thread.
    changed
        Condition that is notified of every change.
    timeouts
        Time limits.
    expected
        Facts that the source must have; None for the first connection.
    hand_on
        Called with each chunk, in the connection's thread, which holds ``changed``. If it returns
        False, the chunk waits for ``next_chunk``.

    Attributes
    ----------
    released
        True once the driver has been left.
    reason
        Reason for a None from ``next_chunk``.
    silent
        True after a silence, as long as the connection may still deliver what was held back.
    is_wrong
        True if another device has answered.
    final
        Error after which it makes no sense to reconnect; None if there is none.
    """

    def __init__(
        self,
        connect: Callable[[], Driver],
        changed: threading.Condition,
        timeouts: Timeouts,
        expected: StreamInfo | None,
        hand_on: Callable[[DeviceConnection, Chunk], bool] = lambda *_: False,
    ) -> None:
        self.released = False
        self.reason = "the connection was closed"
        self.silent = False
        self.is_wrong = False
        self.final: BadSource | None = None
        self._connect = connect
        self._changed = changed
        self._timeouts = timeouts
        self._expected = expected
        self._hand_on = hand_on
        self._driver: Driver | None = None
        self._info: StreamInfo | None = None
        self._failure: Exception | None = None
        self._over = False
        self._abandoned = threading.Event()
        self._chunks: deque[Chunk] = deque()
        self._queued = 0  # samples in the queue
        self._sfreq = 0.0
        self._deadline = time.monotonic() + timeouts.connect
        self._overdue = "connection", timeouts.connect, ""  # words are made of it when needed
        self._patience = 0.0  # further silence that the driver may overcome by itself, s
        self._remarks: deque[str] = deque()
        self._threads = [threading.Thread(target=self._run, name="live driver", daemon=True)]
        self._threads[0].start()

    @property
    def battery(self) -> float | None:
        """Charge that the driver reported last, percent; None if it reported none."""
        return self._driver.battery if isinstance(self._driver, HasBattery) else None

    @property
    def has_auxiliary(self) -> bool:
        """True if the device may measure more than EEG; known once it is connected."""
        return self._driver.has_auxiliary if isinstance(self._driver, HasAuxiliary) else False

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return what else the device measured since the last call."""
        return self._driver.take_auxiliary() if isinstance(self._driver, HasAuxiliary) else []

    def cue(self, state: str | None, place: int) -> None:
        """Pass a cue on to a simulated wearer."""
        if self._driver is not None and isinstance(self._driver, TakesCues):
            self._driver.cue(state, place)

    def wait_connected(self) -> StreamInfo:
        """Wait for the connection; raises what the driver raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._info or self._over or self._abandoned.is_set())
            if self._info is not None and not self._abandoned.is_set():
                return self._info
            if self._failure is not None:
                raise self._failure
            raise StreamLost(
                "a connection", "one that was closed while connecting", "open it again"
            )

    def next_chunk(self) -> Chunk | None:
        """Wait for the next chunk; None if the connection ended, is silent or was abandoned.

        If it is ``silent`` then, a further call waits as long as its driver has patience.
        """
        with self._changed:
            while not (self._chunks or self._over or self._abandoned.is_set()):
                rest = self._deadline - time.monotonic()
                if rest <= 0:
                    missing, within, since = self._overdue
                    self.reason = f"no {missing} within {within:g} s{since}"
                    self.silent = self._patience > 0
                    self._deadline += self._patience
                    self._patience = 0.0
                    return None
                self._changed.wait(rest)
            if self._abandoned.is_set() or not self._chunks:
                self.silent = False
                return None
            chunk = self._chunks.popleft()
            self._queued -= chunk.n_times
            return chunk

    def take_all(self) -> list[Chunk]:
        """Take the chunks that wait; the caller holds ``changed``."""
        chunks = [*self._chunks]
        self._chunks.clear()
        self._queued = 0
        return chunks

    def take_remarks(self) -> tuple[str, ...]:
        """Return the driver's remarks up to the last chunk."""
        if not self._remarks:  # the usual case, asked for each chunk
            return ()
        return tuple(self._remarks.popleft() for _ in range(len(self._remarks)))

    def abandon(self) -> None:
        """Stop reading and close the driver in the background: a vendor's close can hang."""
        with self._changed:
            if self._abandoned.is_set():
                return
            self._abandoned.set()
            self._changed.notify_all()
            driver = self._driver
            if driver is not None:
                closer = threading.Thread(target=driver.close, name="driver's close", daemon=True)
                self._threads.append(closer)
                closer.start()

    def join(self, until: float) -> None:
        """Wait for the threads until a time on ``time.monotonic``."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        """Run the thread. Errors in leaving the driver end in ``threading.excepthook``."""
        try:
            self._read()
        finally:
            with self._changed:
                self.released = True
                self._changed.notify_all()

    def _read(self) -> None:
        with ExitStack() as stack:
            try:
                made = self._connect()
                if self._expected is not None and isinstance(made, ChoosesStream):
                    made.expect(self._expected)
                driver = stack.enter_context(made)
                self._read_chunks(driver)
            except Exception as error:  # noqa: BLE001  raised later, or reported as the reason
                self._end(error)
            else:
                self._end(None)
            # The connection ends before the driver is left, which may take seconds.

    def _read_chunks(self, driver: Driver) -> None:
        self._connected(driver)
        if self._abandoned.is_set():
            return
        frozen = FrozenSignalDetector(driver.info, self._timeouts.frozen)
        # Asked once: to check for a protocol takes as long as all else that is done with a chunk.
        remarking = driver if isinstance(driver, HasRemarks) else None
        patient = driver if isinstance(driver, HasPatience) else None

        def take(chunk: Chunk) -> None:
            if self._abandoned.is_set():
                return
            if remarking is not None:
                self._remarks.extend(remarking.take_remarks())
            self._put(chunk, patient)
            if frozen.feed(chunk.data):
                raise StreamLost(
                    f"samples of {driver.info.name} that change",
                    f"the same sample for {self._timeouts.frozen:g} s",
                    "switch it off and on again",
                )

        if isinstance(driver, Paced):
            PACER.follow(driver, take)
            return
        for chunk in driver:
            if self._abandoned.is_set():
                return
            take(chunk)

    def _connected(self, driver: Driver) -> None:
        info = driver.info
        if self._expected is not None and not _is_same_stream(info, self._expected):
            raise WrongStream(
                f"the same stream again ({_describe_stream(self._expected)})",
                _describe_stream(info),
                "reconnect the first device, or open the new one as a source of its own",
            )
        with self._changed:
            self._info = info
            self._sfreq = info.sfreq
            self._driver = driver
            self._set_deadline(self._timeouts.first_sample, " of connecting")
            self._changed.notify_all()

    def _put(self, chunk: Chunk, patient: HasPatience | None) -> None:
        with self._changed:
            if chunk.n_times:
                self._set_deadline(self._timeouts.silence, " of the last one")
                patience = patient.patience if patient is not None else 0.0
                self._patience = max(0.0, patience - self._timeouts.silence)
            if self._hand_on(self, chunk):  # nobody is woken
                return
            self._chunks.append(chunk)
            self._queued += chunk.n_times
            while len(self._chunks) > 1 and self._queued > self._timeouts.queue * self._sfreq:
                self._drop()
            self._changed.notify_all()

    def _drop(self) -> None:
        """Drop the oldest chunk; the next one gets its markers."""
        oldest = self._chunks.popleft()
        self._queued -= oldest.n_times
        following = self._chunks[0]
        self._chunks[0] = replace(following, markers=oldest.markers + following.markers)

    def _set_deadline(self, within: float, since: str) -> None:
        self._deadline = time.monotonic() + within
        self._overdue = "sample", within, since

    def _end(self, error: Exception | None) -> None:
        with self._changed:
            self._over = True
            self.is_wrong = isinstance(error, WrongStream)
            if self._info is not None and isinstance(error, BadSource):
                self.final = error
            self._failure = error
            self.reason = "the samples ended" if error is None else _describe_error(error)
            self._changed.notify_all()


def _is_same_stream(found: StreamInfo, expected: StreamInfo) -> bool:
    """Return True if the channels are the same, and the rate, which may have been measured."""
    same_rate = abs(found.sfreq / expected.sfreq - 1) <= RATE_TOLERANCE
    return same_rate and found.ch_names == expected.ch_names


def _describe_stream(info: StreamInfo) -> str:
    return f"{info.sfreq:g} Hz of {','.join(info.ch_names)}"


def _describe_error(error: Exception) -> str:
    """Describe an error: a driver's by its text, any other with its type and place."""
    if isinstance(error, DriverError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
