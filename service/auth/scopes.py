"""What each route and each message asks for. What is not named here asks for ``control``."""

from __future__ import annotations

from typing import Literal, TypeAlias

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from mimamba.service.auth.authenticator import Authenticator, AuthRefusal, AuthResult, Permission
from mimamba.service.http.problem import problem
from mimamba.service.http.request_totals import totals_of
from mimamba.service.monitoring.service_counters import RefusalReason
from mimamba.service.protocol.auth import Auth, Scope
from mimamba.service.protocol.messages import ClientMessage, Mark, Ping, Subscribe, Unsubscribe
from mimamba.service.protocol.push import Push, Samples

RequiredScope: TypeAlias = Literal["open"] | Scope

ROUTES: dict[str, RequiredScope] = {
    # The page holds nothing of anybody, and must be there to ask for the token.
    "GET /": "open",
    "GET /index.html": "open",
    "GET /assets/{file}": "open",
    "GET /icon.svg": "open",
    "GET /licenses.md": "open",
    "POST /v1/login": "open",
    "POST /v1/logout": "open",
    "GET /healthz": "open",
    "GET /readyz": "open",
    "GET /metrics": "view",
    "WS /v1/stream": "open",  # it is let in by itself, see gate.py
    "GET /v1/openapi.json": "view",
    "GET /v1/asyncapi.json": "view",
    "GET /v1/schema.json": "view",
    "GET /v1/models": "view",
    "GET /v1/sources": "control",  # it scans with the adapter that headsets stream through
    "GET /v1/sessions": "view",
    "POST /v1/sessions": "control",
    "GET /v1/sessions/{session}": "view",
    "DELETE /v1/sessions/{session}": "control",
    "GET /v1/sessions/{session}/replay": "view",
    "GET /v1/sessions/{session}/timeline": "view",
    "POST /v1/sessions/{session}/replay": "control",
    "PUT /v1/sessions/{session}/model": "control",
    "POST /v1/sessions/{session}/markers": "control",
    "GET /v1/sessions/{session}/baseline": "view",
    "POST /v1/sessions/{session}/baseline": "control",
    "PUT /v1/sessions/{session}/baseline": "control",
    "DELETE /v1/sessions/{session}/baseline": "control",
    "GET /v1/people": "view",
    "GET /v1/people/{person}": "view",
    "PUT /v1/people/{person}": "control",
    "DELETE /v1/people/{person}": "control",
    "GET /v1/recordings": "view",
    "POST /v1/recordings": "control",
    "GET /v1/recordings/{recording}": "view",
    "DELETE /v1/recordings/{recording}": "control",
    "GET /v1/recordings/{recording}/file": "view",
    "GET /v1/recordings/{recording}/export": "view",
    "POST /v1/recordings/{recording}/stop": "control",
    "POST /v1/uploads": "control",
}
"""By method and path; HEAD is GET, WS a WebSocket."""

MESSAGES: dict[type[ClientMessage], RequiredScope] = {
    Auth: "open",
    Subscribe: "view",
    Unsubscribe: "view",
    Ping: "view",
    Mark: "control",
    Push: "control",
    Samples: "control",
}
"""By the type of a WebSocket's message."""

_PATTERNS = [
    (key.split(" ")[0], compile_path(key.split(" ")[1])[0], need) for key, need in ROUTES.items()
]


def need_of_route(scope: ASGIScope) -> RequiredScope:
    """What a request asks for."""
    method = "WS" if scope["type"] == "websocket" else scope["method"].replace("HEAD", "GET")
    for declared, path, need in _PATTERNS:
        if declared == method and path.match(scope["path"]):
            return need
    return "control"


def methods_of(path: str) -> set[str]:
    """The methods that are declared for a path."""
    return {method for method, each, _ in _PATTERNS if method != "WS" and each.match(path)}


def need_of_message(message: ClientMessage) -> RequiredScope:
    """What a message asks for."""
    return MESSAGES.get(type(message), "control")


def allows(judged: AuthResult, need: RequiredScope) -> bool:
    """Whether what was granted is enough."""
    return need == "open" or (isinstance(judged, Permission) and judged.scope in (need, "control"))


def judgement_of(asking: HTTPConnection) -> AuthResult:
    """What the middleware found out about a request."""
    judged: AuthResult = asking.scope["mimamba.judgement"]
    return judged


class ScopeMiddleware:
    """Refuses what the token shown does not allow, before a byte of a body is read."""

    def __init__(self, app: ASGIApp, door: Authenticator) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        judged = scope["mimamba.judgement"] = self._door.judge(HTTPConnection(scope))
        if allows(judged, need_of_route(scope)):
            await self._app(scope, receive, send)
            return
        count_refusal(scope, judged)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})
        else:
            await refused(judged)(scope, receive, send)


def count_refusal(scope: ASGIScope, judged: AuthResult) -> None:
    """Somebody of whom this was found out is refused."""
    reason: RefusalReason = "no_token"
    if isinstance(judged, Permission):
        reason = "scope"
    elif judged is not None:
        reason = "too_many" if judged.wait else "wrong_token"
    totals_of(scope).refused[reason] += 1


def refused(judged: AuthResult) -> JSONResponse:
    """The answer to a request that is not allowed."""
    if isinstance(judged, Permission):
        detail = f"Expected the token for control, but found the one for {judged.scope}. "
        "Use the other."
        return problem(403, "The token does not allow this", detail)
    if isinstance(judged, AuthRefusal) and judged.wait:
        answer = problem(judged.status, "Too many wrong tokens", judged.reason)
        answer.headers["Retry-After"] = str(judged.wait)
        return answer
    detail = "Expected a token of this service, but found none. Send it as Authorization: Bearer."
    answer = problem(401, "A token is needed", judged.reason if judged else detail)
    error = ', error="invalid_token"' if judged else ""
    answer.headers["WWW-Authenticate"] = f'Bearer realm="mimamba"{error}'
    return answer
