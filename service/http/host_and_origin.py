"""Check of requests' headers: only programs and the service's own page may send requests.

EEG is personal, and any web page in a browser can reach a loopback port. So a request's Host must
be an IP address, localhost or an allowed name (against DNS rebinding), and its Origin, if it has
one, must equal its Host (against other pages) or be an allowed one. With TLS the page must have
been loaded with TLS, too; without it, a page loaded with TLS counts as the service's own behind a
proxy that ends TLS.

Another page's images and links have no Origin, but Sec-Fetch-Site says where they come from: such a
page may link to the service's page, and nothing else. Where origins are allowed, frames may load
the view for them; its policy says whose frames. A WebSocket is refused before its upgrade.
Authentication comes after this, see auth/scopes.py; a cookie never counts for an allowed origin,
or its page could act with the login of whoever visits it.

A request with two lengths is refused, too: a proxy might take the other one for its end.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mimamba.service.http.problem import problem
from mimamba.service.http.request_totals import totals_of
from mimamba.service.monitoring.service_counters import RefusalReason

HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
"""A Host header (RFC 9110, section 7.2) with a name that may exist."""
TWO_LENGTHS = (
    "Expected Content-Length or Transfer-Encoding, but found both. Send only one: each may "
    "end the request elsewhere."
)
PAGE = frozenset({"/", "/index.html"})
"""Paths to which other pages may link; those below ``FRAMED`` are others."""
FRAMED = "/embed/"
"""Path below which is the view for frames."""


def refusal(
    headers: Mapping[str, str],
    allowed: Collection[str],
    secure: bool = False,
    page: bool = False,
    origins: Collection[str] = (),
    framed: bool = False,
) -> tuple[RefusalReason, str] | None:
    """Return why a request is refused, as a metric's label and in words; None if it is not.

    Parameters
    ----------
    headers
        Of the request, with names in lower case.
    allowed
        Names of the service, in lower case.
    secure
        Whether the request came with TLS.
    page
        Whether the request gets a page of the service.
    origins
        Other origins whose pages may send requests.
    framed
        Whether the request gets the view for frames.
    """
    host = headers.get("host", "")
    if not _is_allowed(host, allowed):
        return "host", (
            f"Expected an IP address, localhost or an allowed name as Host, but found {host!r}. "
            "Start the service with --allowed-host NAME."
        )
    origin = headers.get("origin")
    if origin is not None and origin in origins:
        return None
    if origin is not None and not _is_same(origin, host, secure):
        return "origin", (
            f"Expected the page's own origin ({host}), but found {origin!r}. Open the page "
            "itself, or start the service with --allowed-origin ORIGIN."
        )
    site = headers.get("sec-fetch-site", "none").lower()
    frames = {"iframe"} if framed and origins else set()
    if site in ("cross-site", "same-site") and not (page and _is_navigation(headers, frames)):
        return "origin", (
            f"Expected a request of the page itself, but found one of another page ({site}). "
            "Open the page itself."
        )
    return None


def _is_navigation(headers: Mapping[str, str], frames: Collection[str] = ()) -> bool:
    """Return whether a browser opens a page of its own with the answer, or one of these frames."""
    if headers.get("sec-fetch-mode") != "navigate":
        return False
    return headers.get("sec-fetch-dest") in {"document", *frames}


def _is_same(origin: str, host: str, secure: bool) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    schemes = {"https"} if secure else {"http", "https"}
    return parts.scheme in schemes and parts.netloc.lower() == host.lower()


def _is_allowed(host: str, allowed: Collection[str]) -> bool:
    parts = HOST.fullmatch(host)
    if parts is None:
        return False
    name = (parts["ipv6"] or parts["name"]).lower().removesuffix(".")
    if name == "localhost" or name in allowed:
        return True
    try:
        return ipaddress.ip_address(name).version == (6 if parts["ipv6"] else 4)
    except ValueError:
        return False


class HostAndOriginMiddleware:
    """Refuses other hosts and origins with 403, and two lengths with 400."""

    def __init__(
        self, app: ASGIApp, allowed: Collection[str], origins: Collection[str] = ()
    ) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        secure = scope["scheme"] in ("https", "wss")
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            totals_of(scope).errors["two_lengths"] += 1
            await _refuse(400, "The request is not valid", TWO_LENGTHS, scope, receive, send)
            return
        got = scope["path"] if scope["type"] == "http" and scope["method"] == "GET" else ""
        framed = got.startswith(FRAMED)
        page = framed or got in PAGE
        refused = refusal(headers, self._allowed, secure, page, self._origins, framed)
        if refused is None:
            origin = headers.get("origin", "")
            if origin in self._origins and not _is_same(origin, headers["host"], secure):
                # In place: the middleware before this one looks at the same scope afterwards.
                scope["headers"] = [each for each in scope["headers"] if each[0] != b"cookie"]
            await self._app(scope, receive, send)
            return
        totals_of(scope).refused[refused[0]] += 1
        await _refuse(403, "Forbidden", refused[1], scope, receive, send)


async def _refuse(
    status: int, title: str, detail: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Refuse a request, and close its connection."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})
    else:
        answer = problem(status, title, detail)
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)
