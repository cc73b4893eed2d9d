"""Command ``mcp``: lets an agent read a running service, by the Model Context Protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from mimamba.drivers.errors import LibraryMissing
from mimamba.service.cli.options import (
    LIVE,
    SERVICE_URL,
    CaFile,
    TokenFile,
    Url,
    credentials,
    one_line_errors,
)

app = typer.Typer()


@app.command(rich_help_panel=LIVE)
def mcp(
    allow_control: Annotated[
        bool,
        typer.Option(
            "--allow-control",
            help="Let the agent set markers, start and stop recordings. [default: it only reads]",
        ),
    ] = False,
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Let an agent read a running service: a server of the Model Context Protocol on stdio."""
    with one_line_errors(least_memory=0):
        from mimamba.service.client.rest_client import RestClient

        service = RestClient(url, credentials(token_file, cafile))
        try:
            from mimamba.service.agent.tools import make_server
        except ImportError as error:
            if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
                raise
            raise LibraryMissing(
                "the package mcp", str(error), "install it: pip install mcp"
            ) from error
        make_server(service, allow_control).run("stdio")
