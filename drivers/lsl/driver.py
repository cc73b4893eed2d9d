"""LSL streams as a source: ``lsl://?type=EEG``, ``lsl://?name=..&source_id=..``.

liblsl corrects the stamps' clock and makes them monotonic. Its dejittering is off, because it does
not handle gaps (a drop-out of 1 s leaves its stamps 988 ms wrong); ``SampleClock`` does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from math import ceil
from typing import Any, Self

import numpy as np

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Chunk, Samples, Seconds, StreamInfo
from mimamba.drivers.errors import BadSource, DeviceNotFound, StreamLost
from mimamba.drivers.lsl.description import ChannelDescription, read_description
from mimamba.drivers.lsl.discovery import (
    EXTRA_SECONDS,
    FOREIGN_CLOCK,
    build_predicate,
    load_pylsl,
    no_stream_error,
    other_streams_notice,
    resolve_streams,
)
from mimamba.drivers.lsl.markers import MarkerBuffer, MarkerStreams
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.timing.sample_clock import SampleClock
from mimamba.drivers.url import SourceURL

POLL_SECONDS = 0.01
"""Pause between two reads, s."""
BUFFER_SECONDS = 5
"""Length of liblsl's own buffer, s. A long one would hide a slow reader."""
FORMATS = {1: np.float32, 2: np.float64, 4: np.int32, 5: np.int16, 6: np.int8, 7: np.int64}
"""numpy's types for liblsl's numeric channel formats."""


class LSLDriver:
    """One LSL stream as a driver.

    Parameters
    ----------
    source
        URL. Parameters: ``type`` (default EEG if there is no ``predicate``; empty for any),
        ``name``, ``source_id``, ``predicate`` (XPath, for liblsl), ``timeout`` (for finding the
        stream, s), ``sfreq`` (Hz, for an irregular stream), ``markers`` (the name of a marker
        stream, or 1 for all of type Markers), ``channels`` and ``names``.

    Raises
    ------
    BadSource
        If a parameter is wrong.
    """

    def __init__(self, source: SourceURL) -> None:
        if source.target:
            raise BadSource(
                "lsl://?name=..", f"lsl://{source.target}", "write the name as a parameter"
            )
        self._predicate = build_predicate(source)
        # A source_id identifies one stream: there is no need to wait for others.
        self._others = 0.0 if source.text("source_id") else EXTRA_SECONDS
        self._timeout = source.number("timeout", 5.0, 0.1, 600.0)
        self._sfreq = source.number("sfreq", 0.0, 0.0, 100_000.0)
        self._choice = ChannelChoice.from_url(source)
        self._markers = MarkerStreams.from_url(source)
        self._closed = threading.Event()
        self._info: StreamInfo | None = None
        self._inlet: _SignalInlet | None = None
        self._rows: list[int] = []
        self._first: tuple[Seconds, Samples] | None = None

    @property
    def info(self) -> StreamInfo:
        if self._info is None:
            raise RuntimeError("enter the driver before using it")
        return self._info

    def __enter__(self) -> Self:
        """Find the stream and wait for its first samples.

        Raises
        ------
        DeviceNotFound
            If no stream matches, or the stream sends no samples.
        BadSource
            If the stream is text, or irregular without ``sfreq``.
        BadChannels
            If a channel asked for does not exist.
        LibraryMissing
            If liblsl does not load.
        """
        found = resolve_streams(self._predicate, self._timeout, self._others)
        if not found:
            raise no_stream_error(self._predicate)
        sfreq = self._rate(found[0])
        inlet = _SignalInlet(found[0], sfreq, self._timeout)
        picks = self._choice.select(inlet.description.labels)
        self._first = inlet.first(self._closed)
        self._info = StreamInfo(
            name=inlet.name,
            source_id=f"lsl:{found[0].source_id() or inlet.name}",
            sfreq=sfreq,
            ch_names=picks.names,
            notices=inlet.notices + other_streams_notice(found) + self._open_markers(),
        )
        self._rows = list(picks.rows)
        self._inlet = inlet
        return self

    def _open_markers(self) -> tuple[str, ...]:
        if self._markers is None or self._markers.open(EXTRA_SECONDS):
            return ()
        return ("There is no marker stream yet; it is used once it appears.",)

    def __exit__(self, *exc: object) -> None:
        self.close()
        if self._markers is not None:
            self._markers.close()
        self._inlet = None  # disconnects

    def close(self) -> None:
        """End the iteration; leaving the context disconnects."""
        self._closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        clock, waiting = SampleClock(self.info.sfreq), MarkerBuffer(self.info.sfreq)
        try:
            while self._inlet is not None and not self._closed.wait(POLL_SECONDS):
                stamps, data = self._first or self._inlet.pull()
                self._first = None
                if self._markers is not None:  # after the samples, so that no marker is late
                    waiting.add(self._markers.pull(self._inlet.offset))
                if len(stamps):
                    yield from map(waiting.attach, clock.push(stamps, data[:, self._rows]))
        except StreamLost:
            yield from map(waiting.attach, clock.flush())
            raise
        yield from map(waiting.attach, clock.flush())

    def _rate(self, stream: Any) -> float:
        """Return the sampling frequency, Hz; raises BadSource if the stream cannot be a signal."""
        name, rate = stream.name(), float(stream.nominal_srate())
        if stream.channel_format() not in FORMATS:
            raise BadSource(
                "an LSL stream of numbers", f"{name}, a stream of text", "choose another stream"
            )
        if not rate and not self._sfreq:
            raise BadSource(
                "an LSL stream with a sampling rate",
                f"{name}, which is irregular",
                "add sfreq= if its samples come at a regular rate",
            )
        return self._sfreq or rate


