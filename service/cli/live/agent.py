"""Command ``mcp``: lets an agent read a running service, by the Model Context Protocol."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mimamba.drivers.errors import LibraryMissing, Mismatch
from mimamba.service.cli.options import (
    ACCESS,
    LIVE,
    SERVICE_URL,
    CaFile,
    InsecureHTTP,
    PublicURL,
    SSLCertfile,
    SSLKeyfile,
    TokenFile,
    Url,
    credentials,
    one_line_errors,
)
from mimamba.service.monitoring.logging import configure_logging

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from mimamba.service.agent.http_server import HTTPAddress
    from mimamba.service.client.rest_client import RestClient

app = typer.Typer()


class HTTPOptionAlone(Mismatch):
    """An option of HTTP is given without ``--http``."""


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
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address to listen on, such as 127.0.0.1:8766, with the tools at /mcp. "
            "[default: stdin and stdout]",
            show_default=False,
            rich_help_panel=ACCESS,
        ),
    ] = None,
    http_token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token that agents show, on its first line. [default: "
            "MIMAMBA_MCP_TOKEN; made and shown on a terminal]",
            show_default=False,
            rich_help_panel=ACCESS,
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Host name that agents may use as well as localhost, repeat for several. "
            "[default: none]",
            show_default=False,
            rich_help_panel=ACCESS,
        ),
    ] = None,
    public_url: PublicURL = None,
    ssl_certfile: SSLCertfile = None,
    ssl_keyfile: SSLKeyfile = None,
    insecure_http: InsecureHTTP = False,
) -> None:
    """Let an agent read a running service: a server of the Model Context Protocol.

    It speaks on stdin and stdout, or with --http over HTTP to those who show its token.
    """
    # Before the package mcp, which would log to the terminal in a form of its own.
    with one_line_errors(least_memory=0), configure_logging("text", None):
        from mimamba.service.client.rest_client import RestClient

        service = RestClient(url, credentials(token_file, cafile))
        server = _make_server(service, allow_control)
        if http is not None:
            from mimamba.service.agent.http_server import parse_http_address
            from mimamba.service.http.own_address import host_of

            address = parse_http_address(http, ssl_certfile, ssl_keyfile, insecure_http, public_url)
            hosts = [host_of(address.public_url)] if address.public_url else []
            _offer(server, address, http_token_file, [*(allowed_host or []), *hosts])
            return
        alone = {
            "--http-token-file": http_token_file,
            "--allowed-host": allowed_host,
            "--public-url": public_url,
            "--ssl-certfile": ssl_certfile,
            "--ssl-keyfile": ssl_keyfile,
            "--insecure-http": insecure_http,
        }
        for option, value in alone.items():
            if value:
                raise HTTPOptionAlone(f"--http with {option}", "none", "add --http HOST:PORT")
        server.run("stdio")


def _make_server(service: RestClient, allow_control: bool) -> MCPServer:
    try:
        from mimamba.service.agent.tools import make_server
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise LibraryMissing(
            "the package mcp", str(error), "install it: pip install mcp"
        ) from error
    return make_server(service, allow_control)


def _offer(
    server: MCPServer, address: HTTPAddress, token_file: Path | None, allowed: list[str]
) -> None:
    from mimamba.service.agent.http_server import find_http_token, make_http_app, run_http

    token, is_new = find_http_token(token_file)

    def announce(url: str) -> None:
        sys.stderr.write(f"The tools are at {url} (Ctrl+C stops it)\n")
        if is_new:
            sys.stderr.write(f"Token for agents: {token}\n")
        sys.stderr.flush()

    run_http(make_http_app(server, token, allowed), address, announce)
