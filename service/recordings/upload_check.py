"""A separate program that reads an uploaded file, so that no file can harm the service.

``python -m mimamba.service.recordings.upload_check FOLDER NAME MEMORY`` reads FOLDER/given/NAME
within limits, of which MEMORY is one (bytes), and prints one JSON object: the signal's length, or
why the file is refused. It converts a file of another format than XDF to FOLDER/converted.xdf.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from mimamba.drivers.runtime.process_limits import limit_process

GIVEN, CONVERTED = "given", "converted.xdf"
"""In the upload's folder: the folder of the uploaded file, and the file to store instead."""
MAX_SECONDS = 300
"""Of the clock and of processor time."""
MAX_MEMORY = 4 << 30
"""Bytes of address space. pyarrow needs 1.4 GiB before it has read a byte, the rest 0.2 GiB."""
MAX_WRITTEN = 1 << 30
"""Bytes of the converted file; readers refuse a longer one."""


class ReadableUpload(msgspec.Struct, frozen=True, tag=True):
    """A readable upload, with its signal's length (s)."""

    seconds: float


class RefusedUpload(msgspec.Struct, frozen=True, tag=True):
    """A refused upload; fields as in ``drivers.errors.Mismatch``."""

    expected: str
    found: str
    remedy: str


def read(folder: Path, name: str) -> ReadableUpload | RefusedUpload:
    """Read a file, and convert it to XDF if it has another format."""
    from mimamba.drivers.errors import DriverError
    from mimamba.drivers.formats.convert import export
    from mimamba.drivers.formats.mne import brainvision
    from mimamba.drivers.formats.read import HEAD_BYTES, read_recording
    from mimamba.drivers.formats.xdf import reader

    os.chdir(folder / GIVEN)  # so that no error shows the folder's path
    try:
        with Path(name).open("rb") as file:
            head = file.read(HEAD_BYTES)
        if brainvision.recognises(head):
            found = "the header of a BrainVision recording, which has two other files"
            return RefusedUpload(
                "one file", found, "convert it with mimamba convert, and upload the result"
            )
        recording = read_recording(Path(name))
        if not reader.recognises(head):
            export(recording, str(folder / CONVERTED))
    except DriverError as error:
        return RefusedUpload(error.expected, error.found, error.remedy)
    except MemoryError:
        return RefusedUpload(f"enough memory to read {name}", "too little", "split the file")
    return ReadableUpload(recording.end / recording.info.sfreq)


def main(folder: str, name: str, memory: str) -> None:
    """Print the result."""
    limit_process(int(memory), MAX_SECONDS, MAX_WRITTEN)
    sys.stdout.buffer.write(msgspec.json.encode(read(Path(folder), name)))


if __name__ == "__main__":
    main(*sys.argv[1:])
