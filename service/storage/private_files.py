"""Files that only their owner can read, and that are replaced completely or not at all.

Only regular files count. A link in the data folder could lead anywhere, a folder has no content,
and a pipe would block its reader: they are treated as if there was no file.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mimamba.drivers.runtime.file_locks import BINARY, NO_LINK, NO_WAIT, create_private, lock_file

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,79}[A-Za-z0-9_-])?"
"""Names of recordings and people: valid file names on every system, without a folder."""
LOCK_SECONDS = 5.0
"""Seconds to wait for a lock of another program: a change of a file takes some milliseconds."""
LOCK_PERIOD = 0.005
"""Seconds between two tries."""


class LockHeld(TimeoutError):
    """Another program holds a lock, as one that hangs does."""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, on the disk when this returns; raises OSError."""
    partial = partial_of(path)
    _unlink(partial)  # one left by a crash may be readable by all
    with os.fdopen(create_private(partial), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def locked(path: Path, patience: float = LOCK_SECONDS) -> Iterator[None]:
    """Keep other services, and other threads, from what a lock file, made here, stands for.

    Raises
    ------
    LockHeld
        If another one holds the lock for ``patience`` seconds.
    OSError
        If the file cannot be made or locked.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | BINARY | NO_LINK, 0o600)) as file:
        end = time.monotonic() + patience
        while not _lock(file.fileno()):
            if time.monotonic() >= end:
                reason = f"another program held the lock {path.name} for {patience:g} s"
                raise LockHeld(errno.ETIMEDOUT, reason, str(path))
            time.sleep(LOCK_PERIOD)
        yield


def _lock(descriptor: int) -> bool:
    """Lock a file; return whether nobody else holds the lock."""
    try:
        lock_file(descriptor)
    except BlockingIOError:
        return False
    return True


def explain(error: OSError, remedy: str) -> str:
    """Return why a file cannot be written, and what to do: a remedy, or to try again."""
    if isinstance(error, LockHeld):
        remedy = "Try again, and end that program if it hangs."
    return f"{error.strerror or error}. {remedy}"


def delete_file(path: Path) -> bool:
    """Delete a file and what a crash has left of it; returns whether it existed. Raises OSError."""
    _unlink(partial_of(path))
    existed = is_regular(path)
    _unlink(path)
    return existed


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def read_regular(path: Path) -> bytes:
    """Read a regular file; raises FileNotFoundError if there is none, and OSError."""
    if not is_regular(path):
        raise FileNotFoundError(path)
    # It may have been replaced since.
    file = os.open(path, os.O_RDONLY | BINARY | NO_LINK | NO_WAIT)
    with os.fdopen(file, "rb") as opened:
        return opened.read()


def _unlink(path: Path) -> None:
    """Delete a file or a link, not what it leads to; leave a folder."""
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()


def partial_of(path: Path) -> Path:
    """Return the path to which the next content of a file is written."""
    return path.with_name(f"{path.name}.partial")
