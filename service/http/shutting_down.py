"""What is answered while the service ends: 503, whatever is asked, but for its health.

A session that is closed by the end alone would be none that was never there (404), and a request
that the end cancels would look like an error of ours (500). A signal is seen within 0.1 s; until
then everything is there, and answered as ever.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimamba.service.http.problem import problem

ENDING = "the service is ending; ask again once it is back"
HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})
"""Answered to the last: these tell a supervisor and Prometheus how the end comes along."""


class ShutdownMiddleware:
    """Refuses what comes once the service ends, and what was under way then and fails."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or tell of the end."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in HEALTH:
            await self._app(scope, receive, send)
        elif _ends(scope):
            await _farewell(scope, receive, send)
        else:
            await self._watched(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the end may overtake: it goes through, or is told so."""
        answered = refused = False

        async def passed(message: Message) -> None:
            nonlocal answered, refused
            answered = True
            if message["type"] == "http.response.start":
                refused = message["status"] >= 400 and _ends(scope)
                if refused:
                    await _farewell(scope, receive, send)
            if not refused:
                await send(message)

        try:
            await self._app(scope, receive, passed)
        except asyncio.CancelledError:  # uvicorn waits no longer
            if not _ends(scope):
                raise
            if not answered:
                await _farewell(scope, receive, send)


def _ends(scope: Scope) -> bool:
    ending: bool = scope["app"].state.running.sessions.ending
    return ending


async def _farewell(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(503, "The service is ending", ENDING)
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)
