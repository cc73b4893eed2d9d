"""The simulated headset as a source: ``simulate://?scenario=tour&seed=0``.

Parameters
----------
scenario    tour (default), calm, random, artefacts, poor or wearer: see
            ``drivers.simulator.scenario``
seed        seed of the person and of all random draws, an integer (default 0)
sfreq       Hz, 100 to 1000 (default 256)
mains       frequency of the mains hum, Hz: 50 (default), 60, or 0 for none
channels    selection of TP9, AF7, AF8, TP10, by name or by number from 1
names       names for the channels
loss        ``loss=10,0.5``: every 10 s, the samples of 0.5 s are lost (2 s or more count as a
            lost connection)
sensors     ``sensors=1``: pulse, motion and battery, too, like a Muse 2's
dead        ``dead=30``: after 30 s of samples the connection is dead, without an error
effect      of a wearer: alpha power in the first of a calibration's two states, dB above that in
            the second one (default 6)
muscle      of a wearer: power of the forehead's muscles above 20 Hz in the second state, dB above
            that in the first one (default 0)
drift       of a wearer: rise of alpha power in ten minutes, whatever the state, dB (default 0)

Samples come like a Muse's, 12 at a time at 256 Hz, in real time. A reader that was delayed gets the
backlog in chunks of up to 1 s. A backlog over 5 s is lost except for its newest packet, and shows
as a jump of ``first``. The script's targets and faults come as markers.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import (
    AUXILIARY_SECONDS,
    AuxiliaryChunk,
    Chunk,
    Marker,
    Samples,
    Seconds,
    StreamInfo,
)
from mimamba.drivers.errors import BadSource
from mimamba.drivers.runtime.compute_lock import COMPUTE_LOCK
from mimamba.drivers.simulator.scenario import NOTICE, SCENARIOS, ScriptEvent
from mimamba.drivers.simulator.sensors import SimulatedSensors
from mimamba.drivers.simulator.synthesis import CH_NAMES, RANGE_UV, UV_PER_BIT, Synthesizer
from mimamba.drivers.simulator.wearer import Wearer
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import SourceURL

PACKET_SECONDS = 12 / 256
BACKLOG_SECONDS = 1.0
LONGEST_SLEEP = 0.2
"""Seconds after which a closed driver ends, at the latest."""
BUFFER_SECONDS = 5.0
"""Signal that the simulated headset keeps for a slow reader, s."""
MAX_SECONDS = 86_400.0
STAMPS = 4096
"""Timestamps that are made together."""
LOOKAHEAD_SECONDS = 4.0
"""Length of the script that is read ahead: to read it for each chunk doubled the chunk's cost."""


