"""What the commands share: options, and errors as one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mimamba.drivers.errors import UserError
from mimamba.models.checkpoints.names import DEFAULT_MODEL

if TYPE_CHECKING:
    from mimamba.service.client.credentials import Credentials

To = Annotated[Literal["lsl"], typer.Option(help="As streams of the lab streaming layer.")]
Name = Annotated[
    str | None,
    typer.Option(help="The stream's name. [default: the source's]", show_default=False),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="A checkpoint's name or path, or 'none' to watch the signal only. "
        f"[default: {DEFAULT_MODEL}, where the source's channels can meet it]",
        show_default=False,
    ),
]
Memory = Annotated[
    bool,
    typer.Option(
        "--memory/--no-memory",
        help="Carry the model's state from hop to hop, or judge each window by itself.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Where models run: cpu, cuda, or auto, which is cuda where it works. [default: auto]",
        show_default=False,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="Of their products: fp32; or on CUDA tf32 or bf16, which are faster and less "
        "exact. [default: fp32]",
        show_default=False,
    ),
]
Person = Annotated[
    str | None,
    typer.Option(
        help="Whose sessions these are, a pseudonym: their baseline is kept, and used again.",
        show_default=False,
    ),
]

DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="MIMAMBA_DATA_DIR",
        help="The folder of recordings and of your own models. [default: a place of your own]",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar="MIMAMBA_TOKEN_FILE",
        help="A file with the service's token on its first line. [default: MIMAMBA_TOKEN]",
        show_default=False,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        help="The certificates to trust (PEM), for a service that signed its own. "
        "[default: the system's]",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        envvar="MIMAMBA_CONFIG",
        help="A TOML file of settings. [default: mimamba.toml in your configuration folder]",
        show_default=False,
    ),
]


def credentials(token_file: Path | None, cafile: Path | None) -> Credentials:
    """What to show a service; raises BadToken, BadCertificate."""
    from mimamba.service.client.credentials import find_credentials

    return find_credentials(token_file, cafile)


def recordings_folder(given: Path | None) -> Path:
    """Where the recordings are: as the service has it, whose file of settings counts here, too."""
    from mimamba.service.settings.load import find_folder
    from mimamba.service.settings.sources import find_config

    named = os.environ.get("MIMAMBA_CONFIG")
    return find_folder(given, find_config(Path(named) if named else None))


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"mimamba {version('mimamba')}")  # noqa: T201
        raise typer.Exit


def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which one."),
    ] = False,
) -> None:
    """What may be said without a command."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors that a person can mend into one line and exit status 2."""
    try:
        yield
    except UserError as error:
        print(f"mimamba: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
