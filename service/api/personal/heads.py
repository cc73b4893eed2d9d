"""Routes of heads: a person's own outputs, and the one that a session uses."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import (
    AllHeads,
    AllSessions,
    OneSession,
)
from mimamba.service.api.people import Pseudonym
from mimamba.service.calibration.sittings import NoSitting
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.storage.private_files import NAME

heads_api = APIRouter(prefix="/v1", tags=["heads"], responses=PROBLEMS)

HeadId = Annotated[str, Path(pattern=f"^{NAME}$")]


class ChosenHead(BaseModel):
    """A head to use in a session; null takes it away."""

    model_config = ConfigDict(extra="forbid")

    person: str | None = Field(default=None, pattern=f"^{NAME}$")
    head: str | None = Field(pattern=f"^{NAME}$")


# These block on the disk or wait for the compute loop, so they are not coroutines.


@heads_api.get("/people/{person}/heads")
def list_heads(heads: AllHeads, person: Pseudonym) -> list[HeadCard]:
    """List a person's heads, the newest first, with their verdicts; also those not served."""
    return heads.all(person)


@heads_api.delete("/people/{person}/heads/{head}", status_code=204)
def delete_head(
    heads: AllHeads,
    sessions: AllSessions,
    person: Pseudonym,
    head: HeadId,
    confirm: Annotated[str, Query(max_length=100, description="The head's id, as confirmation.")],
) -> None:
    """Delete a head permanently, with the signal that it was made of."""
    heads.delete(person, head, confirm, list(sessions.all().values()))


@heads_api.get("/sessions/{session}/head")
def read_head(session: OneSession) -> HeadCard | None:
    """Return the head that a session uses, or null."""
    return session.head


@heads_api.put("/sessions/{session}/head")
def use_head(session: OneSession, heads: AllHeads, chosen: ChosenHead) -> HeadCard | None:
    """Use a head of a person in a session, beside its model, or none.

    One of an earlier day first takes a minute of rest, and is not confirmed until it was right in
    six of six, or seven of eight checks.
    """
    if chosen.head is None:
        heads.take_away(session)
        return None
    person = chosen.person or session.subject.person
    if person is None:
        raise NoSitting("Expected a person, but found none in the session. Name one.")
    return heads.use(session, person, chosen.head)
