"""How the service is: why it is not ready, and its numbers for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from service.sessions import Sessions

metrics = APIRouter(include_in_schema=False)


@metrics.get("/metrics")
async def read_metrics(request: Request) -> Response:
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
