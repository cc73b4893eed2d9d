"""Reader of BrainVision's three files, through MNE; the path is the header's (``.vhdr``).

The header names the files of samples and of markers. They must be in the same folder: a foreign
header could name any file of the machine.
"""

from __future__ import annotations

import re
from pathlib import Path

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.mne.raw import open_raw, raw_to_recording
from mimamba.drivers.formats.recording import Recording, reject_stream

MAGIC = re.compile(rb"(?:\xef\xbb\xbf)?Brain ?Vision( Core| V-Amp)? Data( Exchange)? Header File")
MAX_HEADER_BYTES = 2**20
MAX_CHANNELS = 1024
SUFFIXES = {".vhdr", ".ahdr"}
"""Suffixes that MNE accepts for a header."""


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's header."""
    return MAGIC.match(head) is not None


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "BrainVision")
    from mne.io import read_raw_brainvision

    _check_header(path)
    raw = open_raw(lambda: read_raw_brainvision(path, verbose="ERROR"), "BrainVision", path)
    return raw_to_recording(raw, "BrainVision", path, choice, typed=False)


def _check_header(path: Path) -> None:
    """Raise BadRecording for a header that MNE must not read."""
    if path.suffix.lower() not in SUFFIXES or path.stat().st_size > MAX_HEADER_BYTES:
        raise BadRecording(
            f"a BrainVision header (.vhdr) of up to {MAX_HEADER_BYTES:,} bytes",
            f"{path}, {path.stat().st_size:,} bytes",
            "give the path of the header",
        )
    text = path.read_bytes().decode("latin-1")
    for key in ("DataFile", "MarkerFile"):
        for name in re.findall(rf"(?im)^\s*{key}\s*=\s*(.*?)\s*$", text):
            if name and (Path(name).name != name or "\\" in name):
                raise BadRecording(f"{key} in the folder of {path}", name[:80], "move it there")
    for count in re.findall(r"(?im)^\s*NumberOfChannels\s*=\s*(\S*)", text):
        if not count.isdecimal() or not 1 <= int(count) <= MAX_CHANNELS:
            raise BadRecording(
                f"1 to {MAX_CHANNELS} channels in {path}", count[:20], "record again"
            )
