"""Routes of studies that go on in sessions: begin one, answer its steps, stop it."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mimamba.service.api.dependencies import (
    AllCalibrations,
    AllHeads,
    AllStudies,
    FollowedSession,
    ReadLock,
)
from mimamba.service.api.personal.ratings import give_rating
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.protocol.study_progress import StudyEntry, StudyProgress
from mimamba.service.sessions.session import Session
from mimamba.service.storage.private_files import NAME

studies_api = APIRouter(prefix="/v1", tags=["studies"], responses=PROBLEMS)

Rated = Annotated[float | None, Field(default=None, ge=0, le=100, allow_inf_nan=False)]


class NewStudy(BaseModel):
    """A study to begin."""

    model_config = ConfigDict(extra="forbid")

    study: str = Field(pattern=f"^{NAME}$", description="The protocol's name.")


class StepAnswer(BaseModel):
    """An answer to a step: a rating, or without one a press of a key."""

    model_config = ConfigDict(extra="forbid")

    step: int = Field(ge=1, le=1000, description="The step that is answered.")
    valence: Rated = Field(default=None, description="Unpleasant (0) to pleasant (100).")
    arousal: Rated = Field(default=None, description="Calm (0) to excited (100).")

    @model_validator(mode="after")
    def _check_rating(self) -> Self:
        if (self.valence is None) is not (self.arousal is None):
            raise ValueError("Expected both valence and arousal, or neither. Send both.")
        return self


@dataclass(frozen=True)
class StudyView:
    """A study as the API shows it; ``timestamp`` is on the LSL clock."""

    id: str
    session: str
    timestamp: float
    progress: StudyProgress


def view_study(session: Session, entry: StudyEntry) -> StudyView:
    """View the progress of a session's study."""
    return StudyView(entry.id, session.name, entry.timestamp, entry.progress)


@studies_api.post("/sessions/{session}/study", status_code=201)
async def begin_study(
    session: FollowedSession, studies: AllStudies, new: NewStudy, read_lock: ReadLock
) -> StudyView:
    """Begin a study. The topic ``study`` has each of its steps.

    The recordings for a sham are read first, one study at a time.
    """
    protocol = await asyncio.to_thread(studies.protocols.get, new.study)
    reads = protocol.feedback is not None and protocol.feedback.recordings
    async with read_lock if reads else nullcontext():
        live = await asyncio.to_thread(studies.begin, session, protocol)
    return view_study(session, live.entry())


# These wait for the compute loop and the disk, so they are not coroutines.


@studies_api.get("/sessions/{session}/study")
def read_study(session: FollowedSession, studies: AllStudies) -> StudyView:
    """Return the newest study of a session."""
    return view_study(session, studies.entry_of(session))


@studies_api.post("/sessions/{session}/study/answers")
def answer_step(
    session: FollowedSession,
    studies: AllStudies,
    calibrations: AllCalibrations,
    heads: AllHeads,
    answer: StepAnswer,
) -> StudyView:
    """Answer the step that goes on: with a rating, or, where it waits for a key, without."""
    live = studies.of(session)
    valence, arousal = answer.valence, answer.arousal
    if valence is None or arousal is None:
        live.answer(answer.step, None)
    else:
        live.answer(
            answer.step, lambda: give_rating(session, calibrations, heads, valence, arousal)
        )
    return view_study(session, live.entry())


@studies_api.delete("/sessions/{session}/study")
def stop_study(session: FollowedSession, studies: AllStudies) -> StudyView:
    """Stop a study. Its recording is complete when this returns."""
    live = studies.of(session)
    live.stop()
    return view_study(session, live.entry())
