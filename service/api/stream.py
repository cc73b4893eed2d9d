"""Routes of the stream: the WebSocket, and its messages' schema, which OpenAPI cannot describe."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

import msgspec
from fastapi import APIRouter, WebSocket
from starlette.responses import Response

from mimamba.service.api.dependencies import Service
from mimamba.service.auth.websocket_auth import authenticate_websocket
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.protocol.schema import asyncapi, json_schema
from mimamba.service.stream.connection import Connection

stream_api = APIRouter(prefix="/v1", tags=["schema"], responses=PROBLEMS)


@stream_api.websocket("/stream")
async def stream(socket: WebSocket, service: Service) -> None:
    """Speak wire protocol v1."""
    server = f"mimamba {version('mimamba')}"
    state = socket.app.state
    permissions = await authenticate_websocket(socket, state.authenticator, state.auth_seconds)
    if permissions is not None:
        socket.state.admit()
        connection = Connection(
            socket,
            permissions,
            service.hub,
            service.sessions.all,
            server,
            service.remote_sources,
            partial(service.sessions.ready, patience=None),  # without the bus, it is sent away
        )
        await connection.serve()


@stream_api.get("/schema.json", response_class=Response)
async def read_schema() -> Response:
    """Return the JSON Schema of every message of the stream."""
    return Response(msgspec.json.encode(json_schema()), media_type="application/schema+json")


@stream_api.get("/asyncapi.json", response_class=Response)
async def read_asyncapi() -> Response:
    """Return the AsyncAPI 3 document of the stream."""
    return Response(msgspec.json.encode(asyncapi()), media_type="application/json")
