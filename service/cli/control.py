"""Commands ``mark``, ``control`` and ``baseline``, which change a session of a running service."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mimamba.drivers.errors import Mismatch
from mimamba.service.cli.options import (
    LIVE,
    SERVICE_URL,
    CaFile,
    SessionOrOnly,
    TokenFile,
    Url,
    credentials,
    one_line_errors,
)

if TYPE_CHECKING:
    from mimamba.service.client.credentials import Credentials
    from mimamba.service.client.rest_client import RestClient

app = typer.Typer()


class NoSessionChosen(Mismatch):
    """Not exactly one session is open, and none was named."""


@app.command(rich_help_panel=LIVE)
def mark(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[SESSION] LABEL",
            help="Id of the session, by default the only open one; label of the marker.",
        ),
    ],
    timestamp: Annotated[
        float | None,
        typer.Option(help="Time on the LSL clock, s. [default: now]", show_default=False),
    ] = None,
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Set a marker in a session."""
    with one_line_errors(least_memory=0):
        if len(words) > 2:
            raise typer.BadParameter(
                f"Expected a label, or a session and a label, but found {len(words)} words. Put "
                "a label with spaces into quotes."
            )
        body = {"label": words[-1]} | ({} if timestamp is None else {"timestamp": timestamp})
        shown = credentials(token_file, cafile)
        session = words[0] if len(words) == 2 else only_session(url, shown, "mark SESSION LABEL")
        request_change(url, session, "markers", body, _describe_marker, shown)


