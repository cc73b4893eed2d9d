"""Streams of the lab streaming layer: ``lsl://?type=EEG``, ``lsl://?name=..&source_id=..``.

Stamps come clock-corrected and monotonic from liblsl. Its dejittering is left off, because it does
not know gaps (a drop-out of 1 s leaves its stamps 988 ms wrong); our own clock finds them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from math import ceil
from types import TracebackType
from typing import Any, Self

import numpy as np

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Chunk, Samples, Seconds, StreamInfo
from mimamba.drivers.errors import BadSource, DeviceNotFound, StreamLost
from mimamba.drivers.lsl.description import ChannelDescription, read_description
from mimamba.drivers.lsl.discovery import (
    FOREIGN,
    OTHERS,
    find,
    liblsl,
    nothing_found,
    read_predicate,
    tell_others,
)
from mimamba.drivers.lsl.markers import MarkerBuffer, MarkerStreams
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.timing.sample_clock import SampleClock
from mimamba.drivers.url import SourceURL

POLL = 0.01
"""Pause between two looks for samples, s."""
BUFFER = 5
"""liblsl's own buffer, s. It hands out the oldest first, so a long one would hide a slow reader."""
FORMATS = {1: np.float32, 2: np.float64, 4: np.int32, 5: np.int16, 6: np.int8, 7: np.int64}
"""numpy's types for liblsl's numeric channel formats."""


class LSLDriver:
    """One LSL stream as a driver.

    Parameters
    ----------
    source
        Parameters: ``type`` (EEG where neither it nor ``predicate`` is given; empty for any),
        ``name``, ``source_id``, ``predicate`` (XPath, as liblsl takes it), ``timeout`` (for
        finding it, s), ``sfreq`` (where the stream does not say it), ``markers`` (the name of a
        marker stream, or 1 for all of type Markers), ``channels`` and ``names``.

    Raises
    ------
    BadSource
        If a parameter is wrong.
    """

    def __init__(self, source: SourceURL) -> None:
        if source.place:
            raise BadSource("lsl://?name=..", f"lsl://{source.place}", "put the name there")
        self._predicate = read_predicate(source)
        # A source_id names one stream: others are not waited for.
        self._others = 0.0 if source.text("source_id") else OTHERS
        self._timeout = source.number("timeout", 5.0, 0.1, 600.0)
        self._sfreq = source.number("sfreq", 0.0, 0.0, 100_000.0)
        self._choice = ChannelChoice.of(source)
        self._markers = MarkerStreams.of(source)
        self._closed = threading.Event()
        self._info: StreamInfo | None = None
        self._inlet: _Inlet | None = None
        self._rows: list[int] = []
        self._first: tuple[Seconds, Samples] | None = None

    @property
    def info(self) -> StreamInfo:
        if self._info is None:
            raise RuntimeError("an LSL stream's facts are known once the driver is entered")
        return self._info

    def __enter__(self) -> Self:
        """Find the stream and wait for its first samples.

        Raises
        ------
        DeviceNotFound
            If no stream matches, or it does not send.
        BadSource
            If it is of text, or irregular and ``sfreq`` is not given.
        BadChannels
            If the channels asked for are not there.
        LibraryMissing
            If liblsl does not load.
        """
        found = find(self._predicate, self._timeout, self._others)
        if not found:
            raise nothing_found(self._predicate)
        sfreq = self._rate(found[0])
        inlet = _Inlet(found[0], sfreq, self._timeout)
        picks = self._choice.pick(inlet.description.labels)
        self._first = inlet.first(self._closed)
        self._info = StreamInfo(
            name=inlet.name,
            source_id=f"lsl:{found[0].source_id() or inlet.name}",
            sfreq=sfreq,
            ch_names=picks.names,
            notices=inlet.notices + tell_others(found) + self._open_markers(),
        )
        self._rows = list(picks.rows)
        self._inlet = inlet
        return self

    def _open_markers(self) -> tuple[str, ...]:
        if self._markers is None or self._markers.open(OTHERS):
            return ()
        return ("No marker stream is there yet; it is taken once it comes.",)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if self._markers is not None:
            self._markers.close()
        self._inlet = None  # whose end disconnects

    def close(self) -> None:
        """End the iteration; leaving the context disconnects."""
        self._closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        clock, waiting = SampleClock(self.info.sfreq), MarkerBuffer(self.info.sfreq)
        try:
            while self._inlet is not None and not self._closed.wait(POLL):
                stamps, data = self._first or self._inlet.pull()
                self._first = None
                if self._markers is not None:  # after the samples, that none of these come late
                    waiting.add(self._markers.pull(self._inlet.offset))
                if len(stamps):
                    yield from map(waiting.attach, clock.push(stamps, data[:, self._rows]))
        except StreamLost:
            yield from map(waiting.attach, clock.flush())
            raise
        yield from map(waiting.attach, clock.flush())

    def _rate(self, stream: Any) -> float:
        """The sampling frequency, Hz; raises BadSource where the stream cannot be a signal."""
        name, rate = stream.name(), float(stream.nominal_srate())
        if stream.channel_format() not in FORMATS:
            raise BadSource("an LSL stream of numbers", f"{name}, of text", "choose another stream")
        if not rate and not self._sfreq:
            raise BadSource(
                "an LSL stream with a sampling rate",
                f"{name}, irregular",
                "if its samples come at an even pace after all, give it with sfreq=",
            )
        return self._sfreq or rate


