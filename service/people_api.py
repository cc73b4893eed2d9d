"""The API's people: pseudonyms, notes, baselines; and their deletion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from service.ownfile import NAME
from service.people import LONGEST_NOTES, People
from service.register import Deleted, Register, Registered
from service.sessions import Sessions

Pseudonym = Annotated[str, Path(pattern=f"^{NAME}$")]


def _people(connection: HTTPConnection) -> People:
    people: People = connection.app.state.running.people
    return people


def _sessions(connection: HTTPConnection) -> Sessions:
    sessions: Sessions = connection.app.state.running.sessions
    return sessions


def _register(connection: HTTPConnection) -> Register:
    return Register(_people(connection), connection.app.state.running.recordings)


Everybody = Annotated[Register, Depends(_register)]


class PersonChange(BaseModel):
    """What shall be known of a person."""

    model_config = ConfigDict(extra="forbid")

    notes: str | None = Field(max_length=LONGEST_NOTES)


people_api = APIRouter(prefix="/v1/people", tags=["people"])


# These block on the disk, so they are not coroutines: FastAPI gives each a thread.


@people_api.get("")
def list_people(register: Everybody) -> list[Registered]:
    """Everybody who was named: with a session, with a recording, or here."""
    return register.all()


@people_api.get("/{person}")
def read_person(register: Everybody, person: Pseudonym) -> Registered:
    """One person."""
    return register.get(person)


@people_api.put("/{person}")
def change_person(
    register: Everybody,
    people: Annotated[People, Depends(_people)],
    person: Pseudonym,
    change: PersonChange,
) -> Registered:
    """Change the notes of a person, who is there from now on if not before."""
    people.note(person, change.notes)
    return register.get(person)


@people_api.delete("/{person}")
def delete_person(
    register: Everybody,
    sessions: Annotated[Sessions, Depends(_sessions)],
    person: Pseudonym,
    confirm: Annotated[str, Query(max_length=100, description="The pseudonym once more.")],
) -> Deleted:
    """Delete a person's file and all of their recordings, for good; sessions go on as nobody's.

    Not while the person is being recorded.
    """
    deleted = register.delete(person, confirm)
    for session in list(sessions.all().values()):
        if session.whose.person == person:
            session.whose.person = None
    return deleted
