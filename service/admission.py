"""Which sources the API may open: a subscriber must not read the server's files."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlencode

from drivers.source import parse_source

FILE_PARAMETERS = frozenset({"file", "file_anc", "file_aux", "master_board", "other_info"})
"""BrainFlow's parameters that name files, streamers or what a vendor's code makes of them."""
SERIAL_PORT = r"/dev/(tty|cu\.)[\w.-]+|/dev/serial/[\w.:/+@-]+|COM[0-9]+"
"""What serial ports are called; another path would tell whether its file is there."""


class NotAdmitted(PermissionError):
    """A source may be opened on the command line, but not over the API."""


def admit(url: str, files: Path | None) -> str:
    """The source to open for a request, its path made absolute.

    Parameters
    ----------
    url
        The source asked for.
    files
        The folder whose recordings the API may play; None plays none.

    Raises
    ------
    BadSource
        If the URL has no known scheme.
    NotAdmitted
        If it names a file outside of ``files``, or as a serial port what is none.
    """
    source = parse_source(url)
    named = sorted(FILE_PARAMETERS & source.parameters.keys())
    if source.scheme == "brainflow" and named:
        raise NotAdmitted(
            f"wanted parameters that name no file; found {', '.join(named)}; "
            "open this source with mimamba serve --source"
        )
    if source.scheme == "brainflow":
        _check_port(source.parameters.get("serial_port"))
    if source.scheme != "replay":
        return url
    if files is None:
        raise NotAdmitted(
            f"wanted a live source; found the file {source.place!r}; "
            "start the service with --files DIR to play recordings of that folder"
        )
    path = (files / source.place).resolve()
    if not path.is_relative_to(files.resolve()):
        raise NotAdmitted(
            f"wanted a recording below the --files folder; found {source.place!r}; "
            "move it there or name it relative to that folder"
        )
    query = urlencode(source.parameters)
    return f"replay://{quote(str(path))}" + (f"?{query}" if query else "")


def _check_port(port: str | None) -> None:
    if port is not None and (".." in port or not re.fullmatch(SERIAL_PORT, port)):
        raise NotAdmitted(
            "wanted a serial port (/dev/tty.., /dev/cu..., /dev/serial/.. or COM and a number); "
            "found another name; correct it, or open this source with mimamba serve --source"
        )
