"""The API's export: a recording that has ended, in another format."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, BinaryIO, Literal, TypeAlias

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mimamba.drivers.convert import export
from mimamba.drivers.errors import CannotWrite, LibraryMissing
from mimamba.drivers.formats.read import read_recording
from mimamba.service.api.dependencies import AllRecordings, WholeRecording
from mimamba.service.api.recordings import RecordingId
from mimamba.service.storage.folders import CannotRecord

Format: TypeAlias = Literal["edf", "bdf", "csv", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "edf": "application/octet-stream",
    "bdf": "application/octet-stream",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
PART = 1 << 18
"""Bytes read from the disk at a time."""


export_api = APIRouter(prefix="/v1/recordings", tags=["recordings"])


@export_api.get(
    "/{recording}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {each: {} for each in MEDIA_TYPES.values()}}},
)
async def export_recording(
    recordings: AllRecordings,
    recording: RecordingId,
    form: Annotated[Format, Query(alias="format")],
    exporting: WholeRecording,
) -> StreamingResponse:
    """A recording that has ended, in another format; one is made at a time, the next ones wait."""
    source = await asyncio.to_thread(recordings.file, recording)
    async with exporting:  # each holds a whole recording in memory
        file = await asyncio.to_thread(exported, source, form)
    return Download(file, f"{recording}.{form}", MEDIA_TYPES[form])


class Download(StreamingResponse):
    """An open file as a download; it is closed afterwards, also where the client goes away."""

    def __init__(self, file: BinaryIO, name: str, media_type: str) -> None:
        headers = {
            "Content-Length": str(os.fstat(file.fileno()).st_size),
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        super().__init__(_parts(file), media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._file:
            await super().__call__(scope, receive, send)


def exported(source: Path, form: Format) -> BinaryIO:
    """A recording in a format, as an open file without a name: it goes when it is closed.

    Raises
    ------
    BadRecording
        If the recording cannot be read.
    CannotWrite
        If the format cannot hold it, or the library that writes it is not installed.
    CannotRecord
        If the disk does not take it.
    """
    try:
        with TemporaryDirectory(prefix="mimamba-export-") as folder:
            path, _ = export(read_recording(source), f"{folder}/{source.stem}.{form}")
            return path.open("rb")
    except LibraryMissing as error:
        raise CannotWrite(error.expected, error.found, error.remedy) from error
    except CannotWrite as error:
        if isinstance(error.__cause__, OSError):
            raise _no_room(error.__cause__) from error
        raise
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> CannotRecord:
    return CannotRecord(
        f"Expected to write an export to a temporary folder, but found: {error.strerror or error}. "
        "Make room there, or start the service with TMPDIR set to another."
    )


async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
    while part := await asyncio.to_thread(file.read, PART):
        yield part
