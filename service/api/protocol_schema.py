"""The API's description of the stream, which OpenAPI cannot tell of."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from mimamba.service.protocol.schema import asyncapi, json_schema

schema_api = APIRouter(prefix="/v1", tags=["schema"])


@schema_api.get("/schema.json", response_class=Response)
async def read_schema() -> Response:
    """The JSON Schema of every message of the stream."""
    return Response(msgspec.json.encode(json_schema()), media_type="application/schema+json")


@schema_api.get("/asyncapi.json", response_class=Response)
async def read_asyncapi() -> Response:
    """The AsyncAPI 3 document of the stream."""
    return Response(msgspec.json.encode(asyncapi()), media_type="application/json")
