"""Check of Host and Origin: only programs and the service's own page may send requests.

EEG is personal, and any web page in a browser can reach a loopback port. So a request's Host must
be an IP address, localhost or an allowed name (against DNS rebinding), and its Origin, if it has
one, must equal its Host (against other pages). With TLS the page must have been loaded with TLS,
too; without it, a page loaded with TLS counts as the service's own behind a proxy that ends TLS. A
WebSocket is refused before its upgrade. Authentication comes after this, see auth/scopes.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mimamba.service.http.problem import problem
from mimamba.service.http.request_totals import totals_of
from mimamba.service.monitoring.service_counters import RefusalReason


def refusal(
    headers: Mapping[str, str], allowed: Collection[str], secure: bool = False
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
    """
    host = headers.get("host", "")
    if not _is_allowed(host, allowed):
        return "host", (
            f"Expected an IP address, localhost or an allowed name as Host, but found {host!r}. "
            "Start the service with --allowed-host NAME."
        )
    origin = headers.get("origin")
    if origin is not None and not _is_same(origin, host, secure):
        return "origin", (
            f"Expected the page's own origin ({host}), but found {origin!r}. Open the page itself."
        )
    return None


def _is_same(origin: str, host: str, secure: bool) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    schemes = {"https"} if secure else {"http", "https"}
    return parts.scheme in schemes and parts.netloc.lower() == host.lower()


def _is_allowed(host: str, allowed: Collection[str]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name == "localhost" or name in allowed:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class HostAndOriginMiddleware:
    """Refuses other hosts and origins with 403."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        secure = scope["scheme"] in ("https", "wss")
        refused = refusal(Headers(scope=scope), self._allowed, secure)
        if refused is None:
            await self._app(scope, receive, send)
            return
        totals_of(scope).refused[refused[0]] += 1
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})
        else:
            await problem(403, "Forbidden", refused[1])(scope, receive, send)
