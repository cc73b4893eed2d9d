"""Routes for supervisors: health, readiness, and metrics for Prometheus."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from mimamba.service.api.dependencies import Service, ServiceState
from mimamba.service.auth.scopes import allows, auth_result_of
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.http.problem import PROBLEMS, problem

RETRY_SECONDS = 1
"""After which a load balancer or a client may ask again."""

health_api = APIRouter(include_in_schema=False, responses=PROBLEMS)


@health_api.get("/metrics")
async def read_metrics(request: Request) -> Response:
    """Return the metrics, in the format that Prometheus asks for."""
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    # Its media type includes the charset, to which Starlette would add another one.
    return Response(encode(request.app.state.registry), headers={"Content-Type": kind})


@health_api.get("/healthz")
async def healthz(request: Request, service: Service) -> dict[str, str | int]:
    """Return 200 while the process answers; with a token for view also its load."""
    if not allows(auth_result_of(request), "view"):
        return {"status": "ok"}
    sessions, subscribers = len(service.sessions.all()), service.hub.subscribers
    return {"status": "ok", "sessions": sessions, "subscribers": subscribers}


@health_api.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """Return 200 when the service can predict; 503 while it starts, when an engine has failed, or
    without the bus.

    With a token for view, ``detail`` says why it cannot record, if so, and ``gateway`` is true
    where workers elsewhere compute the sessions.
    """
    running: ServiceState | None = getattr(request.app.state, "running", None)
    reason = "The service is starting." if running is None else _unready(running)
    viewing = allows(auth_result_of(request), "view")
    if running is None or reason is not None:
        shown = reason if viewing and reason else "Send a token to see the reason."
        refused = problem(503, "Not ready", shown)
        refused.headers["Retry-After"] = str(RETRY_SECONDS)
        return refused
    found = await asyncio.to_thread(running.recordings.problem) if viewing else None
    answer: dict[str, str | bool] = {"status": "ok"}
    if found:
        answer["detail"] = found
    if viewing and isinstance(running.sessions, BusSessions):
        answer["gateway"] = True
    return JSONResponse(answer)


def _unready(running: ServiceState) -> str | None:
    """Return the reason why the service cannot predict; None if it can.

    A further model that is loading does not delay the predictions of the first.
    """
    sessions = running.sessions
    if sessions.ending:
        return "The service is shutting down."
    if sessions.failure is not None:
        return f"The engine has failed: {sessions.failure}."
    if running.hub.farewell is not None:
        return "This gateway does not reach the bus. Try again: another gateway may."
    if sessions.loading and not sessions.engines():
        return f"The model {', '.join(sorted(sessions.loading))} is loading."
    return None
