"""What could not begin over a real NATS server never begins, though the server stored it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mimamba.service.bus.bus import Guard, NotStored, publish
from mimamba.service.bus.nats_bus import NATSBus
from mimamba.service.cluster.failover.bus_recordings import RecordingState
from mimamba.service.cluster.subjects import feedback_key, pack, recording_key, study_key
from mimamba.service.people.people import People
from mimamba.service.recordings.sidecar import Sidecar
from mimamba.service.sessions.model_choice import ModelChoice
from tests.service.bus.lost_answers import lost_answer
from tests.service.bus.nats_server import running
from tests.service.cluster.failover.test_bus_feedback import REAL
from tests.service.cluster.failover.test_bus_studies import LONG, StudyGateway
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import run
from tests.service.models import random_checkpoint


class UnheardBus(NATSBus):
    """A connection that is not told that messages of one subject are stored."""

    unheard: str | None = None

    async def send(
        self,
        subject: str,
        payload: bytes,
        *,
        name: str | None = None,
        guard: Guard | None = None,
        only: bool = False,
    ) -> asyncio.Future[int]:
        stored = await super().send(subject, payload, name=name, guard=guard, only=only)
        if subject != self.unheard:
            return stored
        await asyncio.wait([stored])
        stored.exception()  # nobody is told of it
        return lost_answer()


def test_what_could_not_begin_never_begins(tmp_path: Path) -> None:
    """It begins at once at another gateway; a key that nobody is behind is cleared."""
    random_checkpoint(tmp_path)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)
    (tmp_path / "long.toml").write_text(LONG, encoding="utf-8")
    folder, people = tmp_path / "recordings", People(tmp_path / "people")

    async def scene(url: str) -> None:
        crew = Crew(choice, url=url)
        unheard = await UnheardBus.connect(url)
        try:
            await crew.open()
            buses = unheard, await crew.connect()
            gateways = [StudyGateway(each, choice, folder, people) for each in buses]
            for each in gateways:
                each.lead(tmp_path, people)
            (first, one), (second, other) = [
                (each, await each.sessions.find("a.b")) for each in gateways
            ]
            assert one is not None
            assert other is not None

            async def fail(subject: str, begin: object, *arguments: object) -> None:
                unheard.unheard = subject
                with pytest.raises(NotStored):
                    await asyncio.to_thread(begin, *arguments)  # type: ignore[arg-type]
                unheard.unheard = None

            key = recording_key("a.b")
            await fail(key, first.recordings.start, one, "r", None, None)
            await asyncio.to_thread(second.recordings.start, other, "r", None, None)
            assert not first.recordings.running
            await asyncio.to_thread(second.recordings.stop, "r", False)
            await fail(
                study_key("a.b"), first.studies.begin, one, first.studies.protocols.get("long")
            )
            study = await asyncio.to_thread(
                second.studies.begin, other, second.studies.protocols.get("long")
            )
            await asyncio.to_thread(study.stop)
            await fail(feedback_key("a.b"), first.feedback.begin, one, REAL)
            given = await asyncio.to_thread(second.feedback.begin, other, REAL)
            await asyncio.to_thread(given.stop)
            assert not first.studies._live
            assert not first.feedback._live
            assert not first.recordings.running
            left = RecordingState(first.sessions.name, Sidecar("s", "recording", "a.b"))
            await publish(crew.bus, key, pack(left), only=True)
            await asyncio.to_thread(first.recordings.start, one, "t", None, None)
            await asyncio.to_thread(first.recordings.stop, "t", False)
            await publish(crew.bus, key, pack(left), only=True)
            while (await crew.bus.newest(key))[0].payload:
                await asyncio.sleep(0.01)
            for each in gateways:
                await asyncio.to_thread(each.studies.close)
                await asyncio.to_thread(each.feedback.close)
                await each.end()
        finally:
            await unheard.close()
            await crew.close()

    with running(tmp_path / "store") as server:
        run(lambda: scene(server.url))
