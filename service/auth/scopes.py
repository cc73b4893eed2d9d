"""Scopes that routes and messages require. Those that are not named here require ``control``."""

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
    # The pages contain no personal data, and must load to ask for the token.
    "GET /": "open",
    "GET /index.html": "open",
    "GET /embed/{session}": "open",
    "GET /assets/{file}": "open",
    "GET /icon.svg": "open",
    "GET /licenses.md": "open",
    "POST /v1/login": "open",
    "POST /v1/login/code": "open",
    "POST /v1/logout": "open",
    "POST /v1/watch-codes": "control",  # it lets others in
    "DELETE /v1/watch-codes": "control",
    "GET /v1/tokens": "control",
    "POST /v1/tokens": "control",
    "DELETE /v1/tokens/{name}": "control",
    "GET /healthz": "open",
    "GET /readyz": "open",
    "GET /metrics": "view",
    "WS /v1/stream": "open",  # it authenticates itself, see websocket_auth.py
    "GET /v1/openapi.json": "view",
    "GET /v1/asyncapi.json": "view",
    "GET /v1/schema.json": "view",
    "GET /v1/models": "view",
    "GET /v1/sources": "control",
    "POST /v1/sources": "control",  # it scans with the adapter that headsets use
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
    "GET /v1/sessions/{session}/calibration": "view",
    "POST /v1/sessions/{session}/calibration": "control",
    "DELETE /v1/sessions/{session}/calibration": "control",
    "POST /v1/sessions/{session}/calibration/ratings": "control",
    "POST /v1/sessions/{session}/calibration/finish": "control",
    "GET /v1/people/{person}/calibrations": "view",
    "GET /v1/people/{person}/heads": "view",
    "DELETE /v1/people/{person}/heads/{head}": "control",
    "GET /v1/sessions/{session}/head": "view",
    "PUT /v1/sessions/{session}/head": "control",
    "GET /v1/sessions/{session}/ratings": "view",
    "POST /v1/sessions/{session}/ratings": "control",
    "GET /v1/studies": "view",
    "POST /v1/study-checks": "control",
    "GET /v1/studies/{study}": "view",
    "PUT /v1/studies/{study}": "control",
    "DELETE /v1/studies/{study}": "control",
    "GET /v1/studies/{study}/file": "view",
    "PUT /v1/studies/{study}/file": "control",
    "GET /v1/sessions/{session}/study": "view",
    "POST /v1/sessions/{session}/study": "control",
    "DELETE /v1/sessions/{session}/study": "control",
    "POST /v1/sessions/{session}/study/answers": "control",
    "GET /v1/sessions/{session}/feedback": "view",
    "POST /v1/sessions/{session}/feedback": "control",
    "DELETE /v1/sessions/{session}/feedback": "control",
    "GET /v1/sham-recordings": "view",
    "GET /v1/people": "view",
    "GET /v1/people/{person}": "view",
    "GET /v1/people/{person}/export": "view",  # control with feedback for a study
    "PUT /v1/people/{person}": "control",
    "POST /v1/people/{person}/acknowledgements": "control",
    "DELETE /v1/people/{person}": "control",
    "GET /v1/recordings": "view",
    "POST /v1/recordings": "control",
    "GET /v1/recordings/{recording}": "view",
    "PUT /v1/recordings/{recording}": "control",
    "DELETE /v1/recordings/{recording}": "control",
    "GET /v1/recordings/{recording}/file": "view",  # control with feedback for a study
    "GET /v1/recordings/{recording}/export": "view",
    "GET /v1/recordings/{recording}/report": "view",
    "GET /v1/recordings/{recording}/summary": "view",
    "POST /v1/recordings/{recording}/stop": "control",
    "GET /v1/recordings/{recording}/feedback": "control",  # it unblinds
    "GET /v1/recordings/{recording}/markers": "view",
    "POST /v1/recordings/{recording}/markers": "control",
    "PUT /v1/recordings/{recording}/markers/{marker}": "control",
    "DELETE /v1/recordings/{recording}/markers/{marker}": "control",
    "POST /v1/recordings/{recording}/markers/{marker}/restore": "control",
    "POST /v1/uploads": "control",
    "GET /v1/workers": "control",  # it names machines
}
"""By method and path; HEAD counts as GET, WS is a WebSocket."""

MESSAGES: dict[type[ClientMessage], RequiredScope] = {
    Auth: "open",
    Subscribe: "view",
    Unsubscribe: "view",
    Ping: "view",
    Mark: "control",
    Push: "control",
    Samples: "control",
}
"""By the type of a WebSocket message."""

_PATTERNS = [
    (key.split(" ")[0], compile_path(key.split(" ")[1])[0], required)
    for key, required in ROUTES.items()
]


def scope_required_by_route(scope: ASGIScope) -> RequiredScope:
    """Return the scope that a request requires."""
    method = "WS" if scope["type"] == "websocket" else scope["method"].replace("HEAD", "GET")
    for declared, path, required in _PATTERNS:
        if declared == method and path.match(scope["path"]):
            return required
    return "control"


def methods_of(path: str) -> set[str]:
    """Return the methods that are declared for a path."""
    return {method for method, each, _ in _PATTERNS if method != "WS" and each.match(path)}


def scope_required_by_message(message: ClientMessage) -> RequiredScope:
    """Return the scope that a message requires."""
    return MESSAGES.get(type(message), "control")


def allows(result: AuthResult, required: RequiredScope) -> bool:
    """Return whether an authentication is enough for a scope."""
    if required == "open":
        return True
    return isinstance(result, Permission) and result.scope in (required, "control")


def auth_result_of(connection: HTTPConnection) -> AuthResult:
    """Return the authentication of a request, from the middleware."""
    result: AuthResult = connection.scope["mimamba.auth_result"]
    return result


MISSING = "Send the token that `mimamba serve` printed as Authorization: Bearer TOKEN."


class ScopeMiddleware:
    """Refuses requests that their token does not allow, before it reads a byte of the body."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        result = self._authenticator.authenticate(HTTPConnection(scope))
        scope["mimamba.auth_result"] = result
        if allows(result, scope_required_by_route(scope)):
            await self._app(scope, receive, send)
            return
        count_refusal(scope, result)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})
        else:
            await refusal_response(result)(scope, receive, send)


def count_refusal(scope: ASGIScope, result: AuthResult) -> None:
    """Count a refusal by its reason."""
    reason: RefusalReason = "no_token"
    if isinstance(result, Permission):
        reason = "scope"
    elif result is not None:
        reason = "too_many" if result.wait else "wrong_token"
    totals_of(scope).refused[reason] += 1


def scope_refusal(permission: Permission) -> str:
    """Return the reason why a token's scope is not enough."""
    return f"This token allows only {permission.scope}. Use the token for control."


def refusal_response(result: AuthResult, missing: str = MISSING) -> JSONResponse:
    """Return the answer to a refused request; ``missing`` is for one without a token."""
    if isinstance(result, Permission):
        return problem(403, "The token does not allow this", scope_refusal(result))
    if isinstance(result, AuthRefusal) and result.wait:
        answer = problem(result.status, "Too many wrong tokens", result.reason)
        answer.headers["Retry-After"] = str(result.wait)
        return answer
    answer = problem(401, "A token is required", result.reason if result else missing)
    error = ', error="invalid_token"' if result else ""
    answer.headers["WWW-Authenticate"] = f'Bearer realm="mimamba"{error}'
    return answer
