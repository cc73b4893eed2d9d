"""Limit of a request's body, which the login reads before any authentication."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimamba.service.http.problem import problem

MAX_BYTES = 1 << 20
"""As for a WebSocket message; notes of a recording, the longest field, need at most 60 kB."""
UPLOADS = "/v1/uploads"
"""The one path with longer bodies: recordings/upload.py counts them while it writes them."""
REASON = f"Expected a body of at most {MAX_BYTES >> 20} MiB, but it is longer. Send less."


class BodyLimitMiddleware:
    """Refuses longer bodies with 413, whether or not they declare their length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] != "http" or scope["path"] == UPLOADS:
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > MAX_BYTES:
            await problem(413, "The body is too long", REASON)(scope, receive, send)
            return
        left = MAX_BYTES

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, REASON)
            return message

        await self._app(scope, counted, send)
