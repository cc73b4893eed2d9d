"""Options that several commands share, and errors as one line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mimamba.drivers.errors import Mismatch, UserError
from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.service.server.console import LEAST_MEMORY, check_memory_limit

if TYPE_CHECKING:
    from mimamba.service.client.credentials import Credentials

LIVE, RECORDINGS, MODELS, MACHINE = (
    "Live sessions",
    "Recordings",
    "Models",
    "This machine",
)
"""Groups of commands in the help."""
SERVICE_URL = "http://127.0.0.1:8765"
"""Address of a service that runs on this machine with the default port."""

Model = Annotated[
    str | None,
    typer.Option(
        help="Name or path of a checkpoint, or 'none' for the signal without predictions. "
        f"[default: {DEFAULT_MODEL}, if the source has suitable channels]",
        show_default=False,
    ),
]
Memory = Annotated[
    bool,
    typer.Option(
        "--memory/--no-memory",
        help="Carry the model's state from one window to the next, or predict from each alone.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Device for models: cpu, cuda, or auto, which uses cuda if it works. [default: auto]",
        show_default=False,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="Precision of models: fp32; on cuda also tf32 or bf16, which are faster and less "
        "exact. [default: fp32]",
        show_default=False,
    ),
]
Person = Annotated[
    str | None,
    typer.Option(
        help="Pseudonym of the person; their baseline is stored and used again. [default: none]",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="MIMAMBA_DATA_DIR",
        help="Folder of your recordings and models. [default: the system's folder for user data]",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        envvar="MIMAMBA_CONFIG",
        help="TOML file of settings. [default: mimamba.toml in the system's folder for user "
        "configuration]",
        show_default=False,
    ),
]
SessionOrOnly = Annotated[
    str | None,
    typer.Argument(help="Id of the session. [default: the only open one]", show_default=False),
]
SessionId = Annotated[str, typer.Argument(help="Id of the session.")]
Url = Annotated[str, typer.Option(help="Address of the service.")]
ACCESS = "Access"
LOG = "Log"
LogFormat = Annotated[
    str | None,
    typer.Option(
        help="text, or json for one object per line. [default: text]", rich_help_panel=LOG
    ),
]
LogLevel = Annotated[
    str | None,
    typer.Option(
        help="debug, info, warning or error. [default: warning for text, info for json]",
        rich_help_panel=LOG,
    ),
]
SSLCertfile = Annotated[
    Path | None,
    typer.Option(
        help="TLS certificate (PEM). [default: no TLS]", show_default=False, rich_help_panel=ACCESS
    ),
]
SSLKeyfile = Annotated[
    Path | None,
    typer.Option(
        help="Private key of the certificate (PEM). [default: in the certificate's file]",
        show_default=False,
        rich_help_panel=ACCESS,
    ),
]
InsecureHTTP = Annotated[
    bool,
    typer.Option(
        "--insecure-http",
        help="Allow other addresses than loopback without TLS.",
        rich_help_panel=ACCESS,
    ),
]
PublicURL = Annotated[
    str | None,
    typer.Option(
        help="Address at which a proxy shows this to others, such as "
        "https://eeg.example.org/base: links, codes and printed addresses have it, its host name "
        "is allowed, and a token is asked for. [default: none]",
        show_default=False,
        rich_help_panel=ACCESS,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar="MIMAMBA_TOKEN_FILE",
        help="File with the service's token on its first line. [default: the token in "
        "MIMAMBA_TOKEN]",
        show_default=False,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        help="Certificates to trust (PEM), for a service with a self-signed certificate. "
        "[default: the system's]",
        show_default=False,
    ),
]


def complete_recording(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the names of recordings that begin so, each with its title, for a shell."""
    from mimamba.service.recordings.recordings import Recordings

    above = context.parent.params if context.parent else {}
    data_dir = context.params.get("data_dir") or above.get("data_dir")
    try:
        found = Recordings(recordings_folder(data_dir)).all()
    except (UserError, OSError):  # a shell shows no errors while one types
        return []
    return [(each.name, each.title or "") for each in found if each.name.startswith(incomplete)]


RecordingSource = Annotated[
    str,
    typer.Argument(
        metavar="NAME|PATH",
        help="Name or title of a recording, path of any file, or a replay:// URL.",
        autocompletion=complete_recording,
    ),
]
RecordingName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name or title of a recording.", autocompletion=complete_recording
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


