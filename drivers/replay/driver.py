"""A recording as a source: ``replay:///path/muse.csv?speed=2&loop=1``, or a bare path.

Parameters
----------
speed       0.1 to 64 times the pace at which it was recorded (default 1), or ``max``: as fast as
            its reader takes it
start       the position to begin at, s: a sample's index divided by sfreq (default 0)
marker      the label of the marker to begin at, instead of ``start``
nth         which one of the markers with this label, from 1 (default 1)
loop        1 starts anew at the end, in a new epoch (default 0)
hold        1 pauses at the end, so that one can seek from there; 0 ends there (default 0)
channels    which channels, by name or by number from 1
names       what to call them
stream      the signal's name, where a file holds several
board       the BrainFlow board that wrote a file, where its columns do not tell

A recording waits for its reader: where the reader is late, all that follows is played later.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Chunk, Marker, Playback, StreamInfo
from mimamba.drivers.errors import BadPlayback, BadSource
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.replay.pacing import PlaybackClock
from mimamba.drivers.replay.position import LONGEST, StartPosition, file_time, place_markers
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import SourceURL

SLOWEST, FASTEST = 0.1, 64.0
CHUNK_SECONDS = 12 / 256
"""Signal per chunk, as a Muse sends it."""
WAKE_SECONDS = 0.01
"""Least time between chunks; at high speeds it makes them longer."""
LATE = 0.5
"""A reader that is later than this moves all that follows; less is caught up, s."""


class ReplayDriver:
    """A driver that plays a file, and a ``Seekable``; the file is read on entering.

    ``first`` is the position in the file, its lost samples counted; a seek or a loop starts a new
    epoch. A driver is entered once.

    Timestamps tell when a sample is played: the file's time divided by the speed, from where it
    began or went on. At ``speed=max`` they count as at speed 1. They grow from epoch to epoch too.
    Gaps play as silence of their length.

    Raises
    ------
    BadSource
        If a parameter is out of range.
    """

    def __init__(self, source: SourceURL) -> None:
        if not source.place:
            raise BadSource("a recording's path", "none", "write replay:///path/file.xdf")
        self._path = Path(source.place)
        self._speed = _speed(source)
        self._beginning = StartPosition.of(source)
        self._loop = source.flag("loop")
        self._hold = source.flag("hold")
        self._choice = ChannelChoice.of(source)
        self._stream = source.text("stream")
        self._board = source.text("board")
        self._recording: Recording | None = None
        self._markers: tuple[Marker, ...] = ()
        self._told: list[Callable[[Playback], None]] = []
        self._changed = threading.Condition(threading.RLock())
        """Held by whoever reads or changes what follows."""
        self._pace = PlaybackClock(0.0, self._speed)
        self._next = 0  # position of the next sample
        self._played = -math.inf  # the file's time after the last sample played
        self._epoch = 0
        self._fresh = True  # nothing of this epoch was played yet
        self._paused = False
        self._closed = False

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
        """Read the file; raises BadRecording, BadChannels, or BadPlayback for the start."""
        recording = read_recording(self._path, self._choice, self._stream, self._board)
        self._next = self._beginning.position(recording)
        self._pace = PlaybackClock(file_time(recording, self._next), self._speed)
        self._recording, self._markers = recording, place_markers(recording)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Chunk]:
        recording = self._entered()
        while (chunk := self._take(recording)) is not None:
            yield chunk

    # What only a recording can do ----------------------------------------------------------------

    def playback(self) -> Playback:
        recording = self._entered()
        with self._changed:
            sfreq, length = recording.info.sfreq, recording.end
            position = min(self._next, length) / sfreq
            return Playback(position, length / sfreq, self._pace.speed, self._paused, self._loop)

    def watch(self, on_change: Callable[[Playback], None]) -> None:
        self._told.append(on_change)

    def markers(self) -> tuple[Marker, ...]:
        self._entered()
        return self._markers

    def pause(self) -> None:
        with self._change() as recording:
            self._stand(recording)
            self._paused = True

    def resume(self) -> None:
        with self._change() as recording:
            if self._paused and self._next >= recording.end:
                self._go(recording, 0)
            self._paused = False

    def seek(self, position: float) -> None:
        with self._change() as recording:
            self._stand(recording)
            within = min(position, LONGEST) if position > 0 else 0.0
            self._go(recording, min(round(within * recording.info.sfreq), recording.end))

    def set_speed(self, speed: float) -> None:
        if not (SLOWEST <= speed <= FASTEST or speed == math.inf):
            raise BadPlayback(
                f"a speed from {SLOWEST:g} to {FASTEST:g}, or max", f"{speed:g}", "choose another"
            )
        with self._change() as recording:
            self._stand(recording)
            self._pace.speed = speed

    def set_loop(self, loop: bool) -> None:
        with self._change():
            self._loop = loop

    @contextmanager
    def _change(self) -> Iterator[Recording]:
        """Change how it is played, and tell it where it is another way now."""
        recording = self._entered()
        with self._changed:
            before = self.playback()
            yield recording
            self._changed.notify_all()
            self._tell(before)

    def _tell(self, before: Playback) -> None:
        after = self.playback()
        if after != before:
            for told in self._told:
                told(after)

    def _stand(self, recording: Recording) -> None:
        """Stop until the next chunk is asked for; what is left of a gap's silence stays."""
        self._pace.stand(local_clock(), self._played, file_time(recording, self._next))

    def _go(self, recording: Recording, position: int) -> None:
        """Go on elsewhere, in a new epoch where something of this one was played."""
        self._pace.jump(self._played, file_time(recording, position))
        self._next = position
        if not self._fresh:
            self._epoch += 1
        self._fresh = True

    # In the iterating thread ---------------------------------------------------------------------

    def _take(self, recording: Recording) -> Chunk | None:
        """The next chunk, once its last sample has been played; None where none will come."""
        with self._changed:
            while not self._closed:
                chunk = recording.chunk(self._next, self._chunk_length(recording.info.sfreq))
                if chunk is None and not self._paused and not self._reach_end(recording):
                    return None
                if chunk is None or self._paused:
                    self._changed.wait_for(lambda: self._closed or not self._paused)
                elif self._arrives(chunk):
                    return self._play(recording, chunk)
        return None

    def _reach_end(self, recording: Recording) -> bool:
        """Begin anew, or pause; false where the end is the end."""
        if self._loop:
            self._go(recording, 0)
        elif self._hold:
            before = self.playback()
            self._paused = True
            self._tell(before)
        return self._loop or self._hold

    def _arrives(self, chunk: Chunk) -> bool:
        """Whether a chunk is due; it is not yet where something has changed meanwhile."""
        self._pace.run(local_clock())
        wait = self._pace.wait(local_clock(), float(chunk.timestamps[-1]))
        if wait > 0:
            self._changed.wait(wait)
            return False
        if wait < -LATE:
            self._pace.delay(-wait)
        return True

    def _play(self, recording: Recording, chunk: Chunk) -> Chunk:
        """The chunk with its epoch and the stamps of its playing."""
        pace = self._pace
        markers = tuple(
            replace(marker, timestamp=pace.stamp(marker.timestamp)) for marker in chunk.markers
        )
        self._next, self._fresh = chunk.end, False
        self._played = float(chunk.timestamps[-1]) + 1 / recording.info.sfreq
        return replace(
            chunk, timestamps=pace.stamps(chunk.timestamps), epoch=self._epoch, markers=markers
        )

    def _chunk_length(self, sfreq: float) -> int:
        seconds = max(CHUNK_SECONDS, WAKE_SECONDS * min(self._pace.speed, FASTEST))
        return max(1, round(seconds * sfreq))

    def _entered(self) -> Recording:
        if self._recording is None:
            raise RuntimeError("enter the driver before using it")
        return self._recording


def _speed(source: SourceURL) -> float:
    """Inf for ``max``."""
    if source.text("speed") == "max":
        return math.inf
    return source.number("speed", 1.0, SLOWEST, FASTEST)
