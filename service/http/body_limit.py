"""Limit of a request's body; the login reads one before any authentication."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimamba.service.http.problem import problem

MAX_BYTES = 1 << 20
"""As for a WebSocket message; notes of a recording, the longest field, need at most 60 kB."""
UPLOADS = "/v1/uploads"
"""The one path with longer bodies: recordings/upload.py counts them while it writes them."""
LOGINS = frozenset({"/v1/login", "/v1/login/code"})
"""The paths whose body anyone may send."""
MAX_LOGIN_BYTES = 1 << 13
"""A token of 1,024 characters, each written as \\u0000, and some more.

A body of 1 MiB with an error in each field took 0.6 s to refuse.
"""
REASON = "Expected a body of at most {limit}, but it is longer. Send less."


class BodyLimitMiddleware:
    """Refuses longer bodies with 413, whether or not they declare their length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] != "http" or scope["path"] == UPLOADS:
            await self._app(scope, receive, send)
            return
        login = scope["path"] in LOGINS
        left = MAX_LOGIN_BYTES if login else MAX_BYTES
        reason = REASON.format(limit="8 KiB" if login else "1 MiB")
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > left:
            await problem(413, "The body is too long", reason)(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, reason)
            return message

        await self._app(scope, counted, send)
