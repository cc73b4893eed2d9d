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
                is_asset = scope["path"].startswith("/assets/") and message["status"] < 400
                _add_headers(MutableHeaders(scope=message), is_asset)
            await send(message)

        await self._app(scope, receive, secured)


def _add_headers(headers: MutableHeaders, is_asset: bool) -> None:
    # Names of assets contain a hash of their content; the page itself is requested each time.
    headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_asset else "no-cache"
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
