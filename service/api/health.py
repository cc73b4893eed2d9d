"""How the service is: why it is not ready, and its numbers for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from mimamba.service.api.dependencies import Service, ServiceState
from mimamba.service.auth.scopes import allows, judgement_of
from mimamba.service.http.problem import problem
from mimamba.service.sessions.registry import SessionRegistry

metrics = APIRouter(include_in_schema=False)


@metrics.get("/metrics")
async def read_metrics(request: Request) -> Response:
    """The service's state for Prometheus, in the format that it asks for."""
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    # Its media type holds the charset, to which Starlette would add another one.
    return Response(encode(request.app.state.registry), headers={"Content-Type": kind})


def unready(sessions: SessionRegistry) -> str | None:
    """Why the service cannot predict, if so.

    A further model that is being loaded keeps nobody from the first one's predictions.
    """
    if sessions.ending:
        return "the service is ending"
    if sessions.failure is not None:
        return f"the engine has failed: {sessions.failure}"
    if sessions.loading and not sessions.engines():
        return f"the model {', '.join(sorted(sessions.loading))} is being loaded"
    return None


health = APIRouter(include_in_schema=False)


@health.get("/healthz")
async def healthz(request: Request, service: Service) -> dict[str, str | int]:
    """The process answers, and says how busy it is to whom that concerns."""
    if not allows(judgement_of(request), "view"):
        return {"status": "ok"}
    sessions, subscribers = len(service.sessions.all()), service.hub.subscribers
    return {"status": "ok", "sessions": sessions, "subscribers": subscribers}


@health.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """200 where the service can predict; 503 while it starts or where an engine is dead."""
    running: ServiceState | None = getattr(request.app.state, "running", None)
    reason = "the service is starting" if running is None else unready(running.sessions)
    if reason is None:
        return JSONResponse({"status": "ok"})
    told = reason if allows(judgement_of(request), "view") else "ask with a token for the reason"
    return problem(503, "Not ready", told)
