"""The API's people: pseudonyms, notes, baselines; and their deletion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import AllPeople, AllRecordings, AllSessions
from mimamba.service.people.people import LONGEST_NOTES
from mimamba.service.recordings.people_index import DeletionResult, PeopleIndex, PersonInfo
from mimamba.service.storage.private_files import NAME

Pseudonym = Annotated[str, Path(pattern=f"^{NAME}$")]


def _register(people: AllPeople, recordings: AllRecordings) -> PeopleIndex:
    return PeopleIndex(people, recordings)


Everybody = Annotated[PeopleIndex, Depends(_register)]


class PersonChange(BaseModel):
    """What shall be known of a person."""

    model_config = ConfigDict(extra="forbid")

    notes: str | None = Field(max_length=LONGEST_NOTES)


people_api = APIRouter(prefix="/v1/people", tags=["people"])


# These block on the disk, so they are not coroutines: FastAPI gives each a thread.


@people_api.get("")
def list_people(register: Everybody) -> list[PersonInfo]:
    """Everybody who was named: with a session, with a recording, or here."""
    return register.all()


@people_api.get("/{person}")
def read_person(register: Everybody, person: Pseudonym) -> PersonInfo:
    """One person."""
    return register.get(person)


@people_api.put("/{person}")
def change_person(
    register: Everybody,
    people: AllPeople,
    person: Pseudonym,
    change: PersonChange,
) -> PersonInfo:
    """Change the notes of a person, who is there from now on if not before."""
    people.note(person, change.notes)
    return register.get(person)


@people_api.delete("/{person}")
def delete_person(
    register: Everybody,
    sessions: AllSessions,
    person: Pseudonym,
    confirm: Annotated[str, Query(max_length=100, description="The pseudonym once more.")],
) -> DeletionResult:
    """Delete a person's file and all of their recordings, for good; sessions go on as nobody's.

    Not while the person is being recorded.
    """
    deleted = register.delete(person, confirm)
    for session in list(sessions.all().values()):
        session.subject.forget(person)
    return deleted
