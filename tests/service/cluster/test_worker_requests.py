"""Requests over a real NATS server that are answered with an error, and never carried out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from mimamba.service.bus.bus import BusMessage, Guard, NotStored
from mimamba.service.bus.nats_bus import NATSBus
from mimamba.service.cluster.request_messages import BeginBaseline, FindHops, Request
from mimamba.service.cluster.requests import HOLD_SECONDS, make_void, take_in_time
from mimamba.service.cluster.worker_requests import WorkerRequests
from mimamba.service.sessions.model_choice import ModelChoice
from tests.service.bus.lost_answers import lost_answer
from tests.service.bus.nats_server import running
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import run
from tests.service.models import random_checkpoint

PATIENCE = 0.5


class LaggingBus(NATSBus):
    """A connection whose next answer comes from a server that has no new messages yet."""

    lags = False

    async def newest(self, pattern: str) -> list[BusMessage]:
        if self.lags:
            self.lags = False
            return []
        return await super().newest(pattern)


class LameBus(NATSBus):
    """A connection whose requests reach the server late, or that hears nothing of it."""

    late: list[Callable[[], Awaitable[asyncio.Future[int]]]] | None = None
    deaf = False

    async def send(
        self,
        subject: str,
        payload: bytes,
        *,
        name: str | None = None,
        guard: Guard | None = None,
        only: bool = False,
    ) -> asyncio.Future[int]:
        async def send() -> asyncio.Future[int]:
            return await super(LameBus, self).send(
                subject, payload, name=name, guard=guard, only=only
            )

        if self.late is None or ".taken." in subject:
            return await send()
        self.late.append(send)
        return lost_answer()

    async def arrive(self) -> None:
        """Let what is late arrive."""
        late, self.late = self.late or [], None
        for each in late:
            await (await each())

    @asynccontextmanager
    async def follow(
        self,
        pattern: str,
        after: int | Literal["now", "newest"],
        at_once: Callable[[BusMessage], bool] | None = None,
    ) -> AsyncIterator[AsyncIterator[BusMessage]]:
        async def hear(messages: AsyncIterator[BusMessage]) -> AsyncIterator[BusMessage]:
            async for each in messages:
                if not self.deaf:
                    yield each

        async with super().follow(pattern, after, at_once) as messages:
            yield hear(messages)

    async def newest(self, pattern: str) -> list[BusMessage]:
        if self.deaf:
            raise NotStored("no answer")
        return await super().newest(pattern)


def test_a_request_that_failed_is_not_carried_out(tmp_path: Path) -> None:
    """The bus stores it late, as where no worker is there in time, or no answer is heard."""
    random_checkpoint(tmp_path, "rested", baseline=2.0)
    choice = ModelChoice(str(tmp_path / "rested.safetensors"), required=True)

    async def scene(url: str) -> None:
        crew = Crew(choice, url=url)
        bus = await LameBus.connect(url)
        try:
            await crew.open()
            await crew.until_event("baseline_taken")
            hasty = WorkerRequests(bus, "a.b", lambda _: None, lambda: True, PATIENCE)
            old = WorkerRequests(bus, "a.b", lambda _: None, lambda: False, PATIENCE)
            patient = WorkerRequests(bus, "a.b", lambda _: None, lambda: True)

            async def fail(asker: WorkerRequests, text: str) -> None:
                with pytest.raises(NotStored, match=text):
                    await asyncio.to_thread(asker.ask, BeginBaseline(60.0))

            bus.late = []
            await fail(hasty, "It is not carried out any more")
            await fail(old, "of an older version. It is withdrawn")
            await bus.arrive()
            await asyncio.to_thread(patient.ask, FindHops(0, 1.0))
            bus.deaf = True
            await fail(hasty, "It is withdrawn")
            events = await crew.until_event("baseline_stopped")
            bus.deaf = False
            assert [each for each, _ in events if each != "restarted"] == [
                "baseline_begun",
                "baseline_taken",
                "baseline_begun",
                "baseline_stopped",
            ]
        finally:
            await bus.close()
            await crew.close()

    async def decide(url: str) -> None:
        """The first note stands, whatever a reader is told of it."""
        bus = await LaggingBus.connect(url)
        taken, void, odd, old = [
            Request(each, FindHops(0, 1.0), noted=True) for each in ("taken", "void", "a b", "old")
        ]
        now = time.time()
        try:
            for _ in ("a worker", "the one that continues the session"):
                bus.lags = True
                assert await take_in_time(bus, "a.b", taken, now)
            bus.lags = True
            assert not await make_void(bus, "a.b", taken)
            for _ in ("a gateway", "its note is known"):
                bus.lags = True
                assert await make_void(bus, "a.b", void)
            bus.lags = True
            assert not await take_in_time(bus, "a.b", void, now)
            assert not await take_in_time(bus, "a.b", odd, now)
            assert not await take_in_time(bus, "a.b", old, now - HOLD_SECONDS - 1)
        finally:
            await bus.close()

    with running(tmp_path / "store") as server:
        run(lambda: decide(server.url))
        run(lambda: scene(server.url))
