"""The API's uploads: a recording from elsewhere becomes one of the service's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response

from mimamba.service.api.dependencies import AllPeople, AllRecordings
from mimamba.service.people.people import DamagedPerson
from mimamba.service.recordings.metadata import RecordingInfo
from mimamba.service.recordings.upload import Upload, Uploads
from mimamba.service.storage.private_files import NAME

FILE_NAME = r"^[^/\\\x00-\x1f\x7f]{1,255}$"
"""A file's name, never a path."""


def _uploads(connection: HTTPConnection) -> Uploads:
    uploads: Uploads = connection.app.state.uploads
    return uploads


upload_api = APIRouter(prefix="/v1/uploads", tags=["recordings"])


@upload_api.post(
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
    name: Annotated[str, Query(pattern=FILE_NAME, description="The file's name, with no folder.")],
    person: Annotated[
        str | None, Query(pattern=f"^{NAME}$", description="A pseudonym: whose it is.")
    ] = None,
) -> RecordingInfo | Response:
    """Take one file of any known format; the body is its content, longer than others may be.

    It is read in a process of its own, within limits, and kept as XDF: an XDF as it came, of
    another format the signal and the markers. Answers when it is among the recordings.
    """
    length = request.headers.get("content-length", "")
    upload = Upload(name, person)
    told = int(length) if length.isdecimal() else None
    try:
        kept = await uploads.take(upload, _parts(request), told)
    except ClientDisconnect:
        return Response(status_code=499)  # nobody reads it
    if person is not None:
        with suppress(DamagedPerson):  # who is there, too
            await asyncio.to_thread(people.name, person)
    return await asyncio.to_thread(recordings.get, kept)


async def _parts(request: Request) -> AsyncIterator[bytes]:
    async for part in request.stream():
        yield part
