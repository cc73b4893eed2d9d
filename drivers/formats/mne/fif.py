"""Reader of FIF, through MNE.

For a recording in several files, give the path of the first; the others must be in the same folder.
MNE follows a chain of tags wherever it points, so the chain is checked first: it must lead forward
to the end.
"""

from __future__ import annotations

from pathlib import Path
from struct import unpack

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.mne.raw import open_raw, raw_to_recording
from mimamba.drivers.formats.recording import Recording, reject_stream

MAGIC = bytes.fromhex("00000064 0000001f 00000014")
"""Every file begins with its identity: tag 100, type 31, 20 bytes (FIFF, by MEGIN)."""
TAG_BYTES = 16
"""Bytes of a tag: kind, type, size, position of the next one."""


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's."""
    return head.startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "FIF")
    from mne.io import read_raw_fif

    _check_tags(path)
    raw = open_raw(
        lambda: read_raw_fif(path, on_split_missing="ignore", verbose="ERROR"), "FIF", path
    )
    elsewhere = [name for name in map(Path, raw.filenames) if name.parent != path.resolve().parent]
    if elsewhere:
        raise BadRecording(
            f"the parts of {path} in its folder", str(elsewhere[0]), "move them there"
        )
    return raw_to_recording(raw, "FIF", path, choice)


def _check_tags(path: Path) -> None:
    """Raise BadRecording unless each tag lies within the file and after the one before."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            tag = file.read(TAG_BYTES)
            if len(tag) < TAG_BYTES:
                break
            length, further = unpack(">8xii", tag)
            if further < 0:
                return
            end = at + TAG_BYTES + length
            if length < 0 or end > size or (further and further < end):
                break
            at = further or end
    if at != size:
        raise BadRecording(
            f"a complete FIF file at {path}",
            f"one that is cut off or damaged at byte {at}",
            "record again",
        )
