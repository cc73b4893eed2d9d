"""Reader of EEGLAB's ``.set``, through MNE; the samples are in it or in an ``.fdt`` beside it.

A set is a MATLAB file of version 5 (Delorme and Makeig 2004, doi:10.1016/j.jneumeth.2003.10.009).
It may name any file of the machine for its samples, so the one it names must be in the same folder.
Values are µV. A channel without a type may be EEG or not; its name decides.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.mne.raw import open_raw, raw_to_recording
from mimamba.drivers.formats.recording import Recording, reject_stream

MAGIC = b"MATLAB "
SUFFIX = ".set"


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are those of a MATLAB file."""
    return head.startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "EEGLAB")
    if path.suffix.lower() != SUFFIX:
        raise BadRecording(
            "a MATLAB file of EEGLAB (.set)",
            f"{path}",
            "save the data set with EEGLAB, or export it",
        )
    _check_version(path)
    from mne.io import read_raw_eeglab

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about types, positions and boundaries
            raw = open_raw(lambda: read_raw_eeglab(path, verbose="ERROR"), "EEGLAB", path)
    except BadRecording as error:
        if "number of trials" in error.found:
            raise BadRecording(
                f"a continuous recording in {path}",
                "epochs, which have no times in between",
                "save the data set as it was before the epochs were cut",
            ) from error
        raise
    folder = path.parent.resolve()
    elsewhere = [name for name in map(Path, raw.filenames) if name.parent.resolve() != folder]
    if elsewhere:
        raise BadRecording(
            f"the samples of {path} in its folder", str(elsewhere[0]), "move them there"
        )
    return raw_to_recording(raw, "EEGLAB", path, choice, typed=False)


def _check_version(path: Path) -> None:
    """Raise BadRecording for MATLAB's version 7.3, which is another format (HDF5)."""
    with path.open("rb") as file:
        version = file.read(len(MAGIC) + 3)[len(MAGIC) :].decode("latin-1")
    if version != "5.0":
        raise BadRecording(
            f"a MATLAB file of version 5 to 7 at {path}",
            f"one of version {version}",
            "save the data set in EEGLAB with the option for files before version 7.3",
        )
