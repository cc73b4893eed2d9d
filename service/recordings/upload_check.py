"""A program of its own that reads an uploaded file, so that no file can harm the service.

``python -m mimamba.service.recordings.upload_check FOLDER NAME MEMORY`` reads FOLDER/given/NAME
within the limits, of which MEMORY is one in bytes, and prints one JSON object: what was
found, or why it is refused. What is no XDF is written as FOLDER/kept.xdf.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

GIVEN, KEPT = "given", "kept.xdf"
"""In the upload's folder: where its file lies, and what is to be kept instead of it."""
LONGEST = 300
"""Seconds, of the clock and of the processor's time."""
MOST_MEMORY = 4 << 30
"""Bytes of address space. pyarrow takes 1.4 GiB before it has read a byte, all else 0.2 GiB."""
MOST_WRITTEN = 1 << 30
"""Bytes of the file that is written: a reader takes no longer one."""


class ReadableUpload(msgspec.Struct, frozen=True, tag=True):
    """It can be read; the signal's length, s."""

    seconds: float


class RefusedUpload(msgspec.Struct, frozen=True, tag=True):
    """It cannot; as ``drivers.driver.Mismatch``."""

    expected: str
    found: str
    remedy: str


def limit(memory: int) -> None:
    """Take from this process what it does not need; each limit where the system knows it."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, LONGEST),
        (resource.RLIMIT_FSIZE, MOST_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def read(folder: Path, name: str) -> ReadableUpload | RefusedUpload:
    """Read a file, and write what is to be kept of it."""
    from mimamba.drivers.convert import export
    from mimamba.drivers.errors import DriverError
    from mimamba.drivers.formats.mne import brainvision
    from mimamba.drivers.formats.read import HEAD_BYTES, read_recording
    from mimamba.drivers.formats.xdf import reader

    os.chdir(folder / GIVEN)  # so that what is said of the file tells of no folder
    try:
        with Path(name).open("rb") as file:
            head = file.read(HEAD_BYTES)
        if brainvision.recognises(head):
            found = "the header of a BrainVision recording, which has two files more"
            return RefusedUpload(
                "one file", found, "convert it with mimamba convert, and upload that"
            )
        recording = read_recording(name)
        if not reader.recognises(head):
            export(recording, str(folder / KEPT))
    except DriverError as error:
        return RefusedUpload(error.expected, error.found, error.remedy)
    except MemoryError:
        return RefusedUpload(f"memory to read {name}", "too little", "split the file")
    return ReadableUpload(recording.end / recording.info.sfreq)


def main(folder: str, name: str, memory: str) -> None:
    """Print what was found."""
    limit(int(memory))
    sys.stdout.write(msgspec.json.encode(read(Path(folder), name)).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
