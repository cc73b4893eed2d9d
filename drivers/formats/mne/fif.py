"""FIF, as MNE and MEGIN's programs write it, through MNE.

Of a recording in several files the first may be named; those that follow lie beside it. MNE follows
a chain of tags wherever it points, so the chain is walked first: it must lead on to the end.
"""

from __future__ import annotations

from pathlib import Path
from struct import unpack

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.mne.raw import open_raw, recording_of
from mimamba.drivers.formats.recording import Recording, refuse_stream

MAGIC = bytes.fromhex("00000064 0000001f 00000014")
"""Every file begins with its identity: tag 100, type 31, 20 bytes (FIFF, by MEGIN)."""
TAG = 16
"""Bytes of a tag: kind, type, size, where the next one is."""


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's."""
    return head.startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    refuse_stream(stream, "FIF")
    from mne.io import read_raw_fif

    _check_tags(path)
    raw = open_raw(
        lambda: read_raw_fif(path, on_split_missing="ignore", verbose="ERROR"), "FIF", path
    )
    elsewhere = [name for name in map(Path, raw.filenames) if name.parent != path.resolve().parent]
    if elsewhere:
        raise BadRecording(f"the parts of {path} beside it", str(elsewhere[0]), "move them there")
    return recording_of(raw, "FIF", path, choice)


def _check_tags(path: Path) -> None:
    """Raises BadRecording unless each tag lies within the file and behind the one before."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            tag = file.read(TAG)
            if len(tag) < TAG:
                break
            length, further = unpack(">8xii", tag)
            if further < 0:
                return
            end = at + TAG + length
            if length < 0 or end > size or (further and further < end):
                break
            at = further or end
    if at != size:
        raise BadRecording(
            f"a whole FIF file at {path}", f"it is cut or damaged at byte {at}", "record again"
        )
