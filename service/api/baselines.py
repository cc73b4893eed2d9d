"""The API's baselines: a session's person at rest, to which what follows is held."""

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

baseline_api = APIRouter(prefix="/v1/sessions", tags=["baselines"])


class NoBaseline(Mismatch):
    """There is no such baseline, or the model uses none."""


class NewBaseline(BaseModel):
    """A baseline to take."""

    model_config = ConfigDict(extra="forbid")

    seconds: float | None = Field(
        default=None,
        ge=MIN_BASELINE,
        le=MAX_BASELINE,
        description="Of good signal; what the model was trained with if absent.",
    )
    person: str | None = Field(
        default=None,
        pattern=f"^{NAME}$",
        description="Whose session it is from now on, a pseudonym; as before if absent.",
    )


class StoredBaselineRequest(BaseModel):
    """Whose baseline, which was taken before, shall be used."""

    model_config = ConfigDict(extra="forbid")

    person: str = Field(pattern=f"^{NAME}$", description="A pseudonym.")


@dataclass(frozen=True)
class SessionBaseline:
    """How a session stands with its person's baseline.

    Parameters
    ----------
    wanted, taken
        Seconds of the one that is being taken, and how many of them are there; 0 where none is.
    seconds
        Of the one that is used; 0 where none is.
    usual
        Seconds that the model was trained with; 0 where it uses none.
    person
        Whose session it is; null for nobody's.
    """

    wanted: float
    taken: float
    seconds: float
    usual: float
    person: str | None


def baseline_of(session: Session) -> SessionBaseline:
    """How it stands now."""
    checkpoint, state = session.checkpoint, session.aligner
    signal = checkpoint.signal if checkpoint else None
    return SessionBaseline(
        state.target,
        state.n_hops * signal.hop / signal.sfreq if signal else 0.0,
        state.baseline.seconds if state.baseline else 0.0,
        checkpoint.baseline if checkpoint else 0.0,
        session.subject.person,
    )


# These wait for the session's thread, so they are not coroutines: FastAPI gives each a thread.


@baseline_api.get("/{session}/baseline")
def read_baseline(session: OneSession) -> SessionBaseline:
    """How a session stands with its person's baseline."""
    return baseline_of(session)


@baseline_api.post("/{session}/baseline")
def begin_baseline(
    session: OneSession, people: AllPeople, asked: NewBaseline | None = None
) -> SessionBaseline:
    """Take the person's rest from now on; the model abstains meanwhile and then begins anew.

    It is kept for the person, where the session is one's.
    """
    new = asked or NewBaseline()
    with session.between_chunks() as model:
        decoding = aligned(model)
        if new.person is not None:
            people.name(new.person)
            session.subject.person = new.person
        decoding.start_baseline(new.seconds or decoding.checkpoint.baseline)
    return baseline_of(session)


@baseline_api.put("/{session}/baseline")
def use_baseline(
    session: OneSession,
    people: AllPeople,
    recordings: AllRecordings,
    known: StoredBaselineRequest,
) -> SessionBaseline:
    """Use what is kept of a person, whose session it is from now on.

    Not while the session is recorded: a recording holds all that its predictions follow from.
    """
    with recordings.held_off(session), session.between_chunks() as model:
        decoding = aligned(model)
        kept = people.get(known.person).baseline_for(decoding.checkpoint)
        if kept is None:
            montage = ", ".join(decoding.checkpoint.montage)
            wanted = f"a baseline of {known.person} for {decoding.checkpoint.name} ({montage})"
            raise NoBaseline(wanted, "none", "take one first")
        session.subject.person = known.person
        decoding.set_baseline(kept)
    return baseline_of(session)


@baseline_api.delete("/{session}/baseline")
def break_off_baseline(session: OneSession) -> SessionBaseline:
    """Take no more of the rest, and go on by the baseline before, as its person's session.

    The model begins anew. A first baseline cannot be broken off: there is none to go on by.
    """
    with session.between_chunks() as model:
        decoding = aligned(model)
        if not decoding.aligner.target:
            raise NoBaseline("one that is being taken", "none", "there is nothing to break off")
        if decoding.aligner.baseline is None:
            raise NoBaseline(
                "a baseline from before to go on by",
                "none, which the model needs",
                "take this one to its end, use one that is kept, or let another model speak",
            )
        decoding.cancel_baseline()
    return baseline_of(session)


def aligned(decoding: SessionDecoder | None) -> SessionDecoder:
    """A session's model; raises NoBaseline where there is none, or one that uses no baseline."""
    if decoding is None:
        raise NoBaseline("a model", "a session of signal only", "let one speak")
    if not decoding.checkpoint.baseline:
        raise NoBaseline(
            "a model that was trained with baselines",
            f"{decoding.checkpoint.name}, which was not",
            "let another one speak",
        )
    return decoding
