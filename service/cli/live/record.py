"""Command ``record``: a recording on a running service, from its start to its end."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import quote

import typer

from mimamba.drivers.errors import UserError
from mimamba.service.cli.control import find_only_session
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
    from mimamba.service.client.rest_client import RestClient

LOOK = 1.0
"""Seconds between two looks at the recording, which may end by itself."""
STEP = 0.05
"""Seconds between two looks for Ctrl+C."""
STOPPING = 60.0
"""Seconds that a busy disk may take to complete the file."""

app = typer.Typer()


class RecordingEnded(UserError):
    """The recording has ended by itself, before its time."""


@app.command(rich_help_panel=LIVE)
def record(
    session: SessionOrOnly = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the recording's file. [default: derived from the title; without one, "
            "the session's id and the time]",
            show_default=False,
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(
            help="Name of the recording for people, with spaces and any letters. [default: none]",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Stop after so many seconds. [default: at Ctrl+C]", min=0.1),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            help="Pseudonym of the person. [default: the session's person]", show_default=False
        ),
    ] = None,
    notes: Annotated[
        str | None, typer.Option(help="Notes to keep beside the recording. [default: none]")
    ] = None,
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Record a session of a running service, until Ctrl+C or for some seconds."""
    with one_line_errors(least_memory=0):
        from mimamba.service.client.rest_client import RestClient, no_service

        service = RestClient(url, credentials(token_file, cafile))
        options = {"name": name, "title": title, "person": person, "notes": notes}
        new = {key: value for key, value in options.items() if value is not None}
        try:
            new["session"] = session or find_only_session(service, "record SESSION")
            sys.stdout.write(f"{run_recording(service, new, seconds)}\n")
        except (LookupError, TypeError, ValueError) as error:
            raise no_service(service.base, error) from error


def run_recording(service: RestClient, new: dict[str, str], seconds: float | None) -> str:
    """Record until Ctrl+C, SIGTERM, or the time is over; return a line about the recording.

    Raises
    ------
    RecordingEnded
        If it ends by itself before its time.
    ServiceUnreachable, Unauthorized, ControlRefused
        As ``RestClient.ask``.
    """
    with _Stop() as stop:
        recording = service.ask("/v1/recordings", new)
        path = f"/v1/recordings/{quote(recording['name'], safe='')}"
        until = "" if seconds is None else f" for {seconds:g} s"
        sys.stderr.write(f"recording {recording['name']}{until} (Ctrl+C stops it)\n")
        end = float("inf") if seconds is None else time.monotonic() + seconds
        while recording["state"] == "recording" and not stop.wait(
            min(LOOK, end - time.monotonic())
        ):
            if time.monotonic() >= end:
                break
            recording = service.ask(path)
        by_itself = recording["state"] != "recording"
        if not by_itself:
            recording = service.ask(f"{path}/stop", method="POST", timeout=STOPPING)
    facts = f"{recording['seconds'] or 0:.1f} s, {recording['bytes'] / 1e6:.2f} MB"
    if not by_itself:
        return f"{recording['name']}: {facts}"
    reason = recording["reason"] or "another program stopped it"
    if seconds is not None and time.monotonic() < end:
        raise RecordingEnded(
            f"The recording {recording['name']} has ended before its time ({reason}). "
            f"What it holds is kept: {facts}."
        )
    return f"{recording['name']}: {facts} ({reason})"


class _Stop:
    """Ctrl+C and SIGTERM, noted for later: a recording that is being started is to be stopped."""

    def __init__(self) -> None:
        self._wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most; return whether a stop is wanted."""
        end = time.monotonic() + seconds
        while not self._wanted and (left := end - time.monotonic()) > 0:
            time.sleep(min(STEP, left))
        return self._wanted

    def _note(self, *_: object) -> None:
        self._wanted = True
