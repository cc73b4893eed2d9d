"""Files of the built page, and the security headers of every response."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimamba.drivers.errors import Mismatch
from mimamba.service.http.host_and_origin import FRAMED

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {framers}"
)
"""Everything that the page needs has its own origin; nothing is inline.

The page sets styles only by script (``element.style``), which ``style-src`` does not restrict.
``framers`` are the origins that may show it in a frame.
"""

GZIP: Final = re.compile(r"\bgzip\s*(?!;\s*q=0(\.0*)?\s*(,|$))(;|,|$)", re.IGNORECASE)
"""In Accept-Encoding of a client that takes gzip."""


def find_page() -> Path | None:
    """Return the folder of the built page, with ``index.html``; None if it was never built.

    hatch_build.py builds it in every kind of installation, an editable one too.
    """
    folder = Path(__file__).parents[1] / "dist"
    return folder if (folder / "index.html").is_file() else None


def mount_page(app: FastAPI, origins: Sequence[str] = ()) -> None:
    """Serve the built page at /, with its security headers, and the view for frames.

    Parameters
    ----------
    app
        To serve it.
    origins
        Origins whose pages may show ``/embed/SESSION`` in a frame.
    """
    folder = find_page()
    if folder is None:
        raise Mismatch("the built page", "none", "install mimamba again: pip install .")
    embedded = folder / "embed" / "index.html"

    @app.get(f"{FRAMED}{{session}}", include_in_schema=False)
    async def embed() -> FileResponse:
        """Return the view for frames, which takes the session from its own address."""
        return FileResponse(embedded)

    app.mount("/", PageFiles(directory=folder, html=True))
    app.add_middleware(SecurityHeadersMiddleware, origins=origins)


class PageFiles(StaticFiles):
    """Files of the built page, each as its compressed FILE.gz where there is one.

    The build makes those: to compress for each request would keep the event loop busy. Only the
    page is compressed, which has no secret: an answer that mixes one with a stranger's text would
    tell it by its size.
    """

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return a file, or that it has not changed; each form has its own ETag."""
        packed = Path(f"{os.fspath(full_path)}.gz")
        try:
            status = packed.stat()
        except OSError:
            return super().file_response(full_path, stat_result, scope, status_code)
        if GZIP.search(Headers(scope=scope).get("Accept-Encoding", "")):
            answer = super().file_response(packed, status, scope, status_code)
            answer.headers["Content-Encoding"] = "gzip"
        else:
            answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["Vary"] = "Accept-Encoding"
        return answer


class SecurityHeadersMiddleware:
    """Adds the content security policy and cache control to responses."""

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        self._app = app
        self._framed = CONTENT_SECURITY_POLICY.format(framers=" ".join(origins) or "'none'")
        self._unframed = CONTENT_SECURITY_POLICY.format(framers="'none'")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, and add the headers to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers, path = MutableHeaders(scope=message), scope["path"]
                _add_headers(headers, path, message["status"])
                framed = path.startswith(FRAMED)
                headers.setdefault(  # a report has its own
                    "Content-Security-Policy", self._framed if framed else self._unframed
                )
            await send(message)

        await self._app(scope, receive, secured)


def _add_headers(headers: MutableHeaders, path: str, status: int) -> None:
    headers["Cache-Control"] = cache_control(path, status)
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
