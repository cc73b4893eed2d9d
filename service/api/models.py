"""The API's models: another one for a session that goes on."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mimamba.models.checkpoints.names import NO_MODEL
from mimamba.service.api.dependencies import AllRecordings, AllSessions
from mimamba.service.engine.engine import Engine
from mimamba.service.recordings.library import Recordings
from mimamba.service.sessions.registry import ModelChoice, SessionView, view_session
from mimamba.service.sessions.session import Session

model_api = APIRouter(prefix="/v1/sessions", tags=["models"])


class NewModel(BaseModel):
    """Who shall speak."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="A checkpoint's name; null, or 'none', watches the signal only.",
    )
    memory: bool = Field(default=True, description="Carry the model's state from hop to hop.")


@model_api.put("/{session}/model")
async def set_model(
    session: str,
    new: NewModel,
    sessions: AllSessions,
    recordings: AllRecordings,
) -> SessionView:
    """Let another model speak in a session, or none; its signal and its epoch go on.

    The new one warms up first. Not while the session is recorded: a recording's predictions are
    those of one model.
    """
    found = sessions.get(session)
    name = None if new.model in (None, NO_MODEL) else new.model
    engine, r = await sessions.engine_of(ModelChoice(name, required=True, memory=new.memory))
    await asyncio.to_thread(_change, found, engine, r, recordings)
    return view_session(found)


def _change(session: Session, engine: Engine | None, r: float, recordings: Recordings) -> None:
    with recordings.held_off(session):
        session.set_model(engine, r)
