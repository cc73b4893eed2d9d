"""Routes of people: pseudonyms, notes, baselines; their export and deletion."""

from __future__ import annotations

import asyncio
from tempfile import TemporaryFile
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import (
    AllCalibrations,
    AllPeople,
    AllRecordings,
    AllSessions,
    ReadLock,
)
from mimamba.service.api.recordings import Download, no_space
from mimamba.service.calibration.person_archive import PersonArchives
from mimamba.service.people.people import LONGEST_NOTES
from mimamba.service.recordings.people_index import DeletionResult, PeopleIndex, PersonInfo
from mimamba.service.storage.private_files import NAME

ZIP = "application/zip"

Pseudonym = Annotated[str, Path(pattern=f"^{NAME}$")]


def _index(people: AllPeople, recordings: AllRecordings) -> PeopleIndex:
    return PeopleIndex(people, recordings)


Index = Annotated[PeopleIndex, Depends(_index)]


class PersonChange(BaseModel):
    """A change of a person's notes."""

    model_config = ConfigDict(extra="forbid")

    notes: str | None = Field(max_length=LONGEST_NOTES)


people_api = APIRouter(prefix="/v1/people", tags=["people"])


# These block on the disk, so they are not coroutines: FastAPI gives each a thread.


@people_api.get("")
def list_people(index: Index) -> list[PersonInfo]:
    """List everybody named here, in a session or in a recording."""
    return index.all()


@people_api.get("/{person}")
def read_person(index: Index, person: Pseudonym) -> PersonInfo:
    """Return one person."""
    return index.get(person)


@people_api.put("/{person}")
def change_person(
    index: Index,
    people: AllPeople,
    person: Pseudonym,
    change: PersonChange,
) -> PersonInfo:
    """Change the notes of a person; adds the person if new."""
    people.set_notes(person, change.notes)
    return index.get(person)


@people_api.get(
    "/{person}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {ZIP: {}}}},
)
async def export_person(
    people: AllPeople, recordings: AllRecordings, person: Pseudonym, read_lock: ReadLock
) -> StreamingResponse:
    """Download all that is stored about a person: recordings, heads, sittings, ratings, notes.

    It is one ZIP archive. Not possible while the person is recorded.
    """
    async with read_lock:
        file = await asyncio.to_thread(_archived, PersonArchives(people, recordings), person)
    return Download(file, f"{person}.zip", ZIP)


def _archived(archives: PersonArchives, person: str) -> BinaryIO:
    """Write an archive to an open file without a name; closing it deletes it."""
    file = TemporaryFile(prefix="mimamba-export-")  # noqa: SIM115  the download closes it
    try:
        archives.write(person, file)
        file.flush()
        file.seek(0)
    except OSError as error:
        file.close()
        raise no_space(error) from error
    except Exception:
        file.close()
        raise
    return file


@people_api.delete("/{person}")
def delete_person(
    index: Index,
    sessions: AllSessions,
    calibrations: AllCalibrations,
    person: Pseudonym,
    confirm: Annotated[
        str, Query(max_length=100, description="The pseudonym again, as confirmation.")
    ],
) -> DeletionResult:
    """Delete a person's file, calibrations and recordings permanently.

    Sessions continue without a person.

    Not possible while the person is recorded.
    """
    if confirm == person:
        calibrations.forget(person)
    deleted = index.delete(person, confirm)
    for session in list(sessions.all().values()):
        session.forget_person(person)
    return deleted
