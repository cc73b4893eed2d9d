"""One connection to a live source: a driver that a thread of its own enters, reads and leaves."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from mimamba.drivers.driver import Chunk, Driver, Powered, StreamInfo
from mimamba.drivers.errors import DriverError, StreamLost
from mimamba.drivers.supervision.frozen_signal import FrozenSignalDetector


@dataclass(frozen=True)
class Timeouts:
    """How long the supervisor waits for what, seconds.

    Parameters
    ----------
    silence
        Without a sample for this long, a link counts as lost.
    first_sample
        The same, right after connecting: headsets take a while to start.
    connecting
        A reconnecting attempt that hangs is given up. (The first connection has no limit but the
        driver's own.)
    still
        The same sample, to the last bit in every channel, for this long is a lost link, too.
    leaving
        A new attempt, or the end, waits this long for the old driver to let its device go:
        BrainFlow sleeps about 4 s there for Bluetooth headsets.
    backoff
        Pause before the first attempt; it doubles with each failure ...
    longest_backoff
        ... up to this.
    held
        Samples kept for a slow reader; beyond it the oldest are dropped, and ``first`` jumps.
    """

    silence: float = 2.0
    first_sample: float = 5.0
    connecting: float = 60.0
    still: float = 2.0
    leaving: float = 5.0
    backoff: float = 0.5
    longest_backoff: float = 30.0
    held: float = 30.0


class DeviceConnection:
    """A connection that is read into a bounded queue, for one reader.

    Parameters
    ----------
    connect
        Makes the driver; called in the link's thread.
    changed
        Notified of everything that happens.
    patience
        The times.
    expected
        The stream that it has to be, if it is a reconnection.

    Attributes
    ----------
    left
        Whether the driver has been left.
    reason
        Why ``take`` gave None.
    """

    def __init__(
        self,
        connect: Callable[[], Driver],
        changed: threading.Condition,
        patience: Timeouts,
        expected: StreamInfo | None,
    ) -> None:
        self.left = False
        self.reason = "the link was closed"
        self._connect = connect
        self._changed = changed
        self._patience = patience
        self._expected = expected
        self._driver: Driver | None = None
        self._info: StreamInfo | None = None
        self._failure: Exception | None = None
        self._over = False
        self._abandoned = threading.Event()
        self._chunks: deque[Chunk] = deque()
        self._held = 0  # samples in the queue
        self._sfreq = 0.0
        self._deadline = time.monotonic() + patience.connecting
        self._overdue = f"no connection within {patience.connecting:g} s"
        self._threads = [threading.Thread(target=self._run, name="live driver", daemon=True)]
        self._threads[0].start()

    @property
    def battery(self) -> float | None:
        """The driver's, where it has one."""
        return self._driver.battery if isinstance(self._driver, Powered) else None

    def connected(self) -> StreamInfo:
        """Wait for the connection; raises what the driver raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._info or self._over or self._abandoned.is_set())
            if self._info is not None and not self._abandoned.is_set():
                return self._info
            if self._failure is not None:
                raise self._failure
            raise StreamLost("a connection", "it was closed while connecting", "open it again")

    def take(self) -> Chunk | None:
        """Wait for the next chunk; None when the link is over, silent or abandoned."""
        with self._changed:
            while not (self._chunks or self._over or self._abandoned.is_set()):
                rest = self._deadline - time.monotonic()
                if rest <= 0:
                    self.reason = self._overdue
                    return None
                self._changed.wait(rest)
            if self._abandoned.is_set() or not self._chunks:
                return None
            chunk = self._chunks.popleft()
            self._held -= chunk.n_times
            return chunk

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
        """Wait for the threads until a time of ``time.monotonic``."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        """The reader thread. What goes wrong in leaving ends in ``threading.excepthook``."""
        try:
            self._read()
        finally:
            with self._changed:
                self.left = True
                self._changed.notify_all()

    def _read(self) -> None:
        with ExitStack() as stack:
            try:
                driver = stack.enter_context(self._connect())
                self._pull(driver)
            except Exception as error:  # noqa: BLE001  not swallowed: raised or told as the reason
                self._end(error)
            else:
                self._end(None)
            # The link ends before the driver is left, which may take seconds.

    def _pull(self, driver: Driver) -> None:
        self._begin(driver)
        if self._abandoned.is_set():
            return
        stillness = FrozenSignalDetector(driver.info, self._patience.still)
        for chunk in driver:
            if self._abandoned.is_set():
                return
            self._put(chunk)
            if stillness.feed(chunk.data):
                raise StreamLost(
                    f"samples of {driver.info.name} that change",
                    f"the same sample for {self._patience.still:g} s",
                    "switch it off and on again",
                )

    def _begin(self, driver: Driver) -> None:
        info = driver.info
        if self._expected is not None:
            _check(info, self._expected)
        with self._changed:
            self._info = info
            self._sfreq = info.sfreq
            self._driver = driver
            self._expect(self._patience.first_sample, "of connecting")
            self._changed.notify_all()

    def _put(self, chunk: Chunk) -> None:
        with self._changed:
            self._chunks.append(chunk)
            self._held += chunk.n_times
            while len(self._chunks) > 1 and self._held > self._patience.held * self._sfreq:
                self._drop()
            if chunk.n_times:
                self._expect(self._patience.silence, "of the last one")
            self._changed.notify_all()

    def _drop(self) -> None:
        """Lose the oldest chunk to a slow reader; its markers go on with the next one."""
        oldest = self._chunks.popleft()
        self._held -= oldest.n_times
        following = self._chunks[0]
        self._chunks[0] = replace(following, markers=oldest.markers + following.markers)

    def _expect(self, within: float, since: str) -> None:
        self._deadline = time.monotonic() + within
        self._overdue = f"no sample within {within:g} s {since}"

    def _end(self, error: Exception | None) -> None:
        with self._changed:
            self._over = True
            self._failure = error
            self.reason = "the driver's samples ended" if error is None else _describe(error)
            self._changed.notify_all()


def _check(found: StreamInfo, expected: StreamInfo) -> None:
    """Raises StreamLost where the device came back as another one."""
    if (found.sfreq, found.ch_names) != (expected.sfreq, expected.ch_names):
        raise StreamLost(
            f"the same stream again ({_signature(expected)})",
            _signature(found),
            "bring the first device back, or open the new one by itself",
        )


def _signature(info: StreamInfo) -> str:
    return f"{info.sfreq:g} Hz of {','.join(info.ch_names)}"


def _describe(error: Exception) -> str:
    """A driver's error in its words; any other with its type and where it was raised."""
    if isinstance(error, DriverError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
