"""Requests that a proxy forwards: the client, the scheme and the path of each."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class ProxyMiddleware:
    """Takes client and scheme from a trusted proxy's headers, and the prefix from the path.

    A proxy may remove the prefix or leave it. Without its slash at the end, the page's relative
    addresses would lead elsewhere, so that is redirected.

    Parameters
    ----------
    is_trusted
        Returns whether an address is a proxy whose headers count.
    root_path
        The prefix, such as ``/eeg``; empty without one.
    """

    def __init__(self, app: ASGIApp, is_trusted: Callable[[str], bool], root_path: str) -> None:
        self._app = app
        self._is_trusted = is_trusted
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        self._take_headers(scope)
        prefix = self._root_path
        if prefix and scope["type"] == "http" and scope["path"] == prefix:
            await RedirectResponse(f"{prefix}/")(scope, receive, send)
            return
        if prefix and scope["path"].startswith(f"{prefix}/"):
            scope["path"] = scope["path"].removeprefix(prefix)
            scope["raw_path"] = scope["raw_path"].removeprefix(prefix.encode())
        await self._app(scope, receive, send)

    def _take_headers(self, scope: Scope) -> None:
        client = scope.get("client")
        if not client or not self._is_trusted(client[0]):
            return
        headers = Headers(scope=scope)
        scheme = headers.get("x-forwarded-proto", "").strip().lower()
        if scheme in ("http", "https"):
            web_socket = scope["type"] == "websocket"
            scope["scheme"] = scheme.replace("http", "ws") if web_socket else scheme
        # Each proxy appends the address that it sees; what the client itself sent comes first.
        addresses = ", ".join(headers.getlist("x-forwarded-for")).split(",")
        for text in reversed(addresses):
            address = address_of(text.strip())
            if address is None:
                return
            scope["client"] = (address, 0)
            if not self._is_trusted(address):
                return


def address_of(text: str) -> str | None:
    """Return the IP address in an entry of X-Forwarded-For, which may have a port; or None."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None
