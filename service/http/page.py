"""Files of the built page, and the security headers of every response."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimamba.drivers.errors import Mismatch

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Everything that the page needs has its own origin; nothing is inline.

The page sets styles only by script (``element.style``), which ``style-src`` does not restrict.
"""


def find_page() -> Path | None:
    """Return the folder of the built page, with ``index.html``; None if it was never built.

    hatch_build.py builds it in every kind of installation, an editable one too.
    """
    folder = Path(__file__).parents[1] / "dist"
    return folder if (folder / "index.html").is_file() else None


def mount_page(app: FastAPI) -> None:
    """Serve the built page at /, with its security headers."""
    folder = find_page()
    if folder is None:
        raise Mismatch("the built page", "none", "install mimamba again: pip install .")
    app.mount("/", StaticFiles(directory=folder, html=True))
    app.add_middleware(SecurityHeadersMiddleware)


class SecurityHeadersMiddleware:
    """Adds the content security policy and cache control to responses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, and add the headers to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), scope["path"], message["status"])
            await send(message)

        await self._app(scope, receive, secured)


def _add_headers(headers: MutableHeaders, path: str, status: int) -> None:
    headers["Cache-Control"] = cache_control(path, status)
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"


def cache_control(path: str, status: int) -> str:
    """Return how long a browser may keep an answer."""
    if path.startswith("/assets/") and status < 400:  # its name contains a hash of its content
        return "public, max-age=31536000, immutable"
    if path.startswith("/v1/") or path == "/metrics":  # EEG stays on no disk but the service's
        return "no-store"
    return "no-cache"  # the page is requested each time
