"""A shard that fails for a reason of its own."""

from __future__ import annotations

import asyncio

import pytest

from mimamba.service.bus.bus import BusMessage, Guard
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.cluster.shard import Shard
from mimamba.service.cluster.subjects import lease_subject
from mimamba.service.cluster.worker import Worker
from mimamba.service.sessions.model_choice import ModelChoice

PATIENCE = 60.0


class BrokenBus(InProcessBus):
    """A connection that answers with what is none of the bus's errors."""

    async def newest(self, pattern: str) -> list[BusMessage]:
        raise ValueError(f"broken: {pattern}")


def test_its_error_is_logged_and_it_is_not_taken_again_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        bus = BrokenBus(Exchange())
        worker = Worker(bus, ModelChoice(None, required=False))
        shard = Shard(bus, 3, Guard(lease_subject(3), 1), worker.sessions, worker.name)
        worker._shards[3] = shard
        running = asyncio.create_task(worker._run_shard(3, shard))
        try:
            while "a shard failed" not in caplog.messages:
                await asyncio.sleep(0.01)
            assert worker._shards == {3: shard}
            assert "broken: out.3.state.*" in caplog.text
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await worker.sessions.close_all()
        assert not worker._shards

    asyncio.run(asyncio.wait_for(scene(), PATIENCE))
