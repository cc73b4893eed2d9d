"""LSL streams as a source: ``lsl://?type=EEG``, ``lsl://?name=..&source_id=..``.

A stream's declaration is compared with its stamps (``drivers.lsl.stream_check``). ``LiveStamps``
follows a clock that is set, and ``SampleClock`` evens the stamps out and finds gaps. Samples that a
stalled network holds back come later, with their own stamps.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Self

import numpy as np

from mimamba.drivers.channels import ChannelChoice, ChannelSelection
from mimamba.drivers.driver import Chunk, Samples, Seconds, StreamInfo
from mimamba.drivers.errors import (
    BadChannels,
    BadSource,
    DeviceNotFound,
    DriverError,
    StreamLost,
    WrongStream,
)
from mimamba.drivers.lsl.discovery import EXTRA_SECONDS, StreamQuery, other_streams_notice
from mimamba.drivers.lsl.inlet import FORMATS, POLL_SECONDS, Arrival, SendingStream, SignalInlet
from mimamba.drivers.lsl.markers import CONNECT_TIMEOUT, MarkerBuffer, MarkerStreams
from mimamba.drivers.lsl.stream_check import MEASURE_SECONDS, CheckedStream, check_stream
from mimamba.drivers.timing.live_stamps import LiveStamps
from mimamba.drivers.timing.rate_watch import RateWatch
from mimamba.drivers.timing.sample_clock import SampleClock
from mimamba.drivers.url import SourceURL

PATIENCE = 60.0
"""Silence, s, after which a new connection may find what liblsl does not."""
TWIN_SECONDS = 1.5
"""Silence, s, after which other streams of the same source_id are looked for."""


class LSLDriver:
    """One LSL stream as a driver.

    Parameters
    ----------
    source
        URL. Parameters: ``type`` (in any case; default EEG if there is no ``predicate``; empty for
        any), ``name``, ``source_id``, ``hostname``, ``uid``, ``stream`` (any of these four, or a
        number among the streams that match), ``predicate`` (XPath, for liblsl), ``timeout`` (for
        finding the stream, s), ``sfreq`` (Hz, instead of the declared or measured rate),
        ``markers`` (the name of a marker stream, or 1 for all), ``channels`` and ``names``.
    measure
        Signal from which a rate is measured if it is not declared, or is in doubt, s.
    others
        Time to find further streams after the first one, s.
    marker_timeout
        Time for a marker stream to answer, s; then it is tried again.

    Raises
    ------
    BadSource
        If a parameter is wrong.
    """

    def __init__(
        self,
        source: SourceURL,
        *,
        measure: float = MEASURE_SECONDS,
        others: float = EXTRA_SECONDS,
        marker_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        if source.target:
            raise BadSource(
                "lsl://?name=..", f"lsl://{source.target}", "write the name as a parameter"
            )
        self._query = StreamQuery.from_url(source)
        # A source_id should identify one stream: at first there is no need to wait for others.
        self._unique = source.text("source_id") is not None and self._query.named is None
        self._timeout = source.number("timeout", 5.0, 0.1, 600.0)
        self._sfreq = source.number("sfreq", 0.0, 0.0, 100_000.0)
        self._choice = ChannelChoice.from_url(source)
        self._measure, self._others = measure, others
        self._markers = MarkerStreams.from_url(source, marker_timeout)
        self._closed = threading.Event()
        self._open: _OpenStream | None = None
        self._expected: StreamInfo | None = None

    def expect(self, info: StreamInfo) -> None:
        """Take only a stream with these channels: others may have the same source_id."""
        self._expected = info

    @property
    def info(self) -> StreamInfo:
        if self._open is None:
            raise RuntimeError("enter the driver before using it")
        return self._open.info

    @property
    def patience(self) -> float:
        """Silence, s, during which liblsl may still deliver what the network holds back."""
        return PATIENCE

    def take_remarks(self) -> tuple[str, ...]:
        """Return remarks about the stream since the last call, a phrase each."""
        if self._open is None:
            return ()
        markers = self._markers.take_remarks() if self._markers else ()
        return self._open.stamps.take_remarks() + markers

    def __enter__(self) -> Self:
        """Find the stream, wait for its first samples, and check its stamps and rate.

        Raises
        ------
        DeviceNotFound
            If no stream matches, or none sends samples.
        BadSource
            If the stream is text, or has neither a rate nor even stamps, without ``sfreq``.
        BadChannels
            If a channel asked for does not exist.
        LibraryMissing
            If liblsl does not load.
        """
        try:
            # Meanwhile, so that no marker is missed.
            with ThreadPoolExecutor(1, "marker streams") as pool:
                markers = pool.submit(self._open_markers)
                self._open = self._open_signal()
            notices = self._open.info.notices + markers.result()
            self._open.info = replace(self._open.info, notices=notices)
        except BaseException:
            if self._markers is not None:
                self._markers.close()
            self._open = None
            raise
        return self

    def _open_signal(self) -> _OpenStream:
        found = self._query.find(self._timeout, 0.0 if self._unique else self._others)
        found, inlet, arrivals = self._connect(found)
        picks = self._select(inlet)
        checked = check_stream(inlet, arrivals, self._sfreq, self._closed, self._measure)
        stamps = LiveStamps(checked.sfreq, inlet.name, checked.scale, checked.by_arrival)
        # The first stamps show if they are of another clock.
        times = stamps.push(arrivals[0].stamps, arrivals[0].now)
        info = StreamInfo(
            name=inlet.name,
            source_id=f"lsl:{inlet.stream.source_id() or inlet.name}",
            sfreq=checked.sfreq,
            ch_names=picks.names,
            notices=(
                *inlet.description.notices_about(picks.rows, self._choice.channels is not None),
                *checked.notices,
                *stamps.notices,
                *other_streams_notice(found, inlet.stream),
            ),
        )
        return _OpenStream(inlet, info, picks, checked, stamps, times, bool(self._sfreq))

    def _connect(self, found: list[Any]) -> tuple[list[Any], SignalInlet, list[Arrival]]:
        """Connect to the first of the streams that sends; return all, too."""
        signals = [stream for stream in found if stream.channel_format() in FORMATS]
        if not signals:
            raise BadSource(
                "an LSL stream of numbers",
                f"{found[0].name()}, a stream of text",
                "choose another stream",
            )
        # Another stream may have the same name or source_id, and may answer the search late.
        until, patience, rejected = time.monotonic() + self._timeout, TWIN_SECONDS, False
        while time.monotonic() + patience < until:
            try:
                return signals, *self._first_sending(signals, patience)
            except DeviceNotFound:  # none sends
                if self._closed.is_set():
                    raise
            except DriverError:  # none of these will do
                if rejected or not self._unique or len(signals) > 1:
                    raise
                rejected = True
            patience *= 2
            with contextlib.suppress(DeviceNotFound):
                found = self._query.find(TWIN_SECONDS, self._others)
                signals = [each for each in found if each.channel_format() in FORMATS] or signals
        return signals, *self._first_sending(signals, max(until - time.monotonic(), TWIN_SECONDS))

    def _first_sending(
        self, streams: list[Any], timeout: float
    ) -> tuple[SignalInlet, list[Arrival]]:
        return SendingStream(streams, timeout, self._select, self._closed).wait()

    def _select(self, inlet: SignalInlet) -> ChannelSelection:
        """Select the channels asked for, else the EEG; raises BadChannels or WrongStream."""
        described = inlet.description
        if self._choice.channels is None and not described.eeg.rows:
            raise BadChannels(
                f"EEG among the channels of the LSL stream {inlet.name}",
                f"none among {', '.join(described.labels)}",
                "select channels with channels=",
            )
        channels = self._choice.channels or described.eeg_labels
        picks = ChannelChoice(channels, self._choice.names).select(described.labels)
        if self._expected is not None and picks.names != self._expected.ch_names:
            raise WrongStream(
                f"the same stream again ({', '.join(self._expected.ch_names)})",
                f"{inlet.name} with {', '.join(picks.names)}",
                "reconnect the first device, or open the new one as a source of its own",
            )
        return picks

    def _open_markers(self) -> tuple[str, ...]:
        if self._markers is None:
            return ()
        if self._markers.open(self._others):
            return self._markers.notices
        missing = "There is no marker stream yet; it is used once it appears."
        return (missing, *self._markers.notices)

    def __exit__(self, *exc: object) -> None:
        self.close()
        if self._markers is not None:
            self._markers.close()
        self._open = None  # disconnects

    def close(self) -> None:
        """End the iteration; leaving the context disconnects."""
        self._closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        stream = self._open
        if stream is None:
            if self._closed.is_set():
                return
            raise RuntimeError("enter the driver before iterating over it")
        clock, waiting = SampleClock(stream.info.sfreq), MarkerBuffer(stream.info.sfreq)
        try:
            for arrival in self._arrivals(stream):
                times = stream.times_of(arrival)
                if self._markers is not None:  # after the samples, so that no marker is late
                    waiting.add(self._markers.pull(stream.stamps.translate))
                yield from map(waiting.attach, clock.push(times, stream.microvolts(arrival)))
        except StreamLost:
            yield from map(waiting.attach, clock.flush())
            raise
        yield from map(waiting.attach, clock.flush())

    def _arrivals(self, stream: _OpenStream) -> Iterator[Arrival]:
        """Yield the samples of the check, and then what arrives until closed."""
        while stream.checked.arrivals and not self._closed.is_set():
            yield stream.checked.arrivals.pop(0)
        while not self._closed.wait(POLL_SECONDS):
            arrival = stream.inlet.pull()
            if len(arrival.stamps):
                yield arrival


class _OpenStream:
    """A stream in use: its connection, facts, channels and clock."""

    def __init__(
        self,
        inlet: SignalInlet,
        info: StreamInfo,
        picks: ChannelSelection,
        checked: CheckedStream,
        stamps: LiveStamps,
        first: Seconds,
        given: bool,
    ) -> None:
        self.inlet = inlet
        self.info = info
        self.checked = checked
        self.stamps = stamps
        self._rows = list(picks.rows)
        self._factors = np.array(inlet.description.factors)[self._rows]
        self._first: Seconds | None = first
        watched = not (given or checked.by_arrival)
        self._rate = RateWatch(info.sfreq, f"the LSL stream {inlet.name}") if watched else None

    def times_of(self, arrival: Arrival) -> Seconds:
        """Return the times of samples, those of the first ones as they were; raises BadSource."""
        first, self._first = self._first, None
        times = self.stamps.push(arrival.stamps, arrival.now) if first is None else first
        if self._rate is not None:
            self._rate.push(times)
        return times

    def microvolts(self, arrival: Arrival) -> Samples:
        """Return the samples of the selected channels, µV."""
        with np.errstate(all="ignore"):  # values may be damaged
            data: Samples = (arrival.data[:, self._rows] * self._factors).astype(np.float32)
        return data
