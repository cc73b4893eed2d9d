"""drivers/formats/read.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import ModuleType

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording, DriverError
from mimamba.drivers.formats.recording import Recording, one_line

LARGEST = 2**30
"""Bytes. A file of this size holds 24 hours of a Muse as CSV."""


HEAD = 4096
"""Bytes by which a format is recognised."""


Read = Callable[[Path, ChannelChoice, str | None], "Recording"]


def read_recording(
    path: str | Path,
    choice: ChannelChoice | None = None,
    stream: str | None = None,
    board: str | None = None,
) -> Recording:
    """Read a file; its content tells the format.

    Parameters
    ----------
    path
        The file.
    choice
        Which channels, and what to call them; the EEG channels as the file names them otherwise.
    stream
        The signal's name, where a file holds several.
    board
        BrainFlow's board by name or number, where a file of BrainFlow does not tell it.

    Raises
    ------
    BadRecording
        If it is no file, has no known format, or holds no signal.
    BadChannels
        If the channels asked for are not there.
    """
    path = Path(path)
    read = _reader(path, _head(path), board)
    try:
        recording = read(path, choice or ChannelChoice(), stream)
    except MemoryError as error:
        raise BadRecording(f"memory to read {path}", "too little", "split the file") from error
    except OSError as error:
        raise BadRecording(
            f"to read {path}", f"{error.strerror or error}", "check the file and its disk"
        ) from error
    except DriverError as error:  # may cite the file, and so have several lines
        raise type(error)(*map(one_line, (error.expected, error.found, error.remedy))) from error
    info = recording.info
    names, notices = (tuple(map(one_line, texts)) for texts in (info.ch_names, info.notices))
    return replace(recording, info=replace(info, ch_names=names, notices=notices))


def _readers() -> dict[str, ModuleType]:
    # They import this module, and some of them a library that few runs need.
    from mimamba.drivers.formats.edf import reader as edf
    from mimamba.drivers.formats.mne import brainvision, fif
    from mimamba.drivers.formats.tables import csv_reader, parquet_reader
    from mimamba.drivers.formats.vendors import brainflow, mind_monitor, muse_lsl, openbci_gui
    from mimamba.drivers.formats.xdf import reader as xdf

    return {
        "muse-lsl CSV": muse_lsl,
        "XDF": xdf,
        "Mind Monitor CSV": mind_monitor,
        "BrainFlow CSV": brainflow,
        "OpenBCI GUI text": openbci_gui,
        "EDF, EDF+ or BDF": edf,
        "FIF": fif,
        "BrainVision": brainvision,
        "mimamba CSV": csv_reader,
        "Parquet": parquet_reader,
    }


def _reader(path: Path, head: bytes, board: str | None) -> Read:
    readers = _readers()
    for name, module in readers.items():
        if module.recognises(head):
            read: Read = module.read
            if board is None:
                return read
            if name == "BrainFlow CSV":
                return partial(module.read, board=board)
            raise BadRecording(
                "a file of BrainFlow, to go with board=", f"{name} in {path}", "take board out"
            )
    kind = "binary data" if b"\0" in head else "text"
    raise BadRecording(
        f"a recording ({', '.join(readers)})", f"{kind} of no known format in {path}", "convert it"
    )


def _head(path: Path) -> bytes:
    """The first bytes of a file that is there, is not empty, and not too large."""
    try:
        facts = path.stat()
        size = facts.st_size
        if not S_ISREG(facts.st_mode):  # opening a pipe would block
            what = "the folder" if S_ISDIR(facts.st_mode) else "no regular file:"
            raise BadRecording("a recording", f"{what} {path}", "name a file")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadRecording(
            f"a recording at {path}", f"{reason}", "check the path and its permissions"
        ) from error
    if not head:
        raise BadRecording("a recording", f"an empty file: {path}", "record again")
    if size > LARGEST:
        raise BadRecording(
            f"a recording of up to {LARGEST:,} bytes", f"{size:,} in {path}", "split the file"
        )
    return head
