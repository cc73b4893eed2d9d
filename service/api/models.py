"""Routes of models: the list of checkpoints, and the model of a running session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mimamba.models.checkpoints.catalog import CheckpointInfo, list_catalog
from mimamba.models.checkpoints.names import NO_MODEL
from mimamba.service.api.dependencies import AllRecordings, AllSessions, Service
from mimamba.service.api.sessions import titled_view
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.registry import SessionView
from mimamba.service.sessions.session import Session
from mimamba.service.storage.own_checkpoints import MODEL_NAME, models_folder

models_api = APIRouter(prefix="/v1", tags=["models"], responses=PROBLEMS)


class NewModel(BaseModel):
    """A model to change to."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(
        pattern=f"^{MODEL_NAME}$",
        description="A checkpoint's name; null, or 'none', shows the signal only.",
    )
    memory: bool = Field(
        default=True, description="Carry the model's state from one window to the next."
    )


@models_api.get("/models")
def list_models(service: Service) -> list[CheckpointInfo]:
    """List the package's checkpoints and your own, with their scores."""
    return list_catalog(models_folder(service.settings.data_dir))


@models_api.put("/sessions/{session}/model")
async def set_model(
    session: str,
    new: NewModel,
    sessions: AllSessions,
    recordings: AllRecordings,
) -> SessionView:
    """Change the model of a session, or use none. Its signal and its epoch continue.

    The new model warms up first. Not possible while the session is recorded: a recording's
    predictions are of one model.
    """
    found = sessions.get(session)
    name = None if new.model in (None, NO_MODEL) else new.model
    choice = ModelChoice(name, required=True, memory=new.memory)
    change = await sessions.prepare_model(found, choice)
    await asyncio.to_thread(_change, found, change, recordings)
    return await titled_view(found)


def _change(session: Session, change: Callable[[], None], recordings: Recordings) -> None:
    with recordings.without_recording(session):
        change()
