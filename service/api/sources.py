"""Routes of sources: the list of what can be opened, and the policy of what the API may open.

A client must not be able to read files of the server.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request

from mimamba.drivers.discovery.discover import Sources, discover_sources, list_known_sources
from mimamba.drivers.url import parse_source
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.recordings.recordings import NoRecording, Recordings
from mimamba.service.storage.private_files import NAME

FILE_PARAMETERS = frozenset({"file", "file_anc", "file_aux", "master_board", "other_info"})
"""BrainFlow's parameters that name files or streamers, or have a meaning for one vendor only."""
SERIAL_PORT = r"/dev/(tty|cu\.)[\w.-]+|/dev/serial/[\w.:/+@-]+|COM[0-9]+"
"""Names of serial ports; with any other path, the error would show if that file exists."""

sources_api = APIRouter(prefix="/v1", tags=["sources"], responses=PROBLEMS)


class NotAdmitted(PermissionError):
    """The source may be opened on the command line, but not over the API."""


@sources_api.get("/sources")
def list_sources(
    request: Request,
    timeout: Annotated[
        float, Query(ge=0.1, le=10.0, deprecated=True, description="Has no effect.")
    ] = 5.0,
) -> Sources:
    """List what the last scan found; before the first one, what is known without.

    It does not scan itself: a GET has no effect, since browsers send it for any page. Send POST.
    """
    del timeout
    found: Sources | None = getattr(request.app.state, "found_sources", None)
    return found or list_known_sources()


@sources_api.post("/sources")
def scan_sources(
    request: Request,
    timeout: Annotated[float, Query(ge=0.1, le=10.0, description="Seconds to scan.")] = 5.0,
) -> Sources:
    """Scan for headsets nearby and LSL streams; also list boards and the Bluetooth adapter's state.

    Below 1 s there is no Bluetooth scan.
    """
    found = discover_sources(timeout)
    request.app.state.found_sources = found
    return found


def admit(url: str, files: Path | None, recordings: Recordings | None = None) -> str:
    """Return the source to open for a request, with its path made absolute.

    Parameters
    ----------
    url
        The requested source.
    files
        The folder whose recordings the API may play; with None it may play none.
    recordings
        The service's own: ``replay://NAME`` plays the one of that name, once it has ended.

    Raises
    ------
    BadSource
        If the URL has no known scheme.
    RecordingRefused
        If it names a recording that is still being made.
    NotAdmitted
        If it names a file outside of ``files`` that is no recording of the service, or a serial
        port that is none.
    """
    source = parse_source(url)
    named = sorted(FILE_PARAMETERS & source.parameters.keys())
    if source.scheme == "brainflow" and named:
        raise NotAdmitted(
            f"The API accepts no parameters that name files, but found {', '.join(named)}. "
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
    """Return the recording of this name, or None; raises RecordingRefused while it is made."""
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
    try:
        path = (files / place).resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, or no path at all
        path = None
    if path is None or not path.is_relative_to(files.resolve()):
        raise NotAdmitted(
            f"Expected a recording below the --files folder, but found {place!r}. "
            "Move it there, or name it relative to that folder."
        )
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise NotAdmitted(
            f"Expected a recording, but found {place!r}, which is no file. Choose another."
        )
    return path


def _check_port(port: str | None) -> None:
    if port is not None and (".." in port or not re.fullmatch(SERIAL_PORT, port)):
        raise NotAdmitted(
            "Expected a serial port (/dev/tty.., /dev/cu..., /dev/serial/.. or COM and a number), "
            "but found another path. Correct it, or open this source with mimamba serve --source."
        )
