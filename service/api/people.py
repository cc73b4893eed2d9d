"""Routes of people: pseudonyms, facts, baselines; their export and deletion."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from tempfile import TemporaryFile
from typing import Annotated, BinaryIO, Self

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from mimamba.service.api.dependencies import (
    AllCalibrations,
    AllPeople,
    AllRecordings,
    AllSessions,
    ArchiveLock,
)
from mimamba.service.api.recordings import Download, Unblinds, check_unblinding, no_space
from mimamba.service.auth.scopes import allows, auth_result_of
from mimamba.service.calibration.person_archive import PersonArchives
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.people.facts import (
    LONGEST_VERSION,
    OLDEST,
    Consent,
    Sex,
    acknowledge,
)
from mimamba.service.people.people import (
    LONGEST_NOTES,
    DamagedPerson,
    NoPerson,
    People,
    PersonFacts,
)
from mimamba.service.recordings.people_index import DeletionResult, PeopleIndex, PersonInfo
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.storage.private_files import NAME

ZIP = "application/zip"

Pseudonym = Annotated[str, Path(pattern=f"^{NAME}$")]


def _index(people: AllPeople, recordings: AllRecordings) -> PeopleIndex:
    return PeopleIndex(people, recordings)


Index = Annotated[PeopleIndex, Depends(_index)]


class ConsentAnswer(BaseModel):
    """A person's answer to a text that asks for consent."""

    model_config = ConfigDict(extra="forbid")

    given: bool = Field(description="Yes or no; no also after a withdrawal.")
    day: date | None = Field(default=None, alias="date", description="Default: today.")
    version: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_VERSION, description="Of the text."
    )

    @field_validator("day")
    @classmethod
    def _check_day(cls, day: date | None) -> date | None:
        if day is not None and day > _today() + timedelta(days=1):  # it begins earlier elsewhere
            raise ValueError(
                f"Expected a day that has begun, but found {day}. Correct the date of the consent."
            )
        return day

    def consent(self) -> Consent:
        """Return it in the form of the person's file."""
        return Consent(self.given, (self.day or _today()).isoformat(), self.version)


class PersonChange(BaseModel):
    """A change of facts about a person: those that are absent stay, and null removes one."""

    model_config = ConfigDict(extra="forbid")

    notes: str | None = Field(default=None, max_length=LONGEST_NOTES)
    age: int | None = Field(default=None, ge=0, le=OLDEST, description="Years.")
    sex: Sex | None = None
    consent: ConsentAnswer | None = None

    @model_validator(mode="after")
    def _check_change(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(
                "Expected notes, age, sex or consent, but found none of them. Send one."
            )
        return self

    def facts(self) -> PersonFacts:
        """Return what changes."""
        given, facts = self.model_fields_set, PersonFacts()
        if "notes" in given:
            facts["notes"] = self.notes
        if "age" in given:
            facts["age"] = self.age
        if "sex" in given:
            facts["sex"] = self.sex
        if "consent" in given:
            facts["consent"] = self.consent.consent() if self.consent else None
        return facts


Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class SeenNotice(BaseModel):
    """A notice about inferred emotion that a person has seen and acknowledged."""

    model_config = ConfigDict(extra="forbid")

    model: Name = Field(description="The model's name.")
    outputs: dict[Name, Annotated[tuple[Name, ...], Field(max_length=64)]] = Field(
        min_length=1,
        max_length=64,
        description="The outputs that the notice named, with their labels.",
    )


def _today() -> date:
    return datetime.now(UTC).date()


people_api = APIRouter(prefix="/v1/people", tags=["people"], responses=PROBLEMS)


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
    """Change facts about a person; adds the person if new."""
    people.change(person, change.facts())
    return index.get(person)


@people_api.post("/{person}/acknowledgements", status_code=201)
def acknowledge_notice(
    index: Index,
    people: AllPeople,
    person: Pseudonym,
    seen: SeenNotice,
) -> PersonInfo:
    """Store that a person has seen the notice about a model that infers emotion, now.

    It holds for these outputs: the page shows the notice again when a model has others.
    Adds the person if new.
    """
    people.store_acknowledgement(person, acknowledge(seen.outputs, seen.model))
    return index.get(person)


@people_api.get(
    "/{person}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {ZIP: {}}}},
)
async def export_person(
    request: Request,
    people: AllPeople,
    recordings: AllRecordings,
    person: Pseudonym,
    archive_lock: ArchiveLock,
) -> StreamingResponse:
    """Download all that is stored about a person: recordings, heads, sittings, ratings, notes.

    It is one ZIP archive. Not possible while the person is recorded; for a person with feedback for
    a study only to those who may control.
    """
    async with archive_lock:
        file = await asyncio.to_thread(_archived_blind, request, people, recordings, person)
    return Download(file, f"{person}.zip", ZIP)


def _archived_blind(
    request: Request, people: People, recordings: Recordings, person: str
) -> BinaryIO:
    """Write an archive as ``_archived``; raises Unblinds, also if a study draws meanwhile.

    That may be a study of another service in this folder, which no lock of this one keeps waiting.
    """
    _check_blind(request, people, recordings, person)
    file = _archived(PersonArchives(people, recordings), person)
    try:
        _check_blind(request, people, recordings, person)
    except Exception:
        file.close()
        raise
    return file


def _check_blind(request: Request, people: People, recordings: Recordings, person: str) -> None:
    """Refuse tokens that may only view what unblinds a person's feedback; raises Unblinds."""
    if allows(auth_result_of(request), "control"):
        return
    check_unblinding(request, (each for each in recordings.all() if each.person == person))
    says = "says"
    try:
        if not people.get(person).arms:
            return
    except NoPerson:
        return
    except DamagedPerson:
        says = "cannot be read and may say"
    raise Unblinds(
        f"Expected a token for control, as the file of {person} {says} whose values studies "
        "show as feedback, but found one that may only view. Use the token for control."
    )


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
