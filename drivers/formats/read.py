"""Read a recording of any supported format, which is recognised by its content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import ModuleType
from typing import TYPE_CHECKING

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording, DriverError
from mimamba.drivers.formats.marker_edits import apply_marker_edits
from mimamba.drivers.formats.recording import Recording, one_line
from mimamba.drivers.timing.stamp_check import MAX_SFREQ, MIN_SFREQ
from mimamba.drivers.url import SourceURL

if TYPE_CHECKING:
    from mimamba.drivers.formats.xdf.reader import XDFStream

MAX_BYTES = 2**30
"""Largest file that is read, bytes: 24 hours of a Muse as CSV."""

HEAD_BYTES = 4096
"""Bytes from which a format is recognised."""
STAMPED = {
    "muse-lsl CSV",
    "XDF",
    "Mind Monitor CSV",
    "BrainFlow CSV",
    "OpenBCI GUI text",
    "OpenBCI SD card",
}
"""Formats whose rate may be unsure, so that ``sfreq=`` decides."""

ReadFunction = Callable[[Path, ChannelChoice, str | None], "Recording"]


@dataclass(frozen=True)
class ReadOptions:
    """Options of reading, for files that do not say enough.

    Parameters
    ----------
    stream
        Name of the signal, for a file with several.
    board
        BrainFlow's board by name or number, for a file whose columns fit several boards.
    sfreq
        Sampling frequency, Hz, for a file with stamps that declares none or a wrong one.
    """

    stream: str | None = None
    board: str | None = None
    sfreq: float | None = None

    @classmethod
    def from_url(cls, source: SourceURL) -> ReadOptions:
        """Read the parameters from a source's URL; raises BadSource."""
        sfreq = source.number("sfreq", 0.0, MIN_SFREQ, MAX_SFREQ)
        return cls(source.text("stream"), source.text("board"), sfreq or None)


NO_OPTIONS = ReadOptions()


def read_recording(
    path: str | Path,
    choice: ChannelChoice | None = None,
    options: ReadOptions = NO_OPTIONS,
    edited: bool = True,
) -> Recording:
    """Read a file; its format is recognised by its content.

    Parameters
    ----------
    path
        Path of the file.
    choice
        Channels and their names; by default the EEG channels with the file's names.
    options
        Options for a file that does not say enough.
    edited
        Apply the edits of markers that are kept beside the file.

    Raises
    ------
    BadRecording
        If the file does not exist, has no known format, or contains no signal.
    BadChannels
        If a channel asked for does not exist.
    """
    path = Path(path)
    read = _find_reader(path, _head(path), options)
    return _completed(path, lambda: read(path, choice or ChannelChoice(), options.stream), edited)


def read_with_streams(
    path: str | Path,
    choice: ChannelChoice | None = None,
    options: ReadOptions = NO_OPTIONS,
    edited: bool = True,
) -> tuple[Recording, list[XDFStream]]:
    """Read a file once: its EEG channels, and all streams of an XDF file; none of others.

    Parameters and errors are those of ``read_recording``.
    """
    from mimamba.drivers.formats.xdf import reader as xdf

    path = Path(path)
    head = _head(path)
    if not xdf.recognises(head):
        return read_recording(path, choice, options, edited), []
    if options.board is not None:
        _find_reader(path, head, options)  # refuses it
    streams: list[XDFStream] = []

    def read() -> Recording:
        loaded, notices = xdf.load_streams(path)
        streams.extend(loaded)
        chosen = choice or ChannelChoice()
        return xdf.make_from_streams(path, loaded, notices, chosen, options.stream, options.sfreq)

    return _completed(path, read, edited), streams


def _completed(path: Path, read: Callable[[], Recording], edited: bool) -> Recording:
    """Read a file, name what hinders that, and apply the edits of its markers if asked."""
    try:
        recording = read()
    except MemoryError as error:
        raise BadRecording(
            f"enough memory to read {path}", "too little", "split the file"
        ) from error
    except OSError as error:
        raise BadRecording(
            f"a readable file at {path}",
            f"{error.strerror or error}",
            "check the file and its disk",
        ) from error
    except DriverError as error:  # may quote the file, and so have several lines
        raise type(error)(*map(one_line, (error.expected, error.found, error.remedy))) from error
    info = recording.info
    names, notices = (tuple(map(one_line, texts)) for texts in (info.ch_names, info.notices))
    recording = replace(recording, info=replace(info, ch_names=names, notices=notices))
    return apply_marker_edits(recording, path) if edited else recording


def _readers() -> dict[str, ModuleType]:
    """Return the reader of each format, in the order in which they are tried."""
    # Some of them import a library that few runs need.
    from mimamba.drivers.formats.edf import reader as edf
    from mimamba.drivers.formats.mne import brainvision, eeglab, fif
    from mimamba.drivers.formats.tables import csv_reader, parquet_reader
    from mimamba.drivers.formats.vendors import (
        brainflow,
        mind_monitor,
        muse_lsl,
        openbci_gui,
        openbci_sd,
    )
    from mimamba.drivers.formats.xdf import reader as xdf

    return {
        "muse-lsl CSV": muse_lsl,
        "XDF": xdf,
        "Mind Monitor CSV": mind_monitor,
        "OpenBCI SD card": openbci_sd,
        "BrainFlow CSV": brainflow,
        "OpenBCI GUI text": openbci_gui,
        "EDF, EDF+ or BDF": edf,
        "FIF": fif,
        "BrainVision": brainvision,
        "EEGLAB": eeglab,
        "mimamba CSV": csv_reader,
        "Parquet": parquet_reader,
    }


def _find_reader(path: Path, head: bytes, options: ReadOptions) -> ReadFunction:
    """Find the reader for a file by its first bytes, and give it the options it takes."""
    readers = _readers()
    for name, module in readers.items():
        if not module.recognises(head):
            continue
        read: Callable[..., Recording] = module.read
        if options.board is not None:
            if name != "BrainFlow CSV":
                raise BadRecording(
                    "a BrainFlow file for board=", f"{name} in {path}", "remove board="
                )
            read = partial(read, board=options.board)
        if options.sfreq is not None:
            if name not in STAMPED:
                raise BadRecording(
                    f"a file whose rate can be unsure ({', '.join(sorted(STAMPED))}) for sfreq=",
                    f"{name} in {path}",
                    "remove sfreq=",
                )
            read = partial(read, sfreq=options.sfreq)
        return read
    kind = "binary data" if b"\0" in head else "text"
    raise BadRecording(
        f"a recording ({', '.join(readers)})",
        f"{kind} of no known format in {path}",
        "convert the file",
    )


def _head(path: Path) -> bytes:
    """Return a file's first bytes; raises BadRecording if it is missing, empty or too large."""
    try:
        facts = path.stat()
        size = facts.st_size
        if not S_ISREG(facts.st_mode):  # opening a pipe would block
            what = "the folder" if S_ISDIR(facts.st_mode) else "the device or pipe"
            raise BadRecording("a recording", f"{what} {path}", "name a file")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadRecording(
            f"a recording at {path}", f"{reason}", "check the path and its permissions"
        ) from error
    if not head:
        raise BadRecording("a recording", f"the empty file {path}", "record again")
    if size > MAX_BYTES:
        raise BadRecording(
            f"a recording of up to {MAX_BYTES:,} bytes", f"{size:,} in {path}", "split the file"
        )
    return head
