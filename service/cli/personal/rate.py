"""Command ``rate``: say how one feels in a session of a running service."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mimamba.service.cli.control import only_session, request_change
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

app = typer.Typer()


@app.command(rich_help_panel=LIVE)
def rate(
    *,
    session: SessionOrOnly = None,
    valence: Annotated[
        float, typer.Option(help="Unpleasant (0) to pleasant (100).", min=0, max=100)
    ],
    arousal: Annotated[float, typer.Option(help="Calm (0) to excited (100).", min=0, max=100)],
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Say how you feel now. What was predicted before is kept beside it."""
    with one_line_errors(least_memory=0):
        body = {"valence": valence, "arousal": arousal}
        shown = credentials(token_file, cafile)
        session = session or only_session(url, shown, "rate SESSION")
        request_change(url, session, "ratings", body, _describe_rating, shown)


def _describe_rating(rating: dict[str, Any]) -> str:
    personal = rating["personal"] or {}
    if personal.get("probabilities"):
        before = f"; your own output was {personal['state'] or 'unsure'}"
    else:
        before = ""
    return f"valence {rating['valence']:g}, arousal {rating['arousal']:g}{before}"