@app.command(rich_help_panel=LIVE)
def control(
    session: SessionOrOnly = None,
    paused: Annotated[
        bool | None, typer.Option("--pause/--resume", help="Pause or resume the playback.")
    ] = None,
    seek: Annotated[
        float | None, typer.Option(help="Continue from this position, s.", show_default=False)
    ] = None,
    marker: Annotated[
        str | None, typer.Option(help="Continue from the marker with this label.")
    ] = None,
    nth: Annotated[
        int | None,
        typer.Option(help="Which marker with this label, counted from 1. [default: 1]"),
    ] = None,
    speed: Annotated[
        str | None, typer.Option(help="Speed, 0.1 to 64 times the recorded pace, or 'max'.")
    ] = None,
    loop: Annotated[
        bool | None, typer.Option("--loop/--no-loop", help="Restart at the end, or stop there.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Change the model of any session: name of a checkpoint, or 'none'.",
            show_default=False,
        ),
    ] = None,
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Change a session's model, or the playback of its recording.

    Without options, it prints the state of the playback.
    """
    with one_line_errors(least_memory=0):
        options: dict[str, object] = {
            "paused": paused,
            "position": seek,
            "marker": marker,
            "nth": nth,
            "speed": speed,
            "loop": loop,
        }
        changes = {name: value for name, value in options.items() if value is not None}
        shown = credentials(token_file, cafile)
        session = session or only_session(url, shown, "control SESSION")
        if model is not None:
            body = {"model": model}
            request_change(url, session, "model", body, _describe_model, shown, "PUT")
        if changes or model is None:
            request_change(url, session, "replay", changes or None, describe_replay, shown)


@app.command(rich_help_panel=LIVE)
def baseline(
    session: SessionOrOnly = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Length of good signal to record, 10 to 600 s. [default: as in the training]",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            help="Pseudonym of the person to store it for. [default: the session's person]",
            show_default=False,
        ),
    ] = None,
    kept: Annotated[
        bool, typer.Option("--kept", help="Use the stored baseline of this person instead.")
    ] = False,
    break_off: Annotated[
        bool,
        typer.Option("--break-off", help="Cancel, and use the previous baseline again."),
    ] = False,
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Record a person's baseline in a session: a minute of rest, to compare the signal with."""
    with one_line_errors(least_memory=0):
        if break_off and (kept or seconds is not None or person is not None):
            raise typer.BadParameter(
                "Expected --break-off alone, but found another option with it. Leave one out."
            )
        options = {"seconds": seconds, "person": person}
        body = {name: value for name, value in options.items() if value is not None}
        method = "DELETE" if break_off else "PUT" if kept else "POST"
        shown = credentials(token_file, cafile)
        session = session or only_session(url, shown, "baseline SESSION")
        request_change(url, session, "baseline", body, _describe_baseline, shown, method)


def only_session(url: str, credentials: Credentials, command: str) -> str:
    """Return the id of the only session of the service at ``url``, as ``find_only_session``."""
    from mimamba.service.client.rest_client import RestClient, no_service

    service = RestClient(url, credentials)
    try:
        return find_only_session(service, command)
    except (LookupError, TypeError) as error:
        raise no_service(service.base, error) from error


def find_only_session(service: RestClient, command: str) -> str:
    """Return the id of the only session that has not ended; ``command`` is the one to name it in.

    Raises
    ------
    NoSessionChosen
        If there is none, or more than one.
    ServiceUnreachable, Unauthorized, ControlRefused
        As ``RestClient.ask``.
    """
    found = [each["id"] for each in service.ask("/v1/sessions") if each["state"] != "ended"]
    if not found:
        raise NoSessionChosen("an open session", "none", "open one with `mimamba open SOURCE`")
    if len(found) > 1:
        raise NoSessionChosen(
            "one open session", ", ".join(found), f"name one: `mimamba {command}`"
        )
    return str(found[0])


def request_change(
    url: str,
    session: str,
    resource: str,
    body: Mapping[str, object] | None,
    describe: Callable[[dict[str, Any]], str],
    credentials: Credentials,
    method: str | None = None,
) -> None:
    """Send a request about a session to a service, and print its answer in words.

    Parameters
    ----------
    url, session, resource, body, credentials, method
        As for ``request_answer``.
    describe
        Puts the decoded answer into words.

    Raises
    ------
    ServiceUnreachable, Unauthorized, ControlRefused
        As ``request_answer``.
    """
    from mimamba.service.client.rest_client import no_service

    answer = request_answer(url, session, resource, body, credentials, method)
    try:
        line = describe(answer)
    except (LookupError, TypeError, ValueError) as error:
        raise no_service(url, error) from error
    sys.stdout.write(f"{line}\n")


def request_answer(
    url: str,
    session: str,
    resource: str,
    body: Mapping[str, object] | None,
    credentials: Credentials,
    method: str | None = None,
) -> Any:
    """Send a request about a session to a service, and return its decoded answer.

    Parameters
    ----------
    url
        Address of the service, with or without a scheme.
    session
        Id of the session.
    resource
        Last part of the path ``/v1/sessions/{session}/{resource}``.
    body, credentials, method
        As for ``RestClient``.

    Raises
    ------
    ServiceUnreachable, Unauthorized, ControlRefused
        As ``RestClient.ask``.
    """
    from urllib.parse import quote

    from mimamba.service.client.rest_client import RestClient

    path = f"/v1/sessions/{quote(session, safe='')}/{resource}"
    return RestClient(url, credentials).ask(path, body, method)


def describe_replay(replay: dict[str, Any]) -> str:
    """Describe the state of a playback."""
    state = "paused" if replay["paused"] else "playing"
    speed = replay["speed"] if replay["speed"] == "max" else f"{replay['speed']:g}"
    loop = ", in a loop" if replay["loop"] else ""
    return f"{state} at {replay['position']:.1f} of {replay['length']:.1f} s, speed {speed}{loop}"


def _describe_model(session: dict[str, Any]) -> str:
    model = session["model"]
    return f"model {model['name']}" if model else "no model: signal only"


def _describe_baseline(baseline: dict[str, Any]) -> str:
    person = f"{baseline['person']}: " if baseline["person"] else ""
    if baseline["wanted"]:
        return f"{person}recording {baseline['wanted']:g} s of rest"
    return f"{person}using {baseline['seconds']:g} s of rest"


def _describe_marker(marker: dict[str, Any]) -> str:
    return f"{marker['label']} at {marker['timestamp']:.3f} s"
