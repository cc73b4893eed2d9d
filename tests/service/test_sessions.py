"""The sessions' book-keeping where things end while they begin."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

import service.sessions
from models.checkpoint import Checkpoint, load_checkpoint
from service.hub import Hub
from service.sessions import ModelChoice, SessionFailed, Sessions
from tests.service.models import random_checkpoint

pytestmark = pytest.mark.anyio


async def test_a_model_that_is_still_loading_at_the_end_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_checkpoint(tmp_path)
    begun, go_on = threading.Event(), threading.Event()

    def slow(name: str | Path) -> Checkpoint:
        begun.set()
        go_on.wait()
        return load_checkpoint(name)

    monkeypatch.setattr(service.sessions, "load_checkpoint", slow)
    model = ModelChoice(str(tmp_path / "random.safetensors"), required=True)
    sessions = Sessions(Hub(), model)
    opening = asyncio.create_task(sessions.open("simulate://"))
    await asyncio.to_thread(begun.wait)
    ending = asyncio.create_task(sessions.close_all())
    await asyncio.sleep(0)
    opening.cancel()
    go_on.set()
    await ending
    await asyncio.gather(opening, return_exceptions=True)
    with pytest.raises(SessionFailed, match="ends"):
        await sessions.open("simulate://")
    assert not [each for each in threading.enumerate() if each.name.startswith("engine")]
