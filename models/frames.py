"""What two processes that step one network say to each other, over a pair of pipes.

A frame is a head and a body: the body's length, what it is, and a count that tells its layout. A
batch is laid out as rows (int32), gates and windows (float32); native byte order, since both ends
are one machine's. Each request has one answer, so nothing is ever ahead of what is read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from io import FileIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.architecture import MSiMambaConfig

HEAD = struct.Struct("=IBxH")
LONGEST = 128 << 20
"""Bytes of a frame; a network's weights take half as much at most."""
FIRST_ROOM = 1 << 16
MOST_HOPS = 256
"""Of a batch, 0.5 MB in the reference configuration; a pipe holds it (``worker.py``)."""


class Kind(IntEnum):
    """What a frame is. DONE and REFUSED answer all others."""

    NETWORK = 1  # architecture (JSON, as long as the count says), weights (safetensors)
    STEP = 2  # a batch; answered by logits (float32)
    SNAPSHOT = 3  # rows; answered by their states, as the pool's snapshot
    RESTORE = 4  # rows, and their states
    DONE = 5
    REFUSED = 6  # why, in UTF-8


@dataclass(frozen=True)
class Frame:
    """What was received; the body is good until the next one is."""

    kind: int
    count: int
    body: memoryview


class Batch(NamedTuple):
    """A batch where it lies in a frame's body."""

    rows: NDArray[np.int32]
    """(B,)"""
    gates: NDArray[np.float32]
    """(B,)"""
    windows: NDArray[np.float32]
    """(B, C, L), µV."""

    @classmethod
    def within(cls, body: memoryview, count: int, config: MSiMambaConfig) -> Batch:
        """Views; raises ValueError where the body is not as long as so many hops."""
        size = config.n_channels * config.n_times
        if len(body) != (wanted := count * (4 + 4 + 4 * size)):
            raise ValueError(f"wanted {wanted} bytes for {count} hops; found {len(body)}")
        floats = np.frombuffer(body, np.float32)
        windows = floats[2 * count :].reshape(count, config.n_channels, config.n_times)
        return cls(rows_within(body[: 4 * count], count), floats[count : 2 * count], windows)


def rows_within(body: memoryview, count: int) -> NDArray[np.int32]:
    """The rows that a body begins with; raises ValueError where it is shorter."""
    if len(body) < 4 * count:
        raise ValueError(f"wanted {count} rows; found {len(body)} bytes")
    return np.frombuffer(body, np.int32, count)


def frame(kind: Kind, count: int = 0, *parts: bytes) -> bytes:
    """A whole frame."""
    return b"".join((HEAD.pack(sum(map(len, parts)), kind, count), *parts))


def rows_frame(kind: Kind, rows: Sequence[int], content: bytes = b"") -> bytes:
    """A frame that begins with rows."""
    return frame(kind, len(rows), np.array(rows, np.int32).tobytes(), content)


class Pipes:
    """One end of the conversation; for one thread at a time."""

    def __init__(self, reader: FileIO, writer: FileIO) -> None:
        self._reader, self._writer = reader, writer
        self._room = bytearray(FIRST_ROOM)

    def send(self, frame: bytes | memoryview) -> None:
        """Write a whole frame, at once where the pipe takes it."""
        left = memoryview(frame)
        while left:
            left = left[self._writer.write(left) :]

    def receive(self) -> Frame | None:
        """The next frame; None where the other end is gone.

        Raises
        ------
        ValueError
            If it is longer than any, or not alone.
        """
        have, needed = 0, HEAD.size
        while have < needed:
            count = self._reader.readinto(memoryview(self._room)[have:])
            if not count:
                return None
            have += count
            if have >= HEAD.size:
                needed = HEAD.size + HEAD.unpack_from(self._room)[0]
                self._reach(needed)
        if have > needed:
            raise ValueError(f"wanted one frame of {needed} bytes; found {have}")
        _, kind, count = HEAD.unpack_from(self._room)
        return Frame(kind, count, memoryview(self._room)[HEAD.size : needed])

    def close(self) -> None:
        """Close both pipes."""
        self._reader.close()
        self._writer.close()

    def _reach(self, needed: int) -> None:
        if needed > LONGEST:
            raise ValueError(f"wanted a frame of at most {LONGEST} bytes; found {needed}")
        if needed > len(self._room):  # anew: who holds a view of the old one keeps it
            self._room = self._room + bytes(needed - len(self._room))
