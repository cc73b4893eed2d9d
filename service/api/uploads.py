"""Routes of uploads: a file from elsewhere becomes a recording of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response

from mimamba.service.api.dependencies import AllPeople, AllRecordings
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.people.people import DamagedPerson
from mimamba.service.recordings.sidecar import RecordingInfo
from mimamba.service.recordings.upload import Upload, Uploads
from mimamba.service.storage.private_files import NAME

FILE_NAME = r"^[^/\\\x00-\x1f\x7f]{1,255}$"
"""A file's name, never a path."""


def _uploads(connection: HTTPConnection) -> Uploads:
    uploads: Uploads = connection.app.state.uploads
    return uploads


uploads_api = APIRouter(prefix="/v1/uploads", tags=["recordings"], responses=PROBLEMS)


@uploads_api.post(
    "",
    status_code=201,
    response_model=RecordingInfo,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def upload_recording(
    request: Request,
    uploads: Annotated[Uploads, Depends(_uploads)],
    recordings: AllRecordings,
    people: AllPeople,
    name: Annotated[str, Query(pattern=FILE_NAME, description="The file's name, without folder.")],
    person: Annotated[
        str | None, Query(pattern=f"^{NAME}$", description="The recorded person's pseudonym.")
    ] = None,
) -> RecordingInfo | Response:
    """Upload one file of any known format. The body is its content, and may be long.

    The service reads it in a separate process within limits and stores it as XDF: an XDF file
    unchanged, of another format the signal and the markers. Returns when it is in the list of
    recordings.
    """
    header = request.headers.get("content-length", "")
    upload = Upload(name, person)
    length = int(header) if header.isdecimal() else None
    try:
        stored = await uploads.receive(upload, _parts(request), length)
    except ClientDisconnect:
        return Response(status_code=499)  # nobody reads it
    if person is not None:
        with suppress(DamagedPerson):  # such a person exists, too
            await asyncio.to_thread(people.add, person)
    return await asyncio.to_thread(recordings.get, stored)


async def _parts(request: Request) -> AsyncIterator[bytes]:
    async for part in request.stream():
        yield part
