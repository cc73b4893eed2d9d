"""How long a request's body may be: it is read before a token is asked for, at the login."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimamba.service.http.problem import problem

MOST_BYTES = 1 << 20
"""As of a WebSocket's message; a recording's notes, the longest field, take 60 kB at most."""
UPLOADS = "/v1/uploads"
"""The one path with longer bodies: ``upload.py`` counts them, on their way to the disk."""
REASON = f"Expected a body of at most {MOST_BYTES >> 20} MiB, but found a longer one. Send less."


class BodyMiddleware:
    """Refuses longer bodies with 413, whether or not they tell their length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] == UPLOADS:
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > MOST_BYTES:
            await problem(413, "The body is too long", REASON)(scope, receive, send)
            return
        room = MOST_BYTES

        async def counted() -> Message:
            nonlocal room
            message = await receive()
            room -= len(message.get("body", b""))
            if room < 0:
                raise HTTPException(413, REASON)
            return message

        await self._app(scope, counted, send)