class _Inlet:
    """A connection to a stream: its description, its samples in µV, stamps on the LSL clock."""

    def __init__(self, stream: Any, sfreq: float, timeout: float) -> None:
        lsl = liblsl()
        self.name = stream.name() or "LSL stream"
        self.offset = 0.0
        self._until = time.monotonic() + timeout
        seconds = BUFFER if stream.nominal_srate() else ceil(BUFFER * sfreq / 100)
        flags = lsl.proc_clocksync | lsl.proc_monotonize
        self._inlet = lsl.StreamInlet(
            stream, max_buflen=seconds, recover=False, processing_flags=flags
        )
        try:
            xml = self._inlet.info(timeout).as_xml()
            self._inlet.open_stream(timeout)
            self._inlet.time_correction(timeout)
        except (lsl.util.TimeoutError, lsl.util.LostError) as error:
            raise self._mute(str(error)) from error
        self.description: ChannelDescription = read_description(xml, stream.channel_count())
        self.notices = self.description.notices
        size = (round(BUFFER * sfreq) + 1, stream.channel_count())
        self._buffer = np.empty(size, FORMATS[stream.channel_format()])

    def first(self, closed: threading.Event) -> tuple[Seconds, Samples]:
        """Wait for the first samples, and see which clock stamped them."""
        while not closed.wait(POLL):
            stamps, data = self.pull()
            if len(stamps):
                return self._see_clock(stamps), data
            if time.monotonic() > self._until:
                raise self._mute("no sample came")
        raise self._mute("it was closed")

    def pull(self) -> tuple[Seconds, Samples]:
        """What came since the last call; raises StreamLost."""
        try:
            _, stamps = self._inlet.pull_chunk(
                timeout=0.0, max_samples=len(self._buffer), dest_obj=self._buffer
            )
        except liblsl().util.LostError as error:
            raise StreamLost(
                f"samples of the LSL stream {self.name}", str(error), "start its sender again"
            ) from error
        factors = np.array(self.description.factors)
        data = self._buffer[: len(stamps)] * factors
        return np.array(stamps, dtype=np.float64) + self.offset, data.astype(np.float32)

    def _see_clock(self, stamps: Seconds) -> Seconds:
        """Stamps of another clock are moved so that the newest sample is now."""
        ahead = float(stamps[-1]) - local_clock()
        if abs(ahead) > FOREIGN:
            unix = abs(float(stamps[-1]) - time.time()) < FOREIGN
            clock = "UNIX time" if unix else "another clock's"
            self.notices += (f"The stream's stamps are {clock}; they were moved to arrival.",)
            self.offset = -ahead
        return stamps + self.offset

    def _mute(self, found: str) -> DeviceNotFound:
        return DeviceNotFound(
            f"samples of the LSL stream {self.name}", found, "see that its sender is running"
        )
