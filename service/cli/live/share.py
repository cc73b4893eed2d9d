"""Command ``share``: links with which other devices watch a running service, and their end."""

from __future__ import annotations

import sys
from typing import Annotated

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
    end: Annotated[
        bool,
        typer.Option(
            "--end", help="Make no link, but end all links, and log out the devices that used one."
        ),
    ] = False,
    json: Json = False,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Print a QR code with which one other device of the network watches a running service.

    It works once, within two minutes. The device sees everything, and can download recordings and
    people's data, but changes nothing. The service must listen beyond this machine, see `mimamba
    serve --host`. The link has the service's --public-url, which a proxy or a container needs;
    without one the address of --url, unless that leads to this machine only: then the first
    --allowed-host of the service, else the machine's address in its network.
    """
    if end and json:
        raise typer.BadParameter("--end has no JSON to print. Leave --json out.")
    with one_line_errors(least_memory=0):
        from rich.console import Console

        from mimamba.service.client.rest_client import RestClient, no_service

        service = RestClient(url, credentials(token_file, cafile))
        if end:
            service.ask("/v1/watch-codes", method="DELETE")
            sys.stdout.write("All links have ended; the devices that used one are logged out.\n")
            return
        link = service.ask("/v1/watch-codes", method="POST")
        try:
            address, seconds = link["url"], float(link["seconds"])
        except (LookupError, TypeError, ValueError) as error:
            raise no_service(service.base, error) from error
        if json:
            print_json(link)
        else:
            print_watch_link(Console(file=sys.stdout), address, seconds)
        taken = address.partition("/#")[0]
        advice = _advice(taken, service.base, link.get("public") is True)
        sys.stderr.write(f"The link leads to {taken}{advice}.\n")


def _advice(taken: str, asked: str, public: bool) -> str:
    """Say what to do if the link's address, which is not the one of the request, is wrong."""
    if public:
        return ", the service's public address"
    if taken == asked:
        return ""
    return (
        f", not to {asked}. If other devices reach the service at another address, start it with "
        "--public-url"
    )
