"""The API's recordings: start, stop, list, download, delete."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import AllPeople, AllRecordings, AllSessions
from mimamba.service.people.people import DamagedPerson
from mimamba.service.recordings.metadata import RecordingInfo
from mimamba.service.storage.private_files import NAME

RecordingId = Annotated[str, Path(pattern=f"^{NAME}$")]


class NewRecording(BaseModel):
    """A recording to start."""

    model_config = ConfigDict(extra="forbid")

    session: str = Field(max_length=64)
    name: str | None = Field(
        default=None, pattern=f"^{NAME}$", description="The session's id and the time if absent."
    )
    person: str | None = Field(
        default=None, pattern=f"^{NAME}$", description="A pseudonym; the session's if absent."
    )
    notes: str | None = Field(default=None, max_length=10_000)


recordings_api = APIRouter(prefix="/v1/recordings", tags=["recordings"])


# These block on the disk, so they are not coroutines: FastAPI gives each a thread.


@recordings_api.get("")
def list_recordings(recordings: AllRecordings) -> list[RecordingInfo]:
    """All recordings, the newest first."""
    return recordings.all()


@recordings_api.post("", status_code=201)
def start_recording(
    recordings: AllRecordings,
    sessions: AllSessions,
    people: AllPeople,
    new: NewRecording,
) -> RecordingInfo:
    """Record a session from now on; its headers are on the disk when this answers."""
    session = sessions.get(new.session)
    person = new.person or session.subject.person
    if person is not None:
        with suppress(DamagedPerson):  # who is there, too
            people.name(person)
    return recordings.start(session, new.name, person, new.notes)


@recordings_api.get("/{recording}")
def read_recording(recordings: AllRecordings, recording: RecordingId) -> RecordingInfo:
    """One recording."""
    return recordings.get(recording)


@recordings_api.post("/{recording}/stop")
def stop_recording(recordings: AllRecordings, recording: RecordingId) -> RecordingInfo:
    """End a recording; its file is whole when this answers."""
    return recordings.stop(recording)


@recordings_api.get("/{recording}/file", response_class=FileResponse)
def download_recording(recordings: AllRecordings, recording: RecordingId) -> FileResponse:
    """The file of a recording that has ended."""
    return FileResponse(
        recordings.file(recording), media_type="application/x-xdf", filename=f"{recording}.xdf"
    )


@recordings_api.delete("/{recording}", status_code=204)
def delete_recording(
    recordings: AllRecordings,
    recording: RecordingId,
    confirm: Annotated[str, Query(description="The recording's name once more.")],
) -> None:
    """Delete a recording for good."""
    recordings.delete(recording, confirm)
