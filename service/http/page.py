"""Where the built page lies, how it is served, and the policy under which it runs."""

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
"""All that the page needs is of its own origin; nothing is inline.

The page sets styles by script alone (``element.style``), which ``style-src`` does not concern.
"""


def find_page() -> Path | None:
    """The folder of the built page, with ``index.html``; None where it was never built.

    hatch_build.py puts it there in every kind of installation, an editable one too.
    """
    folder = Path(__file__).parents[1] / "dist"
    return folder if (folder / "index.html").is_file() else None


def mount_page(app: FastAPI) -> None:
    """Serve the built page at /, under its policy."""
    folder = find_page()
    if folder is None:
        raise Mismatch("the built page", "none", "install mimamba again: pip install .")
    app.mount("/", StaticFiles(directory=folder, html=True))
    app.add_middleware(PolicyMiddleware)


class PolicyMiddleware:
    """Adds the policy, and for how long an answer may be kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer with these headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                part = scope["path"].startswith("/assets/") and message["status"] < 400
                _secure(MutableHeaders(scope=message), part)
            await send(message)

        await self._app(scope, receive, secured)


def _secure(headers: MutableHeaders, part: bool) -> None:
    # The page's parts are named by their content; the page itself is asked for each time.
    headers["Cache-Control"] = "public, max-age=31536000, immutable" if part else "no-cache"
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
