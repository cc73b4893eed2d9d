"""service/api/sessions.py."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Path, Query, WebSocket
from pydantic import BaseModel, ConfigDict, Field

from mimamba.drivers.discovery.discover import Sources, discover_sources
from mimamba.models.checkpoints.catalog import CheckpointInfo, list_catalog
from mimamba.service.api.dependencies import Service
from mimamba.service.api.source_policy import admit
from mimamba.service.auth.websocket_auth import authenticate_websocket
from mimamba.service.sessions.registry import SessionView, choose_model, view_session
from mimamba.service.storage.models import MODEL_NAME, models_folder
from mimamba.service.storage.private_files import NAME
from mimamba.service.stream.connection import Connection

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
        description="A checkpoint's name; 'none' watches the signal only; the default if absent.",
    )
    memory: bool = Field(default=True, description="Carry the model's state from hop to hop.")
    person: str | None = Field(default=None, pattern=f"^{NAME}$", description="A pseudonym.")


api = APIRouter(prefix="/v1")


@api.get("/sources")
def list_sources(
    timeout: Annotated[float, Query(ge=0.1, le=10.0, description="Seconds to listen.")] = 5.0,
) -> Sources:
    """Headsets that are near, LSL streams on the network, boards known, the Bluetooth adapter.

    Below 1 s nothing is listened for by Bluetooth.
    """
    return discover_sources(timeout)


@api.get("/models")
def list_models(service: Service) -> list[CheckpointInfo]:
    """The package's checkpoints and the person's own; each tells how good it is."""
    return list_catalog(models_folder(service.settings.data_dir))


@api.get("/sessions")
async def list_sessions(service: Service) -> list[SessionView]:
    """All sessions."""
    return [view_session(session) for session in service.sessions.all().values()]


@api.post("/sessions", status_code=201)
async def open_session(service: Service, new: NewSession) -> SessionView:
    """Open a session; answers when its source is there."""
    source = admit(new.source, service.settings.files, service.recordings)
    choice = choose_model(new.model or service.settings.model, new.memory)
    return view_session(await service.sessions.open(source, new.id, choice, person=new.person))


@api.get("/sessions/{session}")
async def read_session(service: Service, session: SessionId) -> SessionView:
    """One session."""
    return view_session(service.sessions.get(session))


@api.delete("/sessions/{session}", status_code=204)
async def close_session(service: Service, session: SessionId) -> None:
    """End a session and forget it."""
    await service.sessions.close(session)


@api.websocket("/stream")
async def stream(socket: WebSocket, service: Service) -> None:
    """Wire protocol v1."""
    server = f"mimamba {version('mimamba')}"
    rights = await authenticate_websocket(socket, socket.app.state.door, socket.app.state.grace)
    if rights is not None:
        hub, sessions = service.hub, service.sessions.all
        await Connection(socket, rights, hub, sessions, server, service.pushes).serve()