def credentials(token_file: Path | None, cafile: Path | None) -> Credentials:
    """Find the token and the certificates for a service; raises BadToken, BadCertificate."""
    from mimamba.service.client.credentials import find_credentials

    return find_credentials(token_file, cafile)


def settings_file() -> Path | None:
    """Find the settings file of commands without ``--config``; None if there is none."""
    from mimamba.service.settings.load import find_config

    config = os.environ.get("MIMAMBA_CONFIG")
    return find_config(Path(config) if config else None)


def recordings_folder(data_dir: Path | None) -> Path:
    """Find the folder of recordings as the service does, with its settings file.

    Raises
    ------
    NoDataFolder
        If a folder is named that does not exist.
    CannotServe, BadConfig
        If the settings are not valid.
    """
    from mimamba.service.settings.load import find_data_folder
    from mimamba.service.storage.folders import NoDataFolder, data_folder

    found = find_data_folder(data_dir, settings_file())
    if found != data_folder(None) and not found.is_dir():
        raise NoDataFolder(
            f"a data folder at {found}",
            "nothing",
            "correct --data-dir, or record something there first",
        )
    return found


class AmbiguousTitle(Mismatch):
    """Several recordings have the same title."""


def find_recording(recording: str, data_dir: Path | None) -> str:
    """Return the path, or ``replay://`` URL, of a recording that a person named.

    Parameters
    ----------
    recording
        A path, or the name or title of a recording in the data folder, or ``replay://`` with one
        of these. A path that exists comes first.
    data_dir
        The data folder; None for that of the settings.

    Returns
    -------
    str
        ``recording`` itself if it is neither a name nor a title.

    Raises
    ------
    AmbiguousTitle
        If several recordings have the title.
    NoDataFolder, CannotServe, BadConfig
        As ``recordings_folder``.
    """
    return _find(recording, lambda: recordings_folder(data_dir))


def find_source(source: str, folder: Path) -> str:
    """Return the source of a session, as ``find_recording``; the data folder need not exist yet.

    ``folder`` is that of the service's own settings, which ``--config`` may name.

    Raises
    ------
    AmbiguousTitle
        If several recordings have the title.
    """
    return _find(source, lambda: folder) if folder.is_dir() else source


def _find(recording: str, folder: Callable[[], Path]) -> str:
    """Return a recording as above; the folder is asked for only where a name or title may stand."""
    from urllib.parse import quote, unquote

    scheme, is_url, place = recording.partition("://")
    place, asked, query = (place if is_url else recording).partition("?" if is_url else "\0")
    text = unquote(place) if is_url else place
    if (is_url and scheme.lower() != "replay") or not text or os.path.exists(text):  # noqa: PTH110
        return recording
    path = own_recording(text, folder())
    if path is None:
        return recording
    return f"replay://{quote(str(path))}{asked}{query}" if is_url else str(path)


def own_recording(text: str, folder: Path) -> Path | None:
    """Return the recording of a folder with this name, or else with this title; None if none has.

    The name may be that of the file, which ends in ``.xdf``.

    Raises
    ------
    AmbiguousTitle
        If several recordings have the title.
    """
    from mimamba.service.recordings.recordings import Recordings
    from mimamba.service.storage.private_files import NAME, is_regular
    from mimamba.service.storage.titles import clean_title

    name = text.removesuffix(".xdf")
    own = folder / f"{name}.xdf"
    if re.fullmatch(NAME, name) and is_regular(own):
        return own
    title = clean_title(text)
    names = [each.name for each in Recordings(folder).all() if title and each.title == title]
    if len(names) > 1:
        raise AmbiguousTitle(
            f"one recording with the title {title!r}", ", ".join(sorted(names)), "give its name"
        )
    return folder / f"{names[0]}.xdf" if names else None


@contextmanager
def one_line_errors(least_memory: int = LEAST_MEMORY) -> Iterator[None]:
    """Print a UserError as one line and exit with status 2; exit with 130 after Ctrl+C.

    A command that loads neither PyTorch nor NumPy needs no ``least_memory`` (bytes).
    """
    try:
        check_memory_limit(least_memory)
        yield
    except UserError as error:
        if str(error):  # without, it is printed already
            print(f"mimamba: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