class _SignalInlet:
    """A connection to a stream: description, samples in µV, stamps on the LSL clock."""

    def __init__(self, stream: Any, sfreq: float, timeout: float) -> None:
        lsl = load_pylsl()
        self.name = stream.name() or "LSL stream"
        self.offset = 0.0
        self._until = time.monotonic() + timeout
        seconds = BUFFER_SECONDS if stream.nominal_srate() else ceil(BUFFER_SECONDS * sfreq / 100)
        flags = lsl.proc_clocksync | lsl.proc_monotonize
        self._inlet = lsl.StreamInlet(
            stream, max_buflen=seconds, recover=False, processing_flags=flags
        )
        try:
            xml = self._inlet.info(timeout).as_xml()
            self._inlet.open_stream(timeout)
            self._inlet.time_correction(timeout)
        except (lsl.util.TimeoutError, lsl.util.LostError) as error:
            raise self._no_samples(str(error)) from error
        self.description: ChannelDescription = read_description(xml, stream.channel_count())
        self.notices = self.description.notices
        size = (round(BUFFER_SECONDS * sfreq) + 1, stream.channel_count())
        self._buffer = np.empty(size, FORMATS[stream.channel_format()])

    def first(self, closed: threading.Event) -> tuple[Seconds, Samples]:
        """Wait for the first samples, and check the clock of their stamps."""
        while not closed.wait(POLL_SECONDS):
            stamps, data = self.pull()
            if len(stamps):
                return self._check_clock(stamps), data
            if time.monotonic() > self._until:
                raise self._no_samples("none")
        raise self._no_samples("a driver that was closed")

    def pull(self) -> tuple[Seconds, Samples]:
        """Return what has arrived since the last call; raises StreamLost."""
        try:
            _, stamps = self._inlet.pull_chunk(
                timeout=0.0, max_samples=len(self._buffer), dest_obj=self._buffer
            )
        except load_pylsl().util.LostError as error:
            raise StreamLost(
                f"samples of the LSL stream {self.name}", str(error), "restart its sender"
            ) from error
        factors = np.array(self.description.factors)
        data = self._buffer[: len(stamps)] * factors
        return np.array(stamps, dtype=np.float64) + self.offset, data.astype(np.float32)

    def _check_clock(self, stamps: Seconds) -> Seconds:
        """Move stamps of another clock so that the newest sample is now."""
        ahead = float(stamps[-1]) - local_clock()
        if abs(ahead) > FOREIGN_CLOCK:
            unix = abs(float(stamps[-1]) - time.time()) < FOREIGN_CLOCK
            clock = "UNIX time" if unix else "another clock's"
            self.notices += (f"The stream's stamps are {clock}; the time of arrival is used.",)
            self.offset = -ahead
        return stamps + self.offset

    def _no_samples(self, found: str) -> DeviceNotFound:
        return DeviceNotFound(
            f"samples of the LSL stream {self.name}", found, "check that its sender is running"
        )
