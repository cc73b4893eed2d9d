"""A recording as a source: ``replay:///path/muse.csv?speed=2&loop=1``, or a bare path.

Parameters
----------
speed       0.1 to 64 times the original speed (default 1), or ``max``: as fast as the reader
            takes it
start       start position, s: a sample's index divided by sfreq (default 0)
marker      label of the marker to start at, instead of ``start``
nth         number of the marker among those with this label, from 1 (default 1)
loop        1 restarts at the end, in a new epoch (default 0)
hold        1 pauses at the end, so that seeking is still possible; 0 ends there (default 0)
channels    selection of channels, by name or by number from 1
names       names for the channels
stream      the signal's name, for a file with several
board       the BrainFlow board that wrote a file, if its columns fit several
sfreq       sampling frequency, Hz, of a file whose time stamps or header give a wrong one or none

Playback waits for its reader: if the reader is late, everything that follows is played later.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Chunk, Marker, Playback, StreamInfo
from mimamba.drivers.errors import BadPlayback, BadSource
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.replay.pacing import PlaybackClock
from mimamba.drivers.replay.position import (
    MAX_POSITION,
    StartPosition,
    markers_by_position,
    timestamp_at,
)
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import SourceURL

MIN_SPEED, MAX_SPEED = 0.1, 64.0
CHUNK_SECONDS = 12 / 256
"""Signal per chunk, s, like a Muse's."""
WAKE_SECONDS = 0.01
"""Shortest time between chunks, s; at high speeds chunks are longer."""
MAX_DELAY = 0.5
"""Delay of a reader that is caught up, s; a longer one delays everything that follows."""


