"""Answers while the service shuts down: 503 to every request except for its health.

Without this, a session that the shutdown has closed would look as if it had never existed (404),
and a request that the shutdown cancels like an internal error (500). The service notices a signal
within 0.1 s; until then all sessions exist and requests are answered as usual.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimamba.service.http.problem import problem

DETAIL = "The service is shutting down. Try again when it has restarted."
HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})
"""Answered to the end: supervisors and Prometheus follow the shutdown by them."""


class ShutdownMiddleware:
    """Refuses requests during the shutdown, and those that fail because of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in HEALTH:
            await self._app(scope, receive, send)
        elif _is_shutting_down(scope):
            await _refuse(scope, receive, send)
        else:
            await self._forward(scope, receive, send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, and refuse it if the shutdown makes it fail."""
        started = refused = False

        async def checked(message: Message) -> None:
            nonlocal started, refused
            started = True
            if message["type"] == "http.response.start":
                refused = message["status"] >= 400 and _is_shutting_down(scope)
                if refused:
                    await _refuse(scope, receive, send)
            if not refused:
                await send(message)

        try:
            await self._app(scope, receive, checked)
        except asyncio.CancelledError:  # uvicorn has stopped waiting
            if not _is_shutting_down(scope):
                raise
            if not started:
                await _refuse(scope, receive, send)


def _is_shutting_down(scope: Scope) -> bool:
    ending: bool = scope["app"].state.running.sessions.ending
    return ending


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(503, "The service is shutting down", DETAIL)
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)
