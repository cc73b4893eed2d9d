"""Where the built page lies, how it is served, and the policy under which it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from drivers.base import Mismatch

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
    folder = Path(__file__).parent / "dist"
    return folder if (folder / "index.html").is_file() else None


def mount_page(app: FastAPI) -> None:
    """Serve the built page at /, under its policy."""
    folder = find_page()
    if folder is None:
        raise Mismatch("the built page", "none", "install mimamba again: pip install .")
    app.mount("/", StaticFiles(directory=folder, html=True))

    @app.middleware("http")
    async def secure(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        # The page's parts are named by their content; the page itself is asked for each time.
        part = request.url.path.startswith("/assets/")
        kept = "public, max-age=31536000, immutable" if part else "no-cache"
        response.headers["Cache-Control"] = kept
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
