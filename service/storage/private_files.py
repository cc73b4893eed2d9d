"""Files that only their owner may read, replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,79}[A-Za-z0-9_-])?"
"""What a recording or a person may be called: a file's name on every system, without a folder."""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, on the disk when this returns; raises OSError."""
    partial = partial_of(path)
    partial.unlink(missing_ok=True)  # one that was left by a crash may be open to all
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def delete_file(path: Path) -> bool:
    """Remove a file and what a crash has left of it; whether it was there. Raises OSError."""
    partial_of(path).unlink(missing_ok=True)
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def partial_of(path: Path) -> Path:
    """Where the next content of a file is written."""
    return path.with_name(f"{path.name}.partial")
