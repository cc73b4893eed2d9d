"""Routes of a session's baseline: a person's rest, to which predictions are relative."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mimamba.models.signal.baseline import MAX_BASELINE, MIN_BASELINE
from mimamba.service.api.dependencies import AllRecordings, OneSession
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.sessions.session_baseline import SessionBaseline
from mimamba.service.storage.private_files import NAME

baselines_api = APIRouter(prefix="/v1/sessions", tags=["baselines"], responses=PROBLEMS)


class NewBaseline(BaseModel):
    """A baseline to record."""

    model_config = ConfigDict(extra="forbid")

    seconds: float | None = Field(
        default=None,
        ge=MIN_BASELINE,
        le=MAX_BASELINE,
        description="Seconds of good signal. Default: as long as in the model's training.",
    )
    person: str | None = Field(
        default=None,
        pattern=f"^{NAME}$",
        description="The session's person from now on, a pseudonym. Default: unchanged.",
    )


class StoredBaselineRequest(BaseModel):
    """A stored baseline to use."""

    model_config = ConfigDict(extra="forbid")

    person: str = Field(pattern=f"^{NAME}$", description="The pseudonym of the baseline's person.")


# These wait for the compute loop, so they are not coroutines: FastAPI gives each a thread.


@baselines_api.get("/{session}/baseline")
def read_baseline(session: OneSession) -> SessionBaseline:
    """Return the state of a session's baseline."""
    return session.baseline


@baselines_api.post("/{session}/baseline")
def begin_baseline(session: OneSession, asked: NewBaseline | None = None) -> SessionBaseline:
    """Record the person's rest from now on. The model abstains meanwhile, then restarts.

    The baseline is stored if the session has a person.
    """
    new = asked or NewBaseline()
    session.begin_baseline(new.seconds, new.person)
    return session.baseline


@baselines_api.put("/{session}/baseline")
def use_baseline(
    session: OneSession, recordings: AllRecordings, asked: StoredBaselineRequest
) -> SessionBaseline:
    """Use the stored baseline of a person, who is the session's person from now on.

    Not possible while the session is recorded: a recording contains everything that its predictions
    depend on.
    """
    with recordings.without_recording(session):
        session.use_baseline(asked.person)
    return session.baseline


@baselines_api.delete("/{session}/baseline")
def cancel_baseline(session: OneSession) -> SessionBaseline:
    """Stop recording the rest and return to the previous baseline and its person.

    The model restarts. A first baseline cannot be cancelled: there is none to return to.
    """
    session.cancel_baseline()
    return session.baseline
