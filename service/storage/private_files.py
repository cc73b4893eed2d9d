"""Files that only their owner can read, and that are replaced completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,79}[A-Za-z0-9_-])?"
"""Names of recordings and people: valid file names on every system, without a folder."""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, on the disk when this returns; raises OSError."""
    partial = partial_of(path)
    partial.unlink(missing_ok=True)  # one left by a crash may be readable by all
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def delete_file(path: Path) -> bool:
    """Delete a file and what a crash has left of it; returns whether it existed. Raises OSError."""
    partial_of(path).unlink(missing_ok=True)
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed


def partial_of(path: Path) -> Path:
    """Return the path to which the next content of a file is written."""
    return path.with_name(f"{path.name}.partial")
