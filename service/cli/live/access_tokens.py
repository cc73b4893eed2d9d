"""Commands ``tokens list``, ``tokens make`` and ``tokens revoke`` for a running service."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

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
from mimamba.service.server.console import print_json, print_list

if TYPE_CHECKING:
    from pathlib import Path

    from mimamba.service.client.rest_client import RestClient

app = typer.Typer()
tokens = typer.Typer(
    help="List, make and revoke tokens of a running service.", no_args_is_help=True
)
app.add_typer(tokens, name="tokens", rich_help_panel=LIVE)

TokenName = Annotated[
    str,
    typer.Argument(
        help="Name of the token, such as stimulus-pc: letters, digits, and . _ - between."
    ),
]


@tokens.command("list")
def list_tokens(
    url: Url = SERVICE_URL,
    json: Json = False,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """List the tokens that were made, with their scopes and ends."""
    with one_line_errors(least_memory=0):
        found = _service(url, token_file, cafile).ask("/v1/tokens")
        columns: Mapping[str, Callable[[dict[str, Any]], str]] = {
            "name": lambda each: each["name"],
            "scope": lambda each: each["scope"],
            "made": lambda each: each["made"][:10],
            "ends": lambda each: each["ends"][:10] + (" (expired)" if each["expired"] else ""),
        }
        print_list(found, json, columns)


@tokens.command()
def make(
    name: TokenName,
    scope: Annotated[str, typer.Option(help="view, or control to change things, too.")] = "view",
    days: Annotated[int, typer.Option(help="Days until it ends, 1 to 3650.")] = 30,
    url: Url = SERVICE_URL,
    json: Json = False,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Make a token for a program or a person, and print it: it cannot be shown again."""
    with one_line_errors(least_memory=0):
        wanted = {"name": name, "scope": scope, "days": days}
        made = _service(url, token_file, cafile).ask("/v1/tokens", wanted)
        if json:
            print_json(made)
            return
        about = made["about"]
        sys.stderr.write(f"Token {name} for {about['scope']}, until {about['ends'][:10]}:\n")
        sys.stdout.write(f"{made['token']}\n")


@tokens.command()
def revoke(
    name: TokenName,
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Revoke a token: its requests are refused from now on, and its streams end."""
    with one_line_errors(least_memory=0):
        path = f"/v1/tokens/{quote(name, safe='')}"
        _service(url, token_file, cafile).ask(path, method="DELETE")
        sys.stdout.write(f"{name} is revoked.\n")


def _service(url: str, token_file: Path | None, cafile: Path | None) -> RestClient:
    from mimamba.service.client.rest_client import RestClient

    return RestClient(url, credentials(token_file, cafile))
