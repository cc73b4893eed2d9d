"""Routes of sessions: open, list, close."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import Service
from mimamba.service.api.sources import admit
from mimamba.service.sessions.registry import SessionView, choose_model, view_session
from mimamba.service.storage.own_checkpoints import MODEL_NAME
from mimamba.service.storage.private_files import NAME

SESSION_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

SessionId = Annotated[str, Path(pattern=SESSION_ID)]


class NewSession(BaseModel):
    """A session to open."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(max_length=2048, examples=["simulate://?scenario=tour"])
    id: str | None = Field(default=None, pattern=SESSION_ID)
    model: str | None = Field(
        default=None,
        pattern=f"^{MODEL_NAME}$",
        description="A checkpoint's name; 'none' shows the signal only. Default: the service's.",
    )
    memory: bool = Field(
        default=True, description="Carry the model's state from one window to the next."
    )
    person: str | None = Field(default=None, pattern=f"^{NAME}$", description="A pseudonym.")


sessions_api = APIRouter(prefix="/v1/sessions", tags=["sessions"])


@sessions_api.get("")
async def list_sessions(service: Service) -> list[SessionView]:
    """List all sessions."""
    return [view_session(session) for session in service.sessions.all().values()]


@sessions_api.post("", status_code=201)
async def open_session(service: Service, new: NewSession) -> SessionView:
    """Open a session; returns when its source is open."""
    source = admit(new.source, service.settings.files, service.recordings)
    choice = choose_model(new.model or service.settings.model, new.memory)
    return view_session(await service.sessions.open(source, new.id, choice, person=new.person))


@sessions_api.get("/{session}")
async def read_session(service: Service, session: SessionId) -> SessionView:
    """Return one session."""
    return view_session(service.sessions.get(session))


@sessions_api.delete("/{session}", status_code=204)
async def close_session(service: Service, session: SessionId) -> None:
    """End a session and remove it."""
    await service.sessions.close(session)