@dataclass(frozen=True)
class DropOuts:
    """Samples that are lost, as numbers of samples.

    Lost are ``length`` samples from each multiple of ``period`` on (except 0), and all samples from
    ``dead`` on.
    """

    period: int | None = None
    length: int = 0
    dead: int | None = None

    @classmethod
    def from_url(cls, source: SourceURL, sfreq: float) -> DropOuts:
        """Read ``loss`` and ``dead`` from a source's URL; raises BadSource."""
        dead = source.number("dead", math.inf, 0.0, MAX_SECONDS)
        period, length = _parse_loss(source.text("loss"), sfreq)
        return cls(period, length, None if dead == math.inf else round(dead * sfreq))

    def next_present(self, index: int) -> int | None:
        """Return the first sample from ``index`` on that is not lost; None if all are."""
        if self.period is not None and index >= self.period and index % self.period < self.length:
            index += self.length - index % self.period
        return None if self.dead is not None and index >= self.dead else index

    def lost(self, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the samples (n,) that are lost."""
        marked = np.zeros(len(index), np.bool_)
        if self.period is not None:
            marked |= (index >= self.period) & (index % self.period < self.length)
        if self.dead is not None:
            marked |= index >= self.dead
        return marked

    def next_break(self, index: int, stop: int) -> int:
        """Return the end of the samples from ``index`` on without a loss, at most ``stop``."""
        if self.period is not None:
            stop = min(stop, (index // self.period + 1) * self.period)
        return stop if self.dead is None else min(stop, self.dead)


def _parse_loss(text: str | None, sfreq: float) -> tuple[int | None, int]:
    """Parse ``loss=PERIOD,SECONDS``; return both in samples."""
    if text is None:
        return None, 0
    try:
        period, length = (float(part) for part in text.split(","))
    except ValueError:
        period = length = math.nan
    if 0.0 < length < period <= MAX_SECONDS and 1 <= round(length * sfreq) < round(period * sfreq):
        return round(period * sfreq), round(length * sfreq)
    raise BadSource(
        "loss=PERIOD,SECONDS with fewer seconds lost than the period has",
        f"loss={text}",
        "write, for example, loss=10,0.5",
    )


@dataclass(frozen=True)
class PacketSchedule:
    """Schedule of the headset's packets. ``buffer`` is the signal kept for a slow reader, s."""

    sfreq: float
    drop_outs: DropOuts
    buffer: float = BUFFER_SECONDS

    @cached_property
    def packet(self) -> int:
        return max(1, round(PACKET_SECONDS * self.sfreq))

    def span(self, index: int, elapsed: float) -> range | None:
        """Return the next samples to send, which may still lie in the future; None at the end.

        ``index`` is the sample after the last one sent, ``elapsed`` the time since sample 0, s.
        """
        taken = math.floor(elapsed * self.sfreq) + 1
        first = self.drop_outs.next_present(index)
        if first is not None and taken - first < self.packet:  # the usual case
            return range(first, self.drop_outs.next_break(first, first + self.packet))
        if first is not None and taken - first > self.buffer * self.sfreq:
            first = self.drop_outs.next_present(taken - self.packet)
        if first is None:
            return None
        backlog = min(taken - first, int(BACKLOG_SECONDS * self.sfreq))
        whole = max(backlog // self.packet, 1) * self.packet
        return range(first, self.drop_outs.next_break(first, first + whole))


class SimulateDriver:
    """A driver of simulated samples in real time. The same URL gives the same samples.

    ``first`` starts at 0 in each driver. Timestamps are exact: the time of entering plus
    ``index / sfreq``.

    Parameters
    ----------
    source
        URL; see the module for its parameters.
    buffer
        Signal that is kept for a slow reader, s.

    Raises
    ------
    BadSource
        If a parameter is out of range.
    BadChannels
        If a channel is not one of the four.
    """

    def __init__(self, source: SourceURL, buffer: float = BUFFER_SECONDS) -> None:
        if source.target.strip("/"):
            raise BadSource(
                "simulate:// with parameters only", source.target, "write simulate://?scenario=tour"
            )
        scenario = source.choice("scenario", "tour", SCENARIOS)
        seed = source.integer("seed", 0, 0, 2**32 - 1)
        sfreq = source.number("sfreq", 256.0, 100.0, 1000.0)
        mains = source.choice("mains", "50", ("50", "60", "0"))
        picks = ChannelChoice.from_url(source).select(CH_NAMES)
        self._rows = None if picks.rows == tuple(range(len(CH_NAMES))) else picks.rows
        self._schedule = PacketSchedule(sfreq, DropOuts.from_url(source, sfreq), buffer)
        self._packet_seconds = self._schedule.packet / sfreq
        self._synthesizer = Synthesizer(scenario, seed, sfreq, float(mains))
        self._seed, self._has_sensors = seed, source.flag("sensors")
        self._sensors: SimulatedSensors | None = None
        self._wearer = Wearer.from_url(source, seed, sfreq) if scenario == "wearer" else None
        self._start: float | None = None
        self._next = 0
        self._span: range | None = None  # the next samples to send, and the time of the last one
        self._due = -math.inf
        self._stamps: Seconds = np.zeros(0)  # of samples from this index on
        self._stamped = 0
        self._pending: list[ScriptEvent] = []
        self._looked = 0  # events before this sample are sent or pending
        self._closed = threading.Event()
        self._info = StreamInfo(
            name="Simulated headset",
            source_id=f"simulate-{scenario}-{seed}",
            sfreq=sfreq,
            ch_names=picks.names,
            uv_per_bit=UV_PER_BIT,
            range_uv=RANGE_UV,
            live=True,
            simulated=True,
            notices=(NOTICE,),
        )

    @property
    def info(self) -> StreamInfo:
        return self._info

    @property
    def battery(self) -> float | None:
        """Simulated charge, percent; None without sensors."""
        return None if self._sensors is None else self._sensors.charge(local_clock())

    @property
    def has_auxiliary(self) -> bool:
        """True if pulse and motion were asked for."""
        return self._has_sensors

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return the pulse and motion since the last call."""
        if self._sensors is None:
            return []
        return self._sensors.take(local_clock(), AUXILIARY_SECONDS)

    def __enter__(self) -> Self:
        self._start = local_clock()
        if self._has_sensors:
            self._sensors = SimulatedSensors(self._seed, self._start, self._lost)
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()

    def _lost(self, time: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Mark the times (n,), s since the start, at which the radio link loses samples."""
        index = np.floor(time * self._info.sfreq).astype(np.int64)
        return self._schedule.drop_outs.lost(index)

    def cue(self, state: str | None, place: int) -> None:
        """Let a simulated wearer follow a cue; others follow their script."""
        if self._wearer is not None:
            self._wearer.cue(None if state is None else place)

    @property
    def closed(self) -> bool:
        """True once the driver is closed."""
        return self._closed.is_set()

    def __iter__(self) -> Iterator[Chunk]:
        while not self.closed:
            with COMPUTE_LOCK:
                chunk, due = self.make(local_clock())
            if chunk is not None:
                yield chunk
            elif due == math.inf:
                self._closed.wait()  # a dead connection is silent
            else:
                # Which costs less than to wait for an event.
                time.sleep(min(max(due - local_clock(), 0.0), LONGEST_SLEEP))

    def make(self, now: float) -> tuple[Chunk | None, float]:
        """Return the chunk that is due at ``now``, and the time of the next: see ``Paced``."""
        if self._start is None:
            raise RuntimeError("enter the driver before iterating over it")
        if now - self._due > self._packet_seconds:  # more may wait
            self._plan(self._start, now - self._start)
        if self._span is None or now < self._due:
            return None, self._due
        chunk = self._chunk(self._start, self._span)
        self._plan(self._start, 0.0)
        return chunk, self._due

    def prepare(self) -> bool:
        """Generate samples that will be due soon: see ``Paced``."""
        return self._synthesizer.prepare()

    def _plan(self, start: float, elapsed: float) -> None:
        """Find the next samples to send, and when they are due."""
        self._span = self._schedule.span(self._next, elapsed)
        self._due = math.inf if self._span is None else start + self._span[-1] / self._info.sfreq

    def _chunk(self, start: float, span: range) -> Chunk:
        """Make the chunk of this span, with the markers since the previous chunk."""
        if span.start > self._synthesizer.position:
            self._generate(span.start - self._synthesizer.position)  # these are lost
        samples = self._generate(len(span))
        self._next = span.stop
        if self._rows is not None:
            samples = np.take(samples, self._rows, axis=1)
        timestamps = self._timestamps(start, span)
        if span.stop <= self._looked and not self._pending:  # the usual case
            return Chunk(samples, timestamps, span.start)
        markers = tuple(
            Marker(start + event.index / self._info.sfreq, event.index, event.label, "simulator")
            for event in self._due_events(span.stop)
        )
        return Chunk(samples, timestamps, span.start, markers=markers)

    def _timestamps(self, start: float, span: range) -> Seconds:
        """Return the samples' times, made for many chunks together."""
        if span.stop > self._stamped + len(self._stamps):
            index = np.arange(span.start, span.start + max(len(span), STAMPS))
            self._stamps, self._stamped = start + index / self._info.sfreq, span.start
        return self._stamps[span.start - self._stamped : span.stop - self._stamped]

    def _generate(self, n_times: int) -> Samples:
        """Generate the next samples."""
        samples = self._synthesizer.next(n_times)
        if self._wearer is not None:
            samples += self._wearer.next(n_times)
        return samples

    def _due_events(self, stop: int) -> list[ScriptEvent]:
        """Return the events before sample ``stop`` that were not sent yet."""
        if stop > self._looked:
            looked = stop + round(LOOKAHEAD_SECONDS * self._info.sfreq)
            self._pending += self._synthesizer.events(self._looked, looked)
            self._looked = looked
        due = 0
        while due < len(self._pending) and self._pending[due].index < stop:
            due += 1
        events, self._pending = self._pending[:due], self._pending[due:]
        return events
