"""Recordings that were cut off, by a crash or a power cut, made whole again."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.xdf.chunks import BOUNDARY, MAGIC, Bytes, leading_chunks
from mimamba.drivers.formats.xdf.writer import FOOTER, STREAM_HEADER, StreamFooter, encode_footer
from mimamba.service.recordings.metadata import load_card, save_if_possible


class FileInUse(BadRecording):
    """A program is writing the file."""


@dataclass(frozen=True)
class Recovered:
    """What was done to a file: bytes cut off its end; whether it lacked its end."""

    cut: int
    ended: bool

    @property
    def whole(self) -> bool:
        """Whether nothing had to be done."""
        return not self.cut and not self.ended

    def __str__(self) -> str:
        if self.whole:
            return "whole"
        return f"{self.cut} bytes of a last part were cut off" if self.cut else "its end was added"


def recover(path: Path) -> Recovered:
    """Cut an XDF file after its last whole chunk and give each stream the footer that it lacks.

    A whole file stays as it is. May be cut off itself and run again.

    Raises
    ------
    FileInUse
        If a program of ours is writing it.
    BadRecording
        If it cannot be read or written, has no stream, or is damaged not only at its end: readers
        skip such a place, and what is behind it must not be lost.
    """
    try:
        with _locked(path, os.O_RDWR, fcntl.LOCK_EX) as file:
            return _recover(path, file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadRecording(
            f"to recover {path}", reason, "check the path, its permissions and the disk"
        ) from error


def is_being_written(path: Path) -> bool:
    """Whether a recorder has the file open."""
    try:
        with _locked(path, os.O_RDONLY, fcntl.LOCK_SH):
            return False
    except FileInUse:
        return True
    except OSError:
        return False


@contextmanager
def _locked(path: Path, access: int, lock: int) -> Iterator[int]:
    file = os.open(path, access | os.O_CLOEXEC)
    try:
        fcntl.flock(file, lock | fcntl.LOCK_NB)
        yield file
    except BlockingIOError:
        raise FileInUse(
            "a recording that has ended", f"{path} is being written", "stop it first"
        ) from None
    finally:
        os.close(file)


def _recover(path: Path, file: int) -> Recovered:
    size = os.fstat(file).st_size
    if size == 0:
        raise BadRecording(f"an XDF file at {path}", "an empty file", "it holds nothing: delete it")
    with mmap(file, size, access=ACCESS_READ) as data:
        if data[: len(MAGIC)] != MAGIC:
            raise BadRecording(f"an XDF file at {path}", "another format", "choose another file")
        end, streams = _survey(data)
        if not streams:
            raise BadRecording(
                f"an XDF file with a stream at {path}", "none whole", "it holds nothing: delete it"
            )
        if data.find(BOUNDARY, end) >= 0:
            raise BadRecording(
                f"a file that is damaged at its end only, at {path}",
                f"damage from byte {end:,} on, and whole chunks behind it",
                "readers skip the damage: leave it as it is",
            )
    os.ftruncate(file, end)
    os.lseek(file, end, os.SEEK_SET)
    lacking = {stream: tally for stream, tally in streams.items() if tally is not None}
    missing = b"".join(encode_footer(stream, tally) for stream, tally in lacking.items())
    while missing:
        missing = missing[os.write(file, missing) :]
    os.fsync(file)
    return Recovered(size - end, bool(lacking))


def _survey(data: Bytes) -> tuple[int, dict[int, StreamFooter | None]]:
    """Where the last whole chunk ends; each stream's tally, None where it has its footer."""
    end = 0
    streams: dict[int, StreamFooter | None] = {}
    for chunk in leading_chunks(data):
        end = chunk.stop
        tally = streams.get(chunk.stream)
        if chunk.tag == STREAM_HEADER:
            streams[chunk.stream] = StreamFooter()
        elif chunk.tag == FOOTER:
            streams[chunk.stream] = None
        elif tally is not None:
            streams[chunk.stream] = StreamFooter(tally.count + chunk.samples)
    return end, streams


def recover_recording(path: Path) -> Recovered:
    """Make a recording whole that was cut off, and have its card say so, where it has one.

    Raises
    ------
    BadRecording
        If it is being written, or cannot be recovered.
    """
    card = load_card(path)
    noted = card.state in ("recording", "unfinished", "damaged")
    try:
        done = recover(path)
    except FileInUse:
        raise
    except BadRecording as error:
        if noted:
            save_if_possible(path, replace(card, state="damaged", reason=str(error)))
        raise
    if noted and done.whole:
        save_if_possible(path, replace(card, state="finished"))
    elif noted:
        save_if_possible(path, replace(card, state="recovered", reason=f"it was cut off: {done}"))
    return done
