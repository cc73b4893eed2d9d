"""Recovery of recordings that a crash or a power cut has cut off."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from errno import EINVAL
from mmap import ACCESS_READ, mmap
from pathlib import Path

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.xdf.chunk_writer import (
    FOOTER,
    STREAM_HEADER,
    StreamFooter,
    encode_footer,
)
from mimamba.drivers.formats.xdf.intact_chunks import BOUNDARY, MAGIC, Bytes, leading_chunks
from mimamba.drivers.runtime.file_locks import BINARY, NO_WAIT, lock_file
from mimamba.service.recordings.file_facts import signal_seconds
from mimamba.service.recordings.sidecar import load_sidecar, save_sidecar_if_possible


class FileInUse(BadRecording):
    """Another program is writing the file."""


@dataclass(frozen=True)
class Recovered:
    """Changes made to a file: bytes cut off its end, and whether footers were added.

    ``seconds`` is the length of its signal, if that is known.
    """

    cut: int
    ended: bool
    seconds: float | None = None

    @property
    def whole(self) -> bool:
        """True if the file was complete already."""
        return not self.cut and not self.ended

    def __str__(self) -> str:
        if self.whole:
            return "complete"
        return (
            f"{self.cut} bytes of an incomplete part were removed"
            if self.cut
            else "its end was added"
        )


def recover(path: Path) -> Recovered:
    """Cut an XDF file after its last complete chunk and add missing footers of streams.

    A complete file stays unchanged. If this is interrupted, it can run again.

    Raises
    ------
    FileInUse
        If a program is writing it.
    BadRecording
        If it cannot be read or written, has no stream, or is damaged before its end: readers skip
        the damage, and samples after it must not be lost.
    """
    try:
        with _locked(path, os.O_RDWR) as file:
            return _recover(path, file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadRecording(
            f"to read and write {path}", reason, "check the path, its permissions and the disk"
        ) from error


def is_being_written(path: Path) -> bool:
    """Return whether a recorder has the file open."""
    try:
        with _locked(path, os.O_RDONLY, shared=True):
            return False
    except FileInUse:
        return True
    except OSError:
        return False


@contextmanager
def _locked(path: Path, access: int, shared: bool = False) -> Iterator[int]:
    file = os.open(path, access | BINARY | NO_WAIT)  # a pipe would block
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(EINVAL, "it is not a file")
        lock_file(file, shared)
        yield file
    except BlockingIOError:
        raise FileInUse(
            "a recording that has ended", f"{path} in progress", "stop it first"
        ) from None
    finally:
        os.close(file)


def _recover(path: Path, file: int) -> Recovered:
    size = os.fstat(file).st_size
    if size == 0:
        raise BadRecording(f"an XDF file at {path}", "an empty file", "delete it")
    with mmap(file, size, access=ACCESS_READ) as data:
        if data[: len(MAGIC)] != MAGIC:
            raise BadRecording(f"an XDF file at {path}", "another format", "choose another file")
        end, streams = _survey(data)
        if not streams:
            raise BadRecording(
                f"an XDF file with a stream at {path}", "no complete one", "delete it"
            )
        if data.find(BOUNDARY, end) >= 0:
            raise BadRecording(
                f"a file that is damaged at its end only, at {path}",
                f"damage from byte {end:,} on, and complete chunks after it",
                "leave it unchanged: readers skip the damage",
            )
        seconds = signal_seconds(data)
    os.ftruncate(file, end)
    os.lseek(file, end, os.SEEK_SET)
    missing = {stream: each for stream, each in streams.items() if each is not None}
    footers = b"".join(encode_footer(stream, each) for stream, each in missing.items())
    while footers:
        footers = footers[os.write(file, footers) :]
    os.fsync(file)
    return Recovered(size - end, bool(missing), seconds)


def _survey(data: Bytes) -> tuple[int, dict[int, StreamFooter | None]]:
    """Return the end of the last complete chunk, and each stream's footer; None if it has one."""
    end = 0
    streams: dict[int, StreamFooter | None] = {}
    for chunk in leading_chunks(data):
        end = chunk.stop
        found = streams.get(chunk.stream)
        if chunk.tag == STREAM_HEADER:
            streams[chunk.stream] = StreamFooter()
        elif chunk.tag == FOOTER:
            streams[chunk.stream] = None
        elif found is not None:
            streams[chunk.stream] = StreamFooter(found.count + chunk.samples)
    return end, streams


def recover_recording(path: Path) -> Recovered:
    """Recover a recording that was cut off, and note that in its sidecar if it has one.

    Raises
    ------
    BadRecording
        If it is in progress, or cannot be recovered.
    """
    sidecar = load_sidecar(path)
    noted = sidecar.state in ("recording", "unfinished", "damaged")
    try:
        done = recover(path)
    except FileInUse:
        raise
    except BadRecording as error:
        if noted:
            save_sidecar_if_possible(path, replace(sidecar, state="damaged", reason=str(error)))
        raise
    if noted:
        sidecar = replace(sidecar, seconds=done.seconds)
        if done.whole:
            sidecar = replace(sidecar, state="finished")
        else:
            sidecar = replace(sidecar, state="recovered", reason=f"it was cut off: {done}")
        save_sidecar_if_possible(path, sidecar)
    return done
