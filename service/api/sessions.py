"""Routes of sessions: open, list, close."""

from __future__ import annotations

import asyncio
import re
from pathlib import PurePath
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from mimamba.drivers.url import parse_source
from mimamba.service.api.dependencies import Service, ServiceState
from mimamba.service.api.sources import admit
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.recording_contents.recorded_setup import recorded_setup
from mimamba.service.recordings.sidecar import played_title
from mimamba.service.sessions.registry import SessionView, choose_model, view_session
from mimamba.service.sessions.session import Session
from mimamba.service.storage.own_checkpoints import MODEL_NAME, models_folder
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
        description="A checkpoint's name; 'none' shows the signal only. Default: the service's, "
        "and for a recording of mimamba the one that it was made with, with its baseline.",
    )
    memory: bool = Field(
        default=True, description="Carry the model's state from one window to the next."
    )
    person: str | None = Field(
        default=None,
        pattern=f"^{NAME}$",
        description="A pseudonym. Default: nobody, and for a recording played with its own model "
        "its person.",
    )


sessions_api = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=PROBLEMS)


@sessions_api.get("")
async def list_sessions(service: Service) -> list[SessionView]:
    """List all sessions."""
    return [await titled_view(session) for session in list(service.sessions.all().values())]


@sessions_api.post("", status_code=201)
async def open_session(service: Service, new: NewSession) -> SessionView:
    """Open a session; returns when its source is open.

    The id of a recording's replay is the recording's name, unless another is given.
    """
    source = admit(new.source, service.settings.files, service.recordings)
    name = new.id or _name_of_recording(service, new.source, source)
    settings = service.settings
    setup = None
    if new.model is None and settings.bus is None:
        setup = await asyncio.to_thread(recorded_setup, source, models_folder(settings.data_dir))
    if setup is None:
        choice = choose_model(new.model or settings.model, new.memory)
        opened = await service.sessions.open(source, name, choice, person=new.person)
    else:
        person = new.person or setup.person
        opened = await service.sessions.open(
            source,
            name,
            setup.choice,
            person=person,
            recorded=setup.baseline,
            notices=setup.notices,
        )
    return await titled_view(opened)


async def titled_view(session: Session) -> SessionView:
    """View a session, with the title of the recording that it plays."""
    plays = session.seekable is not None
    return view_session(
        session, await asyncio.to_thread(played_title, session.url) if plays else None
    )


def _name_of_recording(service: ServiceState, asked: str, source: str) -> str | None:
    """Return a free id for the replay of one of the service's recordings; None for any other."""
    path = parse_source(source).target if source.startswith("replay:") else ""
    name = PurePath(path).stem
    if parse_source(asked).target != name or not re.fullmatch(SESSION_ID, name):
        return None  # a file, or a name that is too long
    taken, number = service.sessions.all(), 1
    while (free := name if number == 1 else f"{name[:60]}-{number}") in taken:
        number += 1
    return free


@sessions_api.get("/{session}")
async def read_session(service: Service, session: SessionId) -> SessionView:
    """Return one session."""
    return await titled_view(service.sessions.get(session))


@sessions_api.delete("/{session}", status_code=204)
async def close_session(service: Service, session: SessionId) -> None:
    """End a session and remove it."""
    await service.sessions.close(session)