class ReplayDriver:
    """A driver that plays a file, and a ``Seekable``. The file is read on entering.

    ``first`` is the position in the file with lost samples counted; a seek or a loop starts a new
    epoch. A driver is entered once.

    Timestamps are the times at which samples are played: the file's time divided by the speed. At
    ``speed=max`` they advance as at speed 1. They never go back, not even in a new epoch. Gaps are
    played as silence of their length.

    Parameters
    ----------
    source
        URL; see the module for its parameters.
    chunk
        Signal per chunk, s; at high speeds chunks are longer.

    Raises
    ------
    BadSource
        If a parameter is out of range.
    """

    def __init__(self, source: SourceURL, chunk: float = CHUNK_SECONDS) -> None:
        if not source.target:
            raise BadSource("a recording's path", "none", "write replay:///path/file.xdf")
        self._path = Path(source.target)
        self._chunk_seconds = chunk
        self._speed = _read_speed(source)
        self._start = StartPosition.from_url(source)
        self._loop = source.flag("loop")
        self._hold = source.flag("hold")
        self._choice = ChannelChoice.from_url(source)
        self._options = ReadOptions.from_url(source)
        self._recording: Recording | None = None
        self._markers: tuple[Marker, ...] = ()
        self._listeners: list[Callable[[Playback], None]] = []
        self._changed = threading.Condition(threading.RLock())
        """Held while the attributes below are read or changed."""
        self._clock = PlaybackClock(0.0, self._speed)
        self._next = 0  # position of the next sample
        self._played = -math.inf  # the file's time after the last sample played, s
        self._epoch = 0
        self._fresh = True  # nothing of this epoch has been played yet
        self._paused = False
        self._closed = False

    @property
    def info(self) -> StreamInfo:
        """Facts about the recording.

        Raises
        ------
        RuntimeError
            If the driver was not entered.
        """
        return self._entered().info

    def __enter__(self) -> Self:
        """Read the file; raises BadRecording, BadChannels, or BadPlayback for the start."""
        recording = read_recording(self._path, self._choice, self._options)
        self._next = self._start.position(recording)
        self._clock = PlaybackClock(timestamp_at(recording, self._next), self._speed)
        self._recording, self._markers = recording, markers_by_position(recording)
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Chunk]:
        recording = self._entered()
        while (chunk := self._take(recording)) is not None:
            yield chunk

    # Seekable ----------------------------------------------------------------------------

    def playback(self) -> Playback:
        recording = self._entered()
        with self._changed:
            sfreq, length = recording.info.sfreq, recording.end
            position = min(self._next, length) / sfreq
            return Playback(position, length / sfreq, self._clock.speed, self._paused, self._loop)

    def watch(self, on_change: Callable[[Playback], None]) -> None:
        self._listeners.append(on_change)

    def markers(self) -> tuple[Marker, ...]:
        self._entered()
        return self._markers

    def pause(self) -> None:
        with self._change() as recording:
            self._pause_clock(recording)
            self._paused = True

    def resume(self) -> None:
        with self._change() as recording:
            if self._paused and self._next >= recording.end:
                self._jump(recording, 0)
            self._paused = False

    def seek(self, position: float) -> None:
        with self._change() as recording:
            self._pause_clock(recording)
            within = min(position, MAX_POSITION) if position > 0 else 0.0
            self._jump(recording, min(round(within * recording.info.sfreq), recording.end))

    def set_speed(self, speed: float) -> None:
        if not (MIN_SPEED <= speed <= MAX_SPEED or speed == math.inf):
            raise BadPlayback(
                f"a speed from {MIN_SPEED:g} to {MAX_SPEED:g}, or max",
                f"{speed:g}",
                "choose another",
            )
        with self._change() as recording:
            self._pause_clock(recording)
            self._clock.speed = speed

    def set_loop(self, loop: bool) -> None:
        with self._change():
            self._loop = loop

    @contextmanager
    def _change(self) -> Iterator[Recording]:
        """Change the playback within the context, and notify listeners if it differs afterwards."""
        recording = self._entered()
        with self._changed:
            before = self.playback()
            yield recording
            self._changed.notify_all()
            self._notify(before)

    def _notify(self, before: Playback) -> None:
        after = self.playback()
        if after != before:
            for listener in self._listeners:
                listener(after)

    def _pause_clock(self, recording: Recording) -> None:
        """Stop the clock until the next chunk; the rest of a gap's silence remains."""
        self._clock.pause(local_clock(), self._played, timestamp_at(recording, self._next))

    def _jump(self, recording: Recording, position: int) -> None:
        """Continue at a position, in a new epoch if something of this one was played."""
        self._clock.jump(self._played, timestamp_at(recording, position))
        self._next = position
        if not self._fresh:
            self._epoch += 1
        self._fresh = True

    # In the iterating thread ---------------------------------------------------------------------

    def _take(self, recording: Recording) -> Chunk | None:
        """Wait until the next chunk's last sample is played; None at the end."""
        with self._changed:
            while not self._closed:
                chunk = recording.chunk(self._next, self._chunk_length(recording.info.sfreq))
                if chunk is None and not self._paused and not self._reach_end(recording):
                    return None
                if chunk is None or self._paused:
                    self._changed.wait_for(lambda: self._closed or not self._paused)
                elif self._wait_until_due(chunk):
                    return self._play(recording, chunk)
        return None

    def _reach_end(self, recording: Recording) -> bool:
        """Restart or pause at the end; False if playback ends."""
        if self._loop:
            self._jump(recording, 0)
        elif self._hold:
            before = self.playback()
            self._paused = True
            self._notify(before)
        return self._loop or self._hold

    def _wait_until_due(self, chunk: Chunk) -> bool:
        """Wait until a chunk is due; False if it is not yet, or if the playback has changed."""
        self._clock.start(local_clock())
        wait = self._clock.seconds_until(local_clock(), float(chunk.timestamps[-1]))
        if wait > 0:
            self._changed.wait(wait)
            return False
        if wait < -MAX_DELAY:
            self._clock.delay(-wait)
        return True

    def _play(self, recording: Recording, chunk: Chunk) -> Chunk:
        """Return the chunk with its epoch and the timestamps of playback."""
        clock = self._clock
        markers = tuple(
            replace(marker, timestamp=clock.stamp(marker.timestamp)) for marker in chunk.markers
        )
        self._next, self._fresh = chunk.end, False
        self._played = float(chunk.timestamps[-1]) + 1 / recording.info.sfreq
        return replace(
            chunk, timestamps=clock.stamps(chunk.timestamps), epoch=self._epoch, markers=markers
        )

    def _chunk_length(self, sfreq: float) -> int:
        seconds = max(self._chunk_seconds, WAKE_SECONDS * min(self._clock.speed, MAX_SPEED))
        return max(1, round(seconds * sfreq))

    def _entered(self) -> Recording:
        if self._recording is None:
            raise RuntimeError("enter the driver before using it")
        return self._recording


def _read_speed(source: SourceURL) -> float:
    """Read the speed; inf for ``max``."""
    if source.text("speed") == "max":
        return math.inf
    return source.number("speed", 1.0, MIN_SPEED, MAX_SPEED)
