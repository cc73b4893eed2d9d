"""Routes of markers: any program can set one in a session."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import AllSessions, OneSession
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.sessions.markers import MAX_LABEL_LENGTH, set_marker

markers_api = APIRouter(prefix="/v1/sessions", tags=["markers"], responses=PROBLEMS)


class NewMarker(BaseModel):
    """A marker to set."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(description=f"1 to {MAX_LABEL_LENGTH} characters, no control characters.")
    timestamp: float | None = Field(
        default=None, description="Seconds on the LSL clock. Default: the time of arrival."
    )


@dataclass(frozen=True)
class SetMarker:
    """An accepted marker; the topic ``marker`` has it with the sample that it belongs to."""

    session: str
    timestamp: float
    label: str
    source: str


@markers_api.post("/{session}/markers", status_code=202)
async def post_marker(sessions: AllSessions, session: OneSession, new: NewMarker) -> SetMarker:
    """Set a marker. It is in the session's log within seconds, once its sample has arrived."""
    await sessions.ready(session.name)
    marker = set_marker(session, new.label, new.timestamp, "api")
    return SetMarker(session.name, marker.timestamp, marker.label, marker.source)
