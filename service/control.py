"""``mimamba control``: how a running service plays a recording, from the terminal."""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from drivers.base import Mendable
from service.client import ServiceUnreachable

TIMEOUT = 10.0


class ControlRefused(Mendable):
    """The service does not do what was asked; one clear line, its own."""


def control(url: str, session: str, changes: dict[str, object]) -> None:
    """Change how a session's recording is played, where there is something to change, and tell it.

    Parameters
    ----------
    url
        The service's address, with or without scheme.
    session
        The session's id.
    changes
        Fields of ``POST /v1/sessions/{session}/replay``.

    Raises
    ------
    ServiceUnreachable
        If no service answers there.
    ControlRefused
        If it refuses.
    """
    base = url if "://" in url else f"http://{url}"
    address = f"{base.rstrip('/')}/v1/sessions/{quote(session, safe='')}/replay"
    body = json.dumps(changes).encode() if changes else None
    sys.stdout.write(_words(_ask(Request(address, body, {"Content-Type": "application/json"}))))


def _ask(request: Request) -> dict[str, Any]:
    # A service is on this machine or near; a proxy that the environment names cannot reach it.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except HTTPError as error:
        with error:
            raise ControlRefused(_reason(error)) from error
    except (URLError, TimeoutError, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise ServiceUnreachable(
            f"wanted a service at {request.full_url}; found: {reason}; start one with mimamba serve"
        ) from error


def _reason(error: HTTPError) -> str:
    """The service's own words, where they are a problem's."""
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"wanted a service of mimamba; found one that answers {error.code} {error.reason}"


def _words(replay: dict[str, Any]) -> str:
    state = "paused" if replay["paused"] else "playing"
    speed = replay["speed"] if replay["speed"] == "max" else f"{replay['speed']:g}"
    loop = ", in a loop" if replay["loop"] else ""
    place = f"{replay['position']:.1f} of {replay['length']:.1f} s"
    return f"{state} at {place}, speed {speed}{loop}\n"
