"""The data folder and its free space."""

from __future__ import annotations

import shutil
from errno import EDQUOT, ENOSPC
from pathlib import Path
from tempfile import TemporaryFile

from platformdirs import user_data_path

from mimamba.drivers.errors import Mismatch

LOW_BYTES = 256 << 20
"""Free space below which the service warns: 8 hours of four channels at 256 Hz, if nothing else
writes."""
LEAST_BYTES = 256 << 10
"""Free space below which a recording ends, so that its end can still be written: half a minute of
the same."""


class CannotRecord(RuntimeError):
    """The disk is full, or the folder is not writable."""


class NoDataFolder(Mismatch):
    """The data folder that a person named does not exist."""


def free_space(folder: Path) -> int:
    """Return the bytes that can be written to a folder; raises OSError."""
    return shutil.disk_usage(folder).free


def check_free_space(folder: Path) -> None:
    """Raise CannotRecord if a recording would end as soon as it began."""
    free = free_space(folder)
    if free < 2 * LEAST_BYTES:
        raise cannot_record(folder, OSError(ENOSPC, f"{free / 1e6:.1f} MB of free space"))


def check_writable(folder: Path) -> None:
    """Raise CannotRecord if no recording could be written to a folder, which need not exist yet."""
    try:
        existing = nearest_existing(folder)
        with TemporaryFile(dir=existing) as file:
            file.write(b"0")
            file.flush()
        check_free_space(existing)
    except OSError as error:
        raise cannot_record(folder, error) from error


def nearest_existing(folder: Path) -> Path:
    """Return a folder, or the nearest of its parents that exists; raises OSError."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def cannot_record(folder: Path, error: OSError) -> CannotRecord:
    """Return the error for a folder that cannot be written to."""
    full = error.errno in (ENOSPC, EDQUOT)
    remedy = "Free some space there" if full else "Correct its path or its permissions"
    return CannotRecord(
        f"Cannot write a recording to {folder}: {error.strerror or error}. "
        f"{remedy}, or choose another folder with --data-dir."
    )


def data_folder(chosen: Path | None) -> Path:
    """Return the folder of recordings: the chosen one, or the user's data folder."""
    return chosen or user_data_path("mimamba", appauthor=False)
