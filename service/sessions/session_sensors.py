"""Pulse and motion in a session: continuous numbering, heart rate, and the head's movements.

Where they come in order with the EEG, all of this depends on the packets alone, and another process
can go on with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.body.motion import MOTION_SENSORS, MOVED, MotionMemory
from mimamba.models.body.pulse import WINDOW_SECONDS, PulseMeter, PulseState
from mimamba.models.decoding.decoder_state import SnapshotError
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
        self._expected: deque[float | None] = deque()

    def expect(self, n_windows: int) -> None:
        """Note what is known of motion now, for windows that are measured later, in this order."""
        self._expected += [self._motion.newest] * n_windows

    def feed(self, chunks: Iterable[AuxiliaryChunk]) -> Iterator[tuple[Topic, SensorEntry]]:
        """Yield the entries that chunks make, with their topics, the motion first."""
        merged = [self._number(chunk) for chunk in chunks if len(chunk.data)]
        merged.sort(key=lambda each: each.info.name)
        if len({chunk.info.name for chunk in merged}) < len(merged):
            merged = _merge(merged)
        for chunk in merged:
            if chunk.info.name in MOTION_SENSORS:
                self._motion.feed(chunk)
                yield "motion", chunk
        for chunk in merged:
            if chunk.info.name == "ppg":
                yield "ppg", chunk
                for rate in self._pulse(chunk.info).feed(chunk):
                    yield "heart", self._doubt(rate)

    def add_motion(self, measures: Sequence[Quality | BandPower]) -> list[Quality | BandPower]:
        """Add to the quality of a window that the head moved in its time.

        It is as far as was known with ``expect``, or else by now.
        """
        newest = self._expected.popleft() if self._expected else self._motion.newest
        return [
            msgspec.structs.replace(each, motion=MOVED)
            if isinstance(each, Quality)
            and newest is not None
            and newest > each.timestamp - QUALITY_SECONDS
            else each
            for each in measures
        ]

    def pack(self) -> bytes:
        """Encode the state, once all windows are measured."""
        newest, seconds = self._motion.state
        sensors = []
        for info, at in self._numberings.items():
            pulse = self._pulses[info].state if info in self._pulses else None
            kept = None
            if pulse is not None:
                rows = _bytes_of(pulse.rows, "<f4")
                kept = _SavedPulse(pulse.start, pulse.end, rows, pulse.newest)
            sensors.append(_SavedSensor(info, at.shift, at.end, at.newest, kept))
        return msgspec.msgpack.encode(_SavedSensors(sensors, newest, seconds))

    @classmethod
    def unpack(cls, content: bytes) -> SessionSensors:
        """Return sensors that go on from a state; raises SnapshotError if it is damaged."""
        made = cls()
        try:
            saved = SENSORS.decode(content)
            for each in saved.sensors:
                info = each.info
                made._numberings[info] = _Numbering(each.shift, each.end, each.newest)
                if (pulse := each.pulse) is not None:
                    rows = np.frombuffer(pulse.rows, "<f4").reshape(-1, len(info.ch_names))
                    state = PulseState(pulse.start, pulse.end, rows, pulse.newest)
                    made._pulse(info).state = state
        except (msgspec.MsgspecError, ValueError) as error:
            raise _damaged(error) from None
        made._motion.state = saved.moved, saved.seconds
        return made

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
        """Continue the numbering; that of a new connection starts over."""
        known = self._numberings.get(chunk.info)
        shift = 0 if known is None else known.shift
        if known is not None and chunk.first < known.end:
            elapsed = float(chunk.timestamps[0]) - known.newest
            lost = max(1, round(elapsed * chunk.info.sfreq))
            shift = known.end + known.shift - 1 + lost - chunk.first
        end = chunk.first + len(chunk.data)
        self._numberings[chunk.info] = _Numbering(shift, end, float(chunk.timestamps[-1]))
        if not shift:
            return chunk
        return replace(chunk, first=chunk.first + shift)


def _merge(chunks: list[AuxiliaryChunk]) -> list[AuxiliaryChunk]:
    """Merge chunks of one sensor, sorted by name, that follow each other without a gap."""
    merged = []
    for _, group in groupby(chunks, lambda c: c.info):
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


class _SavedPulse(msgspec.Struct, frozen=True):
    """A ``PulseState``; ``rows`` are float32, little-endian."""

    start: int
    end: int
    rows: bytes
    newest: float


class _SavedSensor(msgspec.Struct, frozen=True):
    """A sensor with its numbering, and its pulse if it shows one."""

    info: AuxiliaryInfo
    shift: int
    end: int
    newest: float
    pulse: _SavedPulse | None


class _SavedSensors(msgspec.Struct, frozen=True):
    """All sensors of a session, and the motion: the newest, and the seconds that had some."""

    sensors: list[_SavedSensor]
    moved: float | None
    seconds: tuple[int, ...]


class _SavedChunk(msgspec.Struct, frozen=True):
    """An ``AuxiliaryChunk``; the arrays are float64 and float32, little-endian."""

    info: AuxiliaryInfo
    timestamps: bytes
    data: bytes
    first: int


# Made here, as msgspec's first look at a type is not safe in two threads at once.
SENSORS = msgspec.msgpack.Decoder(_SavedSensors)
CHUNKS = msgspec.msgpack.Decoder(list[_SavedChunk])


def pack_auxiliary(chunks: Sequence[AuxiliaryChunk]) -> bytes:
    """Encode samples that wait."""
    return msgspec.msgpack.encode(
        [
            _SavedChunk(
                each.info,
                _bytes_of(each.timestamps, "<f8"),
                _bytes_of(each.data, "<f4"),
                each.first,
            )
            for each in chunks
        ]
    )


def unpack_auxiliary(content: bytes) -> tuple[AuxiliaryChunk, ...]:
    """Decode samples that wait; raises SnapshotError if they are damaged."""
    try:
        return tuple(
            AuxiliaryChunk(
                each.info,
                np.frombuffer(each.data, "<f4").reshape(-1, len(each.info.ch_names)),
                np.frombuffer(each.timestamps, "<f8"),
                each.first,
            )
            for each in CHUNKS.decode(content)
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise _damaged(error) from None


def _bytes_of(array: NDArray[np.floating], dtype: str) -> bytes:
    return np.ascontiguousarray(array, dtype).tobytes()


def _damaged(error: Exception) -> SnapshotError:
    return SnapshotError(
        f"Expected the state of a session's sensors, but found a damaged one: {error}."
    )
