"""Routes of people: pseudonyms, notes, baselines; and their deletion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import (
    AllCalibrations,
    AllPeople,
    AllRecordings,
    AllSessions,
)
from mimamba.service.people.people import LONGEST_NOTES
from mimamba.service.recordings.people_index import DeletionResult, PeopleIndex, PersonInfo
from mimamba.service.storage.private_files import NAME

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
        session.subject.forget(person)
    return deleted
