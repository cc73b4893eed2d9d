"""Which sources the API may open: a subscriber must not read the server's files."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlencode

from mimamba.drivers.url import parse_source
from mimamba.service.recordings.library import NoRecording, Recordings
from mimamba.service.storage.private_files import NAME

FILE_PARAMETERS = frozenset({"file", "file_anc", "file_aux", "master_board", "other_info"})
"""BrainFlow's parameters that name files, streamers or what a vendor's code makes of them."""
SERIAL_PORT = r"/dev/(tty|cu\.)[\w.-]+|/dev/serial/[\w.:/+@-]+|COM[0-9]+"
"""What serial ports are called; another path would tell whether its file is there."""


class NotAdmitted(PermissionError):
    """A source may be opened on the command line, but not over the API."""


def admit(url: str, files: Path | None, recordings: Recordings | None = None) -> str:
    """The source to open for a request, its path made absolute.

    Parameters
    ----------
    url
        The source asked for.
    files
        The folder whose recordings the API may play; None plays none.
    recordings
        The service's own: ``replay://NAME`` plays the one of that name, once it has ended.

    Raises
    ------
    BadSource
        If the URL has no known scheme.
    RecordingRefused
        If it names a recording that is still being made.
    NotAdmitted
        If it names no recording and a file outside of ``files``, or as a serial port what is none.
    """
    source = parse_source(url)
    named = sorted(FILE_PARAMETERS & source.parameters.keys())
    if source.scheme == "brainflow" and named:
        raise NotAdmitted(
            f"Expected parameters that name no file, but found {', '.join(named)}. "
            "Open this source with mimamba serve --source."
        )
    if source.scheme == "brainflow":
        _check_port(source.parameters.get("serial_port"))
    if source.scheme != "replay":
        return url
    query = urlencode(source.parameters)
    path = _recorded(source.target, recordings) or _below(source.target, files)
    return f"replay://{quote(str(path))}" + (f"?{query}" if query else "")


def _recorded(name: str, recordings: Recordings | None) -> Path | None:
    """The recording of this name, if there is one; raises RecordingRefused while it is made."""
    if recordings is None or not re.fullmatch(NAME, name):
        return None
    try:
        return recordings.file(name).resolve()
    except NoRecording:
        return None


def _below(place: str, files: Path | None) -> Path:
    if files is None:
        raise NotAdmitted(
            f"Expected a live source or a recording's name, but found the file {place!r}. "
            "Start the service with --files DIR to play recordings of that folder."
        )
    path = (files / place).resolve()
    if not path.is_relative_to(files.resolve()):
        raise NotAdmitted(
            f"Expected a recording below the --files folder, but found {place!r}. "
            "Move it there or name it relative to that folder."
        )
    return path


def _check_port(port: str | None) -> None:
    if port is not None and (".." in port or not re.fullmatch(SERIAL_PORT, port)):
        raise NotAdmitted(
            "Expected a serial port (/dev/tty.., /dev/cu..., /dev/serial/.. or COM and a number), "
            "but found another name. Correct it, or open this source with mimamba serve --source."
        )
