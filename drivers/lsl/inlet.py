"""Connections to LSL signals, and the choice of the one that sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds
from mimamba.drivers.errors import DeviceNotFound, DriverError, StreamLost
from mimamba.drivers.lsl.description import read_description
from mimamba.drivers.lsl.discovery import load_pylsl
from mimamba.drivers.timing.clock import local_clock

POLL_SECONDS = 0.01
"""Pause between two reads, s."""
BUFFER_SECONDS = 360
"""Length of liblsl's buffers here and at the sender, s: samples wait there while a network stalls.
The driver reads them at once, so that they hide no slow reader."""
UNKNOWN_RATE = 1000.0
"""Rate, Hz, for which the buffers are large enough if the stream does not declare one."""
READ_SECONDS = 5
"""Length of one read, s."""
GRACE_SECONDS = 0.3
"""Time for a stream of higher rank to send, after another one has, s."""
MAX_CANDIDATES = 8
"""Largest number of streams that are tried."""
FORMATS = {1: np.float32, 2: np.float64, 4: np.int32, 5: np.int16, 6: np.int8, 7: np.int64}
"""numpy's types for liblsl's numeric channel formats."""


@dataclass(frozen=True, eq=False)
class Arrival:
    """Samples that were read at once.

    Parameters
    ----------
    now
        Time of reading, s on the LSL clock.
    stamps
        (n_times,), s, from the sender, corrected for the offset of its machine's clock.
    data
        (n_times, n_channels), as sent.
    """

    now: float
    stamps: Seconds
    data: NDArray[np.float64]


class SignalInlet:
    """A connection to a stream of numbers.

    liblsl corrects the stamps for the other machine's clock. Its dejittering is off, because it
    does not handle gaps (a drop-out of 1 s leaves its stamps 988 ms wrong). So is its monotonizing:
    after a step back of an hour it repeats one stamp for an hour.

    Parameters
    ----------
    stream
        Stream that was found.
    timeout
        Time for its sender to answer, s.

    Raises
    ------
    DeviceNotFound
        If the sender does not answer.
    """

    def __init__(self, stream: Any, timeout: float) -> None:
        lsl = load_pylsl()
        self.stream = stream
        self.name: str = stream.name() or "LSL stream"
        declared = float(stream.nominal_srate())
        rate = declared or UNKNOWN_RATE
        seconds = BUFFER_SECONDS if declared else ceil(BUFFER_SECONDS * rate / 100)
        # It does not recover by itself: it could connect to another device of the same source_id.
        self._inlet = lsl.StreamInlet(
            stream, max_buflen=seconds, recover=False, processing_flags=lsl.proc_clocksync
        )
        try:
            xml = self._inlet.info(timeout).as_xml()
            self._inlet.open_stream(timeout)
            self._inlet.time_correction(timeout)
        except (lsl.util.TimeoutError, lsl.util.LostError) as error:
            raise no_samples(self.name, str(error).rstrip(".")) from error
        self.description = read_description(xml, stream.channel_count())
        size = (round(READ_SECONDS * rate) + 1, stream.channel_count())
        self._buffer = np.empty(size, FORMATS[stream.channel_format()])

    def pull(self) -> Arrival:
        """Return what has arrived since the last call; raises StreamLost if liblsl gives up."""
        stamps: list[float] = []
        parts: list[NDArray[np.float64]] = []
        while True:
            some = self._pull_some()
            stamps += some
            parts.append(self._buffer[: len(some)].astype(np.float64))
            if len(some) < len(self._buffer):
                return Arrival(local_clock(), np.array(stamps, np.float64), np.concatenate(parts))

    def _pull_some(self) -> list[float]:
        try:
            _, stamps = self._inlet.pull_chunk(
                timeout=0.0, max_samples=len(self._buffer), dest_obj=self._buffer
            )
        except load_pylsl().util.LostError as error:
            raise StreamLost(
                f"samples of the LSL stream {self.name}",
                str(error).rstrip("."),
                "restart its sender",
            ) from error
        found: list[float] = stamps
        return found


def no_samples(name: str, found: str) -> DeviceNotFound:
    """Return the error for a stream that does not send."""
    return DeviceNotFound(
        f"samples of the LSL stream {name}", found, "check that its sender is running"
    )


class SendingStream:
    """The first of several streams that sends: twins may be told apart by nothing else.

    Parameters
    ----------
    streams
        Streams that were found, best first.
    timeout
        Time for the first samples, s.
    accept
        Function that raises DriverError for a stream that will not do.
    closed
        Event that ends the waiting.
    """

    def __init__(
        self,
        streams: Sequence[Any],
        timeout: float,
        accept: Callable[[SignalInlet], object],
        closed: threading.Event,
    ) -> None:
        self._streams = streams[:MAX_CANDIDATES]
        self._timeout = timeout
        self._accept = accept
        self._closed = closed
        self._lock = threading.Lock()
        self._over = False
        self._open: dict[int, SignalInlet] = {}
        self._failures: dict[int, DriverError] = {}

    def wait(self) -> tuple[SignalInlet, list[Arrival]]:
        """Wait for the first samples; return their inlet.

        Raises
        ------
        DeviceNotFound
            If no stream sends.
        DriverError
            Raised by ``accept``, if no stream will do.
        """
        until = time.monotonic() + self._timeout
        for rank in range(len(self._streams)):
            if len(self._streams) == 1:
                self._connect(rank)
            else:
                threading.Thread(target=self._connect, args=(rank,), daemon=True).start()
        found: dict[int, list[Arrival]] = {}
        while not self._closed.wait(POLL_SECONDS) and time.monotonic() < until:
            self._pull(found)
            if found and min(found) == 0:
                break
            if found:  # a stream of higher rank gets a last chance
                until = min(until, time.monotonic() + GRACE_SECONDS)
            if len(self._failures) == len(self._streams):
                break
        if not found:
            self._give_up()
        return self._choose(found)

    def _connect(self, rank: int) -> None:
        """Connect to one stream; too late, its connection is dropped."""
        try:
            inlet = SignalInlet(self._streams[rank], self._timeout)
            self._accept(inlet)
        except DriverError as error:
            with self._lock:
                self._failures[rank] = error
            return
        with self._lock:
            if not self._over:
                self._open[rank] = inlet

    def _pull(self, found: dict[int, list[Arrival]]) -> None:
        with self._lock:
            candidates = list(self._open.items())
        for rank, inlet in candidates:
            try:
                arrival = inlet.pull()
            except StreamLost as error:
                with self._lock:
                    self._failures[rank] = error
                    self._open.pop(rank)
                found.pop(rank, None)
                continue
            if len(arrival.stamps):
                found.setdefault(rank, []).append(arrival)

    def _choose(self, found: dict[int, list[Arrival]]) -> tuple[SignalInlet, list[Arrival]]:
        rank = min(found)
        with self._lock:
            self._over = True
            inlet = self._open[rank]
            self._open.clear()
        return inlet, found[rank]

    def _give_up(self) -> NoReturn:
        with self._lock:
            self._over = True
            self._open.clear()
        names = ", ".join(dict.fromkeys(stream.name() for stream in self._streams))
        if self._closed.is_set():
            raise no_samples(names, "a driver that was closed")
        if len(self._failures) == len(self._streams):
            raise self._failures[0]
        raise no_samples(names, "none")
