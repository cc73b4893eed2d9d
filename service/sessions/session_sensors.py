"""Pulse and motion in a session: continuous numbering, heart rate, and the head's movements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

import numpy as np

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.body.motion import MOTION_SENSORS, MOVED, MotionMemory
from mimamba.models.body.pulse import WINDOW_SECONDS, PulseMeter
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.sliding_window import QUARTER_RATE, QUARTERS
from mimamba.service.topics import Topic

QUALITY_SECONDS = QUARTERS / QUARTER_RATE
"""Seconds of signal that a quality is about."""
MOST_MOVED = 4
"""Seconds of a pulse's window in which the head moved, beyond which its rhythm may be that of the
movements."""

SensorEntry: TypeAlias = AuxiliaryChunk | HeartRate


@dataclass
class _Numbering:
    """Numbering of one sensor over all connections.

    Parameters
    ----------
    shift
        Difference to the numbering of the present connection.
    end
        Index after the newest sample, in the numbering of the present connection.
    newest
        Time of the newest sample, s.
    """

    shift: int
    end: int
    newest: float


class SessionSensors:
    """Converter of a device's auxiliary samples to a session's log entries."""

    def __init__(self) -> None:
        self._numberings: dict[AuxiliaryInfo, _Numbering] = {}
        self._pulses: dict[AuxiliaryInfo, PulseMeter] = {}
        self._motion = MotionMemory()

    def feed(self, chunks: Iterable[AuxiliaryChunk]) -> Iterator[tuple[Topic, SensorEntry]]:
        """Yield the entries that chunks make, with their topics, the motion first."""
        numbered = [self._number(chunk) for chunk in chunks if len(chunk.data)]
        merged = _merge(numbered)
        for chunk in merged:
            if chunk.info.name in MOTION_SENSORS:
                self._motion.feed(chunk)
                yield "motion", chunk
        for chunk in merged:
            if chunk.info.name == "ppg":
                yield "ppg", chunk
                for rate in self._pulse(chunk.info).feed(chunk):
                    yield "heart", self._doubt(rate)

    def add_motion(self, measure: Quality | BandPower) -> Quality | BandPower:
        """Add to a quality that the head moved in its time, as far as is known by now."""
        newest = self._motion.newest
        if newest is None or isinstance(measure, BandPower):
            return measure
        moved = newest > measure.timestamp - QUALITY_SECONDS
        return replace(measure, motion=MOVED) if moved else measure

    def _pulse(self, info: AuxiliaryInfo) -> PulseMeter:
        if info not in self._pulses:
            self._pulses[info] = PulseMeter(info.sfreq, len(info.ch_names))
        return self._pulses[info]

    def _doubt(self, rate: HeartRate) -> HeartRate:
        """Name motion as the reason if it may have made or hidden the pulse."""
        moved = self._motion.count(rate.timestamp - WINDOW_SECONDS, rate.timestamp)
        if moved > MOST_MOVED or (moved and rate.reason == "no clear pulse"):
            return replace(rate, rate=None, reason=MOVED)
        return rate

    def _number(self, chunk: AuxiliaryChunk) -> AuxiliaryChunk:
        """Continue the numbering; that of a new connection begins anew."""
        known = self._numberings.get(chunk.info)
        shift = 0 if known is None else known.shift
        if known is not None and chunk.first < known.end:
            elapsed = float(chunk.timestamps[0]) - known.newest
            lost = max(1, round(elapsed * chunk.info.sfreq))
            shift = known.end + known.shift - 1 + lost - chunk.first
        end = chunk.first + len(chunk.data)
        self._numberings[chunk.info] = _Numbering(shift, end, float(chunk.timestamps[-1]))
        return replace(chunk, first=chunk.first + shift)


def _merge(chunks: list[AuxiliaryChunk]) -> list[AuxiliaryChunk]:
    """Merge chunks of one sensor that follow each other without a gap."""
    merged = []
    for _, group in groupby(sorted(chunks, key=lambda each: each.info.name), lambda c: c.info):
        runs: list[list[AuxiliaryChunk]] = []
        for chunk in group:
            last = runs[-1][-1] if runs else None
            if last is not None and last.first + len(last.data) == chunk.first:
                runs[-1].append(chunk)
            else:
                runs.append([chunk])
        merged += [_join(run) for run in runs]
    return merged


def _join(run: list[AuxiliaryChunk]) -> AuxiliaryChunk:
    if len(run) == 1:
        return run[0]
    return replace(
        run[0],
        data=np.concatenate([each.data for each in run]),
        timestamps=np.concatenate([each.timestamps for each in run]),
    )
