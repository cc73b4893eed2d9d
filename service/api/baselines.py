"""Routes of a session's baseline: a person's rest, to which predictions are relative."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mimamba.drivers.errors import Mismatch
from mimamba.models.signal.baseline import MAX_BASELINE, MIN_BASELINE
from mimamba.service.api.dependencies import AllPeople, AllRecordings, OneSession
from mimamba.service.sessions.session import Session
from mimamba.service.sessions.session_decoder import SessionDecoder
from mimamba.service.storage.private_files import NAME

baselines_api = APIRouter(prefix="/v1/sessions", tags=["baselines"])


class NoBaseline(Mismatch):
    """The baseline does not exist, or the model uses none."""


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


@dataclass(frozen=True)
class SessionBaseline:
    """State of a session's baseline.

    Parameters
    ----------
    wanted, taken
        Seconds of the baseline in progress, and how many of them are recorded; 0 without one.
    seconds
        Seconds of the baseline in use; 0 without one.
    usual
        Seconds that the model was trained with; 0 if it uses none.
    person
        The session's person; null if it has none.
    """

    wanted: float
    taken: float
    seconds: float
    usual: float
    person: str | None


def baseline_of(session: Session) -> SessionBaseline:
    """Return the present state of a session's baseline."""
    checkpoint, state = session.checkpoint, session.aligner
    signal = checkpoint.signal if checkpoint else None
    return SessionBaseline(
        state.target,
        state.n_hops * signal.hop / signal.sfreq if signal else 0.0,
        state.baseline.seconds if state.baseline else 0.0,
        checkpoint.baseline if checkpoint else 0.0,
        session.subject.person,
    )


# These wait for the compute loop, so they are not coroutines: FastAPI gives each a thread.


@baselines_api.get("/{session}/baseline")
def read_baseline(session: OneSession) -> SessionBaseline:
    """Return the state of a session's baseline."""
    return baseline_of(session)


@baselines_api.post("/{session}/baseline")
def begin_baseline(
    session: OneSession, people: AllPeople, asked: NewBaseline | None = None
) -> SessionBaseline:
    """Record the person's rest from now on. The model abstains meanwhile, then restarts.

    The baseline is stored if the session has a person.
    """
    new = asked or NewBaseline()
    with session.between_chunks() as model:
        decoding = require_baselines(model)
        if new.person is not None:
            people.add(new.person)
            session.subject.person = new.person
        decoding.start_baseline(new.seconds or decoding.checkpoint.baseline)
    return baseline_of(session)


@baselines_api.put("/{session}/baseline")
def use_baseline(
    session: OneSession,
    people: AllPeople,
    recordings: AllRecordings,
    asked: StoredBaselineRequest,
) -> SessionBaseline:
    """Use the stored baseline of a person, who is the session's person from now on.

    Not possible while the session is recorded: a recording contains everything that its predictions
    depend on.
    """
    with recordings.without_recording(session), session.between_chunks() as model:
        decoding = require_baselines(model)
        stored = people.get(asked.person).baseline_for(decoding.checkpoint)
        if stored is None:
            montage = ", ".join(decoding.checkpoint.montage)
            wanted = f"a baseline of {asked.person} for {decoding.checkpoint.name} ({montage})"
            raise NoBaseline(wanted, "none", "record one first")
        session.subject.person = asked.person
        decoding.set_baseline(stored)
    return baseline_of(session)


@baselines_api.delete("/{session}/baseline")
def cancel_baseline(session: OneSession) -> SessionBaseline:
    """Stop recording the rest and return to the previous baseline and its person.

    The model restarts. A first baseline cannot be cancelled: there is none to return to.
    """
    with session.between_chunks() as model:
        decoding = require_baselines(model)
        if not decoding.aligner.target:
            raise NoBaseline("a baseline in progress", "none", "start one before you cancel it")
        if decoding.aligner.baseline is None:
            raise NoBaseline(
                "a previous baseline to return to",
                "none, and the model needs one",
                "finish this baseline, use a stored one, or choose another model",
            )
        decoding.cancel_baseline()
    return baseline_of(session)


def require_baselines(decoding: SessionDecoder | None) -> SessionDecoder:
    """Return a session's decoding; raise NoBaseline if it has no model that uses baselines."""
    if decoding is None:
        raise NoBaseline("a model", "a session that shows the signal only", "choose a model")
    if not decoding.checkpoint.baseline:
        raise NoBaseline(
            "a model trained with baselines",
            f"{decoding.checkpoint.name}, which was trained without",
            "choose another model",
        )
    return decoding
