"""``mimamba control`` and ``mimamba mark``: what a person asks of a running service's session."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

from mimamba.drivers.errors import UserError
from mimamba.service.client.client import ServiceUnreachable
from mimamba.service.client.credentials import (
    ASKED,
    NOTHING,
    REFUSED,
    Credentials,
    Unauthorized,
    mend_of,
)

TIMEOUT = 10.0
FOREIGN = (HTTPException, OSError, ValueError, LookupError, TypeError)
"""What comes of an address that is none, and of a server of another kind."""


class ControlRefused(UserError):
    """The service does not do what was asked; one clear line, its own."""


class _Stay(HTTPRedirectHandler):
    """Follows no redirection: it would take the token along."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None refuses."""


def control(
    url: str, session: str, changes: Mapping[str, object], credentials: Credentials = NOTHING
) -> None:
    """Change how a session's recording is played, where there is something to change, and tell it.

    Parameters
    ----------
    url
        The service's address, with or without scheme.
    session
        The session's id.
    changes
        Fields of ``POST /v1/sessions/{session}/replay``.
    credentials
        The token to show, and the certificates to trust.

    Raises
    ------
    ServiceUnreachable
        If no service answers there.
    Unauthorized
        If it wants a token, or another one.
    ControlRefused
        If it refuses, ``url`` is no address, or what answers there is no service.
    """
    sys.stdout.write(_ask(url, session, "replay", changes or None, _words, credentials))


def set_model(url: str, session: str, model: str, credentials: Credentials = NOTHING) -> None:
    """Let a model speak in a session, and tell it; raises as ``control``."""
    body = {"model": model}
    sys.stdout.write(_ask(url, session, "model", body, _speaker, credentials, method="PUT"))


def mark(
    url: str,
    session: str,
    label: str,
    timestamp: float | None,
    credentials: Credentials = NOTHING,
) -> None:
    """Set a marker in a session, now or at a time on the LSL clock; raises as ``control``."""
    body = {"label": label} | ({} if timestamp is None else {"timestamp": timestamp})
    sys.stdout.write(_ask(url, session, "markers", body, _marked, credentials))


def baseline(
    url: str,
    session: str,
    seconds: float | None,
    person: str | None,
    kept: bool,
    credentials: Credentials = NOTHING,
    *,
    stop: bool = False,
) -> None:
    """Take a baseline in a session, use the one ``kept``, or ``stop``; raises as ``control``."""
    asked = {"seconds": seconds, "person": person}
    body = {name: value for name, value in asked.items() if value is not None}
    method = "DELETE" if stop else "PUT" if kept else "POST"
    sys.stdout.write(_ask(url, session, "baseline", body, _rest, credentials, method))


def _ask(
    url: str,
    session: str,
    what: str,
    changes: Mapping[str, object] | None,
    tell: Callable[[dict[str, Any]], str],
    credentials: Credentials,
    method: str | None = None,
) -> str:
    """The answer, in words."""
    base = url if "://" in url else f"http://{url}"
    address = f"{base.rstrip('/')}/v1/sessions/{quote(session, safe='')}/{what}"
    body = None if changes is None else json.dumps(changes).encode()
    # A service is on this machine or near; a proxy that the environment names cannot reach it.
    secure = HTTPSHandler(context=credentials.context(address))
    opener = build_opener(ProxyHandler({}), _Stay(), secure)
    try:
        headers = {"Content-Type": "application/json", **credentials.headers}
        request = Request(address, body, headers, method=method)
        with opener.open(request, timeout=TIMEOUT) as answer:
            return tell(json.load(answer))
    except HTTPError as error:
        with error:
            if error.code == 401:
                raise Unauthorized(REFUSED if credentials.token else ASKED) from error
            raise ControlRefused(_reason(error)) from error
    except (URLError, TimeoutError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise ServiceUnreachable(
            f"Expected a service at {address}, but found: {reason}; {mend_of(reason)}."
        ) from error
    except FOREIGN as error:
        raise ControlRefused(
            f"Expected a service of mimamba at {address}, but found {error!r}. Correct the address."
        ) from error


def _reason(error: HTTPError) -> str:
    """The service's own words, where they are a problem's."""
    try:
        return str(json.load(error)["detail"])
    except FOREIGN:
        answer = f"{error.code} {error.reason}"
        return f"Expected a service of mimamba, but found one that answers {answer}."


def _words(replay: dict[str, Any]) -> str:
    state = "paused" if replay["paused"] else "playing"
    speed = replay["speed"] if replay["speed"] == "max" else f"{replay['speed']:g}"
    loop = ", in a loop" if replay["loop"] else ""
    place = f"{replay['position']:.1f} of {replay['length']:.1f} s"
    return f"{state} at {place}, speed {speed}{loop}\n"


def _speaker(session: dict[str, Any]) -> str:
    model = session["model"]
    return f"{model['name']} speaks\n" if model else "no model speaks: signal only\n"


def _rest(baseline: dict[str, Any]) -> str:
    whose = f"{baseline['person']}: " if baseline["person"] else ""
    if baseline["wanted"]:
        return f"{whose}{baseline['wanted']:g} s of rest are being taken\n"
    return f"{whose}{baseline['seconds']:g} s of rest are used\n"


def _marked(marker: dict[str, Any]) -> str:
    return f"{marker['label']} at {marker['timestamp']:.3f}\n"
