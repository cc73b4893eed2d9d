"""Routes of feedback for studies: begin and stop it in a session; read afterwards what it was."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import AllFeedback, AllRecordings, FollowedSession, ReadLock
from mimamba.service.api.recordings import RecordingId
from mimamba.service.feedback.sham_recordings import ShamRecording, ShamRecordings
from mimamba.service.feedback.wanted_feedback import (
    MOST_RECORDINGS,
    FeedbackChoice,
    WantedFeedback,
)
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.protocol.feedback_state import FeedbackEntry, FeedbackState
from mimamba.service.recording_contents.feedback_log import FeedbackRun
from mimamba.service.sessions.session import Session
from mimamba.service.storage.private_files import NAME

feedback_api = APIRouter(prefix="/v1", tags=["feedback"], responses=PROBLEMS)

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class NewFeedback(BaseModel):
    """Feedback to begin."""

    model_config = ConfigDict(extra="forbid")

    quantity: str = Field(
        max_length=200,
        description="`OUTPUT/LABEL`, `personal/STATE`, `band/BAND` or `band/BAND/ELECTRODE`.",
    )
    side: Literal["above", "below"] = "above"
    at: Share = Field(default=0.6, description="Threshold.")
    back: Share = Field(default=0.05, description="Way back beyond it before feedback ends.")
    source: FeedbackChoice = Field(
        description="`real`: the wearer's own values. `sham`: those of another recording. "
        "`drawn`: one of the two, each with equal chance; nobody is told which."
    )
    recordings: list[Annotated[str, Field(pattern=f"^{NAME}$")]] = Field(
        default=[],
        description=f"Names of up to {MOST_RECORDINGS} recordings for a sham; of several, one is "
        "drawn.",
    )
    blind: bool = Field(
        default=False,
        description="Tell nobody whose values are shown before the recording has ended.",
    )


@dataclass(frozen=True)
class FeedbackView:
    """Feedback as the API shows it; ``timestamp`` is on the LSL clock."""

    id: str
    session: str
    timestamp: float
    state: FeedbackState


def view_feedback(session: Session, entry: FeedbackEntry) -> FeedbackView:
    """View a state of a session's feedback."""
    return FeedbackView(entry.id, session.name, entry.timestamp, entry.state)


@feedback_api.post("/sessions/{session}/feedback", status_code=201)
async def begin_feedback(
    session: FollowedSession, feedback: AllFeedback, new: NewFeedback, read_lock: ReadLock
) -> FeedbackView:
    """Begin feedback for a study: it is logged in the session's recording, else in one of its own.

    The topic ``feedback`` has each of its values.
    """
    wanted = WantedFeedback(
        new.quantity, new.side, new.at, new.back, new.source, tuple(new.recordings), new.blind
    )
    async with read_lock if wanted.recordings else nullcontext():
        live = await asyncio.to_thread(feedback.begin, session, wanted)
    return view_feedback(session, live.entry())


# These block on the disk or wait for a thread, so they are not coroutines.


@feedback_api.get("/sessions/{session}/feedback")
def read_feedback(session: FollowedSession, feedback: AllFeedback) -> FeedbackView:
    """Return the newest feedback of a session; not whose values it shows, if it is blind."""
    return view_feedback(session, feedback.entry_of(session))


@feedback_api.delete("/sessions/{session}/feedback")
def stop_feedback(session: FollowedSession, feedback: AllFeedback) -> FeedbackView:
    """Stop feedback. A recording that began with it is complete when this returns."""
    live = feedback.of(session)
    live.stop()
    return view_feedback(session, live.entry())


@feedback_api.get("/sham-recordings")
async def list_recordings_for_sham(
    request: Request, quantity: Annotated[str, Query(max_length=200)]
) -> list[ShamRecording]:
    """List the finished recordings that have values of a quantity, for a sham; the newest first."""
    sham_recordings: ShamRecordings = request.app.state.sham_recordings
    return await sham_recordings.find(quantity)


@feedback_api.get("/recordings/{recording}/feedback")
async def list_feedback(
    recordings: AllRecordings, recording: RecordingId, read_lock: ReadLock
) -> list[FeedbackRun]:
    """List the feedback that is logged in a finished recording, and whose values it was."""
    from mimamba.service.recording_contents.feedback_log import read_feedback_log  # loads pyxdf

    source = await asyncio.to_thread(recordings.file, recording)
    async with read_lock:
        return await asyncio.to_thread(read_feedback_log, source)
