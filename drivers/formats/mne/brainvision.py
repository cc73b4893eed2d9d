"""BrainVision's three files, through MNE: the header (``.vhdr``) is the one to name.

The header names the files of samples and of markers. They must lie beside it: a header from
elsewhere could name any file of the machine.
"""

from __future__ import annotations

import re
from pathlib import Path

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.mne.raw import open_raw, recording_of
from mimamba.drivers.formats.recording import Recording, refuse_stream

MAGIC = re.compile(rb"(?:\xef\xbb\xbf)?Brain ?Vision( Core| V-Amp)? Data( Exchange)? Header File")
LARGEST_HEADER = 2**20
MOST_CHANNELS = 1024
SUFFIXES = {".vhdr", ".ahdr"}
"""What MNE asks a header to be called."""


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's header."""
    return MAGIC.match(head) is not None


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    refuse_stream(stream, "BrainVision")
    from mne.io import read_raw_brainvision

    _check_header(path)
    raw = open_raw(lambda: read_raw_brainvision(path, verbose="ERROR"), "BrainVision", path)
    return recording_of(raw, "BrainVision", path, choice)


def _check_header(path: Path) -> None:
    """Raises BadRecording for what MNE would follow too far."""
    if path.suffix.lower() not in SUFFIXES or path.stat().st_size > LARGEST_HEADER:
        raise BadRecording(
            f"a BrainVision header (.vhdr) of up to {LARGEST_HEADER:,} bytes",
            f"{path}, {path.stat().st_size:,} bytes",
            "name the header",
        )
    text = path.read_bytes().decode("latin-1")
    for key in ("DataFile", "MarkerFile"):
        for name in re.findall(rf"(?im)^\s*{key}\s*=\s*(.*?)\s*$", text):
            if name and (Path(name).name != name or "\\" in name):
                raise BadRecording(f"{key} beside {path}", name[:80], "move it there")
    for count in re.findall(r"(?im)^\s*NumberOfChannels\s*=\s*(\S*)", text):
        if not count.isdecimal() or not 1 <= int(count) <= MOST_CHANNELS:
            raise BadRecording(
                f"1 to {MOST_CHANNELS} channels in {path}", count[:20], "record again"
            )
