"""Command ``share``: a link with which another device watches a running service."""

from __future__ import annotations

import sys

import typer

from mimamba.service.cli.options import (
    LIVE,
    SERVICE_URL,
    CaFile,
    Json,
    TokenFile,
    Url,
    credentials,
    one_line_errors,
)
from mimamba.service.server.console import print_json, print_watch_link

app = typer.Typer()


@app.command(rich_help_panel=LIVE)
def share(
    url: Url = SERVICE_URL,
    json: Json = False,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Print a QR code with which one other device of the network watches a running service.

    It works once, within two minutes, and only shows: the device cannot change anything. The
    service must listen beyond this machine, see `mimamba serve --host`.
    """
    with one_line_errors(least_memory=0):
        from rich.console import Console

        from mimamba.service.client.rest_client import RestClient, no_service

        service = RestClient(url, credentials(token_file, cafile))
        link = service.ask("/v1/watch-codes", method="POST")
        try:
            address, seconds = link["url"], float(link["seconds"])
        except (LookupError, TypeError, ValueError) as error:
            raise no_service(service.base, error) from error
        if json:
            print_json(link)
        else:
            print_watch_link(Console(file=sys.stdout), address, seconds)
