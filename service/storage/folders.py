"""Where recordings lie, and the room for them there."""

from __future__ import annotations

import shutil
from errno import ENOSPC
from pathlib import Path

from platformdirs import user_data_path

LOW_BYTES = 256 << 20
"""Free space below which a warning is given: 8 hours of four channels at 256 Hz, where nothing
else writes."""
LEAST_BYTES = 256 << 10
"""Free space below which a recording ends, its end still written: half a minute of the same."""


class CannotRecord(RuntimeError):
    """There is no room for a recording, or its folder takes no file; one clear line."""


def free_space(folder: Path) -> int:
    """Bytes that can be written there; raises OSError."""
    return shutil.disk_usage(folder).free


def check_room(folder: Path) -> None:
    """Raise CannotRecord where a recording would end as soon as it began."""
    free = free_space(folder)
    if free < 2 * LEAST_BYTES:
        raise cannot_record(folder, OSError(ENOSPC, f"{free / 1e6:.1f} MB of free space"))


def cannot_record(folder: Path, error: OSError) -> CannotRecord:
    """What to tell of a folder that takes no recording."""
    return CannotRecord(
        f"Expected to write a recording to {folder}, but found: {error.strerror or error}. "
        "Make room there, or choose another folder with --data-dir."
    )


def data_folder(chosen: Path | None) -> Path:
    """The folder of the recordings: the chosen one, or a place of the user's own."""
    return chosen or user_data_path("mimamba", appauthor=False)
