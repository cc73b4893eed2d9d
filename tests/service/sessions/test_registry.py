"""The registry of sessions that end while they open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

import mimamba.service.sessions.registry
from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import DeviceNotFound
from mimamba.models.checkpoints.checkpoint import Checkpoint, load_checkpoint
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.registry import SessionFailed, SessionRegistry
from mimamba.service.stream.hub import Hub
from tests.service.models import random_checkpoint

pytestmark = pytest.mark.anyio


class Slow:
    """A device that does not answer until the test ends."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    @property
    def info(self) -> StreamInfo:
        raise AssertionError("it never opens")

    def __enter__(self) -> Self:
        self._closed.wait()
        raise DeviceNotFound("a device", "none", "switch it on")

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[Chunk]:
        return iter(())

    def close(self) -> None:
        self._closed.set()


async def test_sources_that_take_long_to_open_hold_up_no_end() -> None:
    sessions = SessionRegistry(Hub(), ModelChoice(None, required=False))
    names = [f"slow-{n}" for n in range(20)]  # more than the event loop's pool has threads
    opening = [
        asyncio.create_task(sessions.open("simulate://", name, connect=lambda *_: Slow()))
        for name in names
    ]
    async with asyncio.timeout(60):
        while set(sessions.all()) != set(names):
            await asyncio.sleep(0.01)
    for name in names:
        await sessions.close(name)
    ends = await asyncio.gather(*opening, return_exceptions=True)
    assert {type(end) for end in ends} == {DeviceNotFound}
    assert sessions.all() == {}


async def test_a_model_that_is_still_loading_at_the_end_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_checkpoint(tmp_path)
    begun, go_on = threading.Event(), threading.Event()

    def slow(name: str | Path, folder: Path | None) -> Checkpoint:
        begun.set()
        go_on.wait()
        return load_checkpoint(name, folder)

    monkeypatch.setattr(mimamba.service.sessions.registry, "load_checkpoint", slow)
    model = ModelChoice(str(tmp_path / "random.safetensors"), required=True)
    sessions = SessionRegistry(Hub(), model)
    opening = asyncio.create_task(sessions.open("simulate://"))
    await asyncio.to_thread(begun.wait)
    ending = asyncio.create_task(sessions.close_all())
    await asyncio.sleep(0)
    opening.cancel()
    go_on.set()
    await ending
    await asyncio.gather(opening, return_exceptions=True)
    with pytest.raises(SessionFailed, match="shutting down"):
        await sessions.open("simulate://")
    assert not [each for each in threading.enumerate() if each.name.startswith("engine")]
