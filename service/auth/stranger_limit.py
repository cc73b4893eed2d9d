"""Limit on what clients without a valid token may ask, by address.

A refusal costs a third of a millisecond, so a few clients that ask again at once keep the event
loop busy. Those who have used up the allowance of their address are held: nothing is read from
their connections until it is their turn, at the allowed rate. Then a request is refused with 429
and its connection is closed; an upgrade to a WebSocket goes on, since a token may follow.

Requests with a valid token are never counted, wherever they come from.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimamba.service.auth.authenticator import Authenticator, Permission, client_address
from mimamba.service.http.allowance import StrangerAllowances
from mimamba.service.http.problem import problem
from mimamba.service.http.request_totals import totals_of

LIMITED = "limited_request"
"""Kind of error that the service's counters show."""
LONG_HEAD = 4096
"""Bytes of headers for which a request counts once more."""
CREDENTIALS = frozenset({b"authorization", b"cookie"})
"""Headers without one of which nobody is known."""


class StrangerMiddleware:
    """Holds and refuses clients without a valid token that ask too often."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, allowances: StrangerAllowances
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._allowances = allowances

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or hold and refuse it.

        What has no credentials is refused before anything else; with some, it depends on them.
        """
        if scope["type"] not in ("http", "websocket") or not self._authenticator.requires_token:
            await self._app(scope, receive, send)
        elif any(name in CREDENTIALS for name, _ in scope["headers"]):
            await self._forward(scope, receive, send)
        elif await self._is_allowed(scope):
            await self._app(scope, receive, send)
        else:
            await self._refuse(scope, receive, send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, and refuse it if its credentials have turned out to be wrong."""
        started = refused = False

        async def checked(message: Message) -> None:
            nonlocal started, refused
            if not started:
                started = True
                known = isinstance(scope.get("mimamba.auth_result"), Permission)
                refused = not known and not await self._is_allowed(scope)
                if refused:
                    await self._refuse(scope, receive, send)
            if not refused:
                await send(message)

        await self._app(scope, receive, checked)

    async def _is_allowed(self, scope: Scope) -> bool:
        """Return whether a stranger's request may go on; one that may not has been held."""
        address = client_address(HTTPConnection(scope))
        upgrade = scope["type"] == "websocket"
        allowance = self._allowances.upgrades if upgrade else self._allowances.requests
        wait = allowance.take(address, 1 if upgrade else _cost(scope))
        if upgrade:
            _call_too(scope, lambda: allowance.give_back(address))
        if wait:
            totals_of(scope).errors[LIMITED] += 1
            await _hold(scope, wait)
        return upgrade or not wait

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        totals_of(scope).refused["too_many"] += 1
        seconds = math.ceil(1 / self._allowances.requests.rate.per_second)
        answer = problem(
            429,
            "Too many requests",
            "Too many requests without a valid token came from this address. "
            f"Try again in {seconds} s.",
        )
        answer.headers["Retry-After"] = str(seconds)
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)


def _cost(scope: Scope) -> int:
    """Return for how many requests one counts: a long head takes as long as several."""
    return 1 + sum(len(name) + len(value) for name, value in scope["headers"]) // LONG_HEAD


async def _hold(scope: Scope, seconds: float) -> None:
    """Wait, and read nothing from the connection meanwhile."""
    hold: Callable[[bool], None] = scope.get("state", {}).get("hold", lambda _: None)
    hold(True)
    try:
        await asyncio.sleep(seconds)
    finally:
        hold(False)


def _call_too(scope: Scope, call: Callable[[], None]) -> None:
    """Call something when a WebSocket's token is accepted."""
    state = scope.get("state", {})
    admit: Callable[[], None] = state.get("admit", lambda: None)

    def admit_and_call() -> None:
        admit()
        call()

    state["admit"] = admit_and_call
