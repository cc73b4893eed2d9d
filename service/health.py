"""How the service is: alive, ready, and in numbers."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from service.problems import problem
from service.sessions import Sessions

health = APIRouter(include_in_schema=False)


@health.get("/healthz")
async def healthz(request: Request) -> dict[str, str | int]:
    """The process answers, and says how busy it is."""
    running = request.app.state.running
    sessions, subscribers = len(running.sessions.all()), running.hub.subscribers
    return {"status": "ok", "sessions": sessions, "subscribers": subscribers}


@health.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """200 where the service can predict; 503 where it cannot, with the reason."""
    running = getattr(request.app.state, "running", None)
    reason = "the service is starting" if running is None else unready(running.sessions)
    return problem(503, "Not ready", reason) if reason else JSONResponse({"status": "ok"})


@health.get("/metrics")
async def metrics(request: Request) -> Response:
    """The service's state for Prometheus, in the format that it asks for."""
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    # Its media type holds the charset, to which Starlette would add another one.
    return Response(encode(request.app.state.registry), headers={"Content-Type": kind})


def unready(sessions: Sessions) -> str | None:
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
