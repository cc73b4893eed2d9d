"""Commands ``sessions`` and ``open``: list a running service's sessions, open another one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from mimamba.service.cli.options import (
    LIVE,
    SERVICE_URL,
    CaFile,
    Json,
    Memory,
    Model,
    Person,
    TokenFile,
    Url,
    credentials,
    one_line_errors,
)
from mimamba.service.server.console import print_json, print_list

if TYPE_CHECKING:
    from mimamba.service.client.rest_client import RestClient

OPENING = 60.0
"""Seconds that a headset may take to answer."""

app = typer.Typer()


@app.command(rich_help_panel=LIVE)
def sessions(
    url: Url = SERVICE_URL,
    json: Json = False,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """List the sessions of a running service."""
    with one_line_errors(least_memory=0):
        from mimamba.service.client.rest_client import RestClient, no_service

        service = RestClient(url, credentials(token_file, cafile))
        found = service.ask("/v1/sessions")
        try:
            print_list(found, json, COLUMNS)
        except (LookupError, TypeError) as error:
            raise no_service(service.base, error) from error


@app.command("open", rich_help_panel=LIVE)
def open_session(
    source: Annotated[
        str,
        typer.Argument(
            help="Source to stream: simulate://, muse://, brainflow://cyton, lsl://?type=EEG, or "
            "replay:// and a recording's name."
        ),
    ],
    id: Annotated[  # noqa: A002 (the option's name)
        str | None,
        typer.Option(help="Id of the session. [default: made from the source]", show_default=False),
    ] = None,
    model: Model = None,
    memory: Memory = True,
    person: Person = None,
    url: Url = SERVICE_URL,
    json: Json = False,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Open a session on a running service, and print its id and the address of its page."""
    with one_line_errors(least_memory=0):
        from mimamba.service.client.rest_client import RestClient, no_service

        service = RestClient(url, credentials(token_file, cafile))
        options = {"source": source, "id": id, "model": model, "person": person}
        body: dict[str, object] = {name: each for name, each in options.items() if each is not None}
        opened = service.ask(
            "/v1/sessions", body | ({} if memory else {"memory": False}), "POST", OPENING
        )
        try:
            line = f"{opened['id']}: {page_address(service, opened['id'])}"
        except (LookupError, TypeError) as error:
            raise no_service(service.base, error) from error
        if json:
            print_json(opened)
        else:
            sys.stdout.write(f"{line}\n")


def page_address(service: RestClient, session: str) -> str:
    """Return the address of a session's page."""
    return f"{service.base}/#{quote(session, safe='')}"


def _source(session: dict[str, Any]) -> str:
    info = session["info"]
    if not info:
        return str(session["source"])
    return str(info["name"]) + (" (simulated)" if info["simulated"] else "")


COLUMNS: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "session": lambda each: each["id"],
    "state": lambda each: each["state"] + (f": {each['reason']}" if each["reason"] else ""),
    "source": _source,
    "channels": lambda each: ", ".join(each["info"]["ch_names"] if each["info"] else ()),
    "model": lambda each: each["model"]["name"] if each["model"] else "none",
    "person": lambda each: each["person"] or "",
}
"""Facts about a session, as the service lists it, by the headings of the table."""
