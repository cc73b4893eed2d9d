"""A recording as a source: ``replay:///path/muse.csv?speed=2&loop=1``, or a bare path.

Parameters
----------
speed       0.1 to 64 times the pace at which it was recorded (default 1), or ``max``: as fast as
            its reader takes it
loop        1 starts anew at the end, in a new epoch (default 0)
channels    which channels, by name or by number from 1
names       what to call them
stream      the signal's name, where a file holds several

A recording waits for its reader: where the reader is late, all that follows is played later.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from drivers.base import BadSource, Chunk, StreamInfo
from drivers.channels import ChannelChoice
from drivers.clock import local_clock
from drivers.recording import Recording, read_recording
from drivers.source import Source

SLOWEST, FASTEST = 0.1, 64.0
CHUNK_SECONDS = 12 / 256
"""Signal per chunk, as a Muse sends it."""
WAKE_SECONDS = 0.01
"""Least time between chunks; at high speeds it makes them longer."""
LATE = 0.5
"""A reader that is later than this moves all that follows; less is caught up, s."""


class ReplayDriver:
    """A driver that plays a file; it is read on entering.

    ``first`` is the position in the file, its lost samples counted; a loop starts a new epoch at
    0. A driver is entered once.

    Timestamps tell when a sample is played: the start plus the file's time since its first
    sample, divided by the speed. At ``speed=max`` they count as at speed 1. Gaps play as silence
    of their length.

    Raises
    ------
    BadSource
        If a parameter is out of range.
    """

    def __init__(self, source: Source) -> None:
        if not source.place:
            raise BadSource("a recording's path", "none", "write replay:///path/file.xdf")
        self._path = Path(source.place)
        self._speed = _speed(source)
        self._loop = source.flag("loop")
        self._choice = ChannelChoice.of(source)
        self._stream = source.text("stream")
        self._recording: Recording | None = None
        self._closed = threading.Event()

    @property
    def info(self) -> StreamInfo:
        """The recording's facts.

        Raises
        ------
        RuntimeError
            Before the driver is entered.
        """
        return self._entered().info

    def __enter__(self) -> Self:
        """Read the file; raises BadRecording or BadChannels."""
        self._recording = read_recording(self._path, self._choice, self._stream)
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
        recording = self._entered()
        zero = float(recording.timestamps[0])
        start = local_clock()
        for epoch in count() if self._loop else range(1):
            for chunk in recording.chunks(self._chunk_length(recording.info.sfreq)):
                start = self._wait(start, (chunk.timestamps[-1] - zero) / self._pace)
                if self._closed.is_set():
                    return
                yield _played(chunk, zero, self._pace, start, epoch)
            start += self._length(recording)

    @property
    def _pace(self) -> float:
        return 1.0 if self._speed == math.inf else self._speed

    def _chunk_length(self, sfreq: float) -> int:
        seconds = max(CHUNK_SECONDS, WAKE_SECONDS * min(self._speed, FASTEST))
        return max(1, round(seconds * sfreq))

    def _length(self, recording: Recording) -> float:
        """Time to play it, s."""
        times = recording.timestamps
        return (float(times[-1] - times[0]) + 1 / recording.info.sfreq) / self._pace

    def _wait(self, start: float, offset: float) -> float:
        """Wait until ``offset`` seconds after ``start``; give the start, later if we were late."""
        if self._speed == math.inf:
            return start
        late = local_clock() - (start + offset)
        if late > LATE:
            return start + late
        while late < 0 and not self._closed.wait(-late):
            late = local_clock() - (start + offset)
        return start

    def _entered(self) -> Recording:
        if self._recording is None:
            raise RuntimeError("enter the driver before using it")
        return self._recording


def _speed(source: Source) -> float:
    """Inf for ``max``."""
    if source.text("speed") == "max":
        return math.inf
    return source.number("speed", 1.0, SLOWEST, FASTEST)


def _played(chunk: Chunk, zero: float, pace: float, start: float, epoch: int) -> Chunk:
    """With timestamps that count from ``start`` where the file's count from ``zero``."""
    markers = tuple(
        replace(marker, timestamp=start + (marker.timestamp - zero) / pace)
        for marker in chunk.markers
    )
    timestamps = start + (chunk.timestamps - zero) / pace
    return replace(chunk, timestamps=timestamps, epoch=epoch, markers=markers)
