"""A headset that does not exist, as a source: ``simulate://?scenario=tour&seed=0``.

Parameters
----------
scenario    tour (default), calm, random, artefacts or poor: see ``drivers.simulator.scenario``
seed        the person and the moment, a whole number (default 0)
sfreq       Hz, 100 to 1000 (default 256)
mains       frequency of the hum: 50 (default), 60, or 0 for none
channels    which of TP9, AF7, AF8, TP10, by name or by number from 1
names       what to call them
loss        ``loss=10,0.5``: every 10 s, the samples of 0.5 s never come; a watchdog takes
            a stretch over its patience (2 s) for a lost link
dead        ``dead=30``: after 30 s of samples the link is dead, and nobody says so

Samples come as a Muse sends them, 12 at a time at 256 Hz, when the clock reaches them. A process
that was held up gets the backlog in chunks of up to 1 s; a backlog over 5 s is lost but for its
newest packet, and is a jump of ``first``. The script's targets and faults come as markers.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Chunk, Marker, StreamInfo
from mimamba.drivers.errors import BadSource
from mimamba.drivers.runtime.compute_lock import TURN
from mimamba.drivers.simulator.scenario import SCENARIOS, Cue
from mimamba.drivers.simulator.synthesis import CH_NAMES, RANGE_UV, UV_PER_BIT, Synthesis
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import SourceURL

NOTICE = "These signals are simulated: they come from nobody's brain."
PACKET_SECONDS = 12 / 256
BACKLOG_SECONDS = 1.0
BUFFER_SECONDS = 5.0
LONGEST = 86_400.0
CUES_SECONDS = 4.0
"""How far ahead the script is read: at each chunk it took as long as all else of the chunk."""


@dataclass(frozen=True)
class DropOuts:
    """Which samples never come, in numbers of samples.

    The ``length`` from each multiple of ``period`` on (but not at 0), and all from ``dead`` on.
    """

    period: int | None = None
    length: int = 0
    dead: int | None = None

    @classmethod
    def of(cls, source: SourceURL, sfreq: float) -> DropOuts:
        """Take ``loss`` and ``dead`` from a source's URL; raises BadSource if they are no times."""
        dead = source.number("dead", math.inf, 0.0, LONGEST)
        period, length = _loss(source.text("loss"), sfreq)
        return cls(period, length, None if dead == math.inf else round(dead * sfreq))

    def resume(self, index: int) -> int | None:
        """The first sample from ``index`` on that comes; None where none does."""
        if self.period is not None and index >= self.period and index % self.period < self.length:
            index += self.length - index % self.period
        return None if self.dead is not None and index >= self.dead else index

    def stop(self, index: int, stop: int) -> int:
        """Where the samples that come from ``index`` on break off, at most ``stop``."""
        if self.period is not None:
            stop = min(stop, (index // self.period + 1) * self.period)
        return stop if self.dead is None else min(stop, self.dead)


def _loss(text: str | None, sfreq: float) -> tuple[int | None, int]:
    """Period and length of ``loss=PERIOD,SECONDS`` in samples."""
    if text is None:
        return None, 0
    try:
        period, length = (float(part) for part in text.split(","))
    except ValueError:
        period = length = math.nan
    if 0.0 < length < period <= LONGEST and 1 <= round(length * sfreq) < round(period * sfreq):
        return round(period * sfreq), round(length * sfreq)
    raise BadSource(
        "loss=PERIOD,SECONDS with fewer seconds lost than the period has",
        f"loss={text}",
        "write for example loss=10,0.5",
    )


@dataclass(frozen=True)
class PacketSchedule:
    """Which samples are handed out when: the headset's packets against the clock."""

    sfreq: float
    drop_outs: DropOuts

    @property
    def packet(self) -> int:
        return max(1, round(PACKET_SECONDS * self.sfreq))

    def span(self, index: int, elapsed: float) -> range | None:
        """The next samples to hand out, or None where no more come.

        They may still lie ahead: ``elapsed`` seconds after sample 0, those up to
        ``elapsed * sfreq`` have been taken. ``index`` is the one after the last handed out.
        """
        taken = math.floor(elapsed * self.sfreq) + 1
        first = self.drop_outs.resume(index)
        if first is not None and taken - first > BUFFER_SECONDS * self.sfreq:
            first = self.drop_outs.resume(taken - self.packet)
        if first is None:
            return None
        backlog = min(taken - first, int(BACKLOG_SECONDS * self.sfreq))
        whole = max(backlog // self.packet, 1) * self.packet
        return range(first, self.drop_outs.stop(first, first + whole))


class SimulateDriver:
    """A driver of simulated samples in real time, the same for the same URL.

    ``first`` starts at 0 whenever a driver is opened. Timestamps are exact: the moment of
    entering plus ``index / sfreq``.

    Raises
    ------
    BadSource
        If a parameter is out of range.
    BadChannels
        If a channel is not one of the four.
    """

    def __init__(self, source: SourceURL) -> None:
        if source.place.strip("/"):
            raise BadSource(
                "simulate:// with parameters only", source.place, "write simulate://?scenario=tour"
            )
        scenario = source.choice("scenario", "tour", SCENARIOS)
        seed = source.whole("seed", 0, 0, 2**32 - 1)
        sfreq = source.number("sfreq", 256.0, 100.0, 1000.0)
        mains = source.choice("mains", "50", ("50", "60", "0"))
        picks = ChannelChoice.of(source).pick(CH_NAMES)
        self._rows = picks.rows
        self._pace = PacketSchedule(sfreq, DropOuts.of(source, sfreq))
        self._synthesis = Synthesis(scenario, seed, sfreq, float(mains))
        self._start: float | None = None
        self._next = 0
        self._coming: list[Cue] = []
        self._looked = 0  # all cues before this sample are told, or coming
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

    def __enter__(self) -> Self:
        self._start = local_clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        if self._start is None:
            raise RuntimeError("enter the driver before iterating over it")
        while not self._closed.is_set():
            elapsed = local_clock() - self._start
            span = self._pace.span(self._next, elapsed)
            if span is None:
                self._closed.wait()  # a dead link says nothing
                return
            ahead = span[-1] / self._info.sfreq - elapsed
            if ahead > 0:
                self._closed.wait(ahead)
            else:
                with TURN:
                    chunk = self._chunk(self._start, span)
                yield chunk

    def _chunk(self, start: float, span: range) -> Chunk:
        """The samples of this span, and the markers since the chunk before."""
        if span.start > self._synthesis.position:
            self._synthesis.next(span.start - self._synthesis.position)  # these never come
        samples = self._synthesis.next(len(span))
        self._next = span.stop
        return Chunk(
            data=np.take(samples, self._rows, axis=1),
            timestamps=start + np.arange(span.start, span.stop) / self._info.sfreq,
            first=span.start,
            markers=tuple(
                Marker(start + cue.index / self._info.sfreq, cue.index, cue.label, "simulator")
                for cue in self._cues(span.stop)
            ),
        )

    def _cues(self, stop: int) -> list[Cue]:
        """Those before sample ``stop`` that were not told yet; looked for some seconds ahead."""
        if stop > self._looked:
            looked = stop + round(CUES_SECONDS * self._info.sfreq)
            self._coming += self._synthesis.cues(self._looked, looked)
            self._looked = looked
        told = 0
        while told < len(self._coming) and self._coming[told].index < stop:
            told += 1
        cues, self._coming = self._coming[:told], self._coming[told:]
        return cues
