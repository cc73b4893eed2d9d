"""Requests to a session that a worker has; another worker that continues it does the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.models.checkpoints.checkpoint import CheckpointError
from mimamba.service.acquire.bus_acquirer import announce
from mimamba.service.acquire.packet_message import samples_message
from mimamba.service.bus.bus import Bus, Guard, publish
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.bus.nats_bus import NATSBus
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.cluster.mirrored_session import MirroredSession
from mimamba.service.cluster.subjects import Packets, input_subject, pack
from mimamba.service.cluster.worker import Worker
from mimamba.service.people.people import NoPerson, People, PersonRefused
from mimamba.service.protocol.messages import LinkMessage, MarkerMessage
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.protocol.push import Push
from mimamba.service.sessions.markers import BadTimestamp, set_marker
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.personal_decoder import PersonalDecoder
from mimamba.service.sessions.session_decoder import NoBaseline
from mimamba.service.stream.hub import Hub
from tests.service.bus.lost_answers import lost_answer
from tests.service.cluster.test_mirroring import Tap
from tests.service.cluster.test_take_over import Told, packet, run
from tests.service.models import random_checkpoint
from tests.service.scripted import INFO
from tests.service.served_heads import served_head

SAVED = 2.5
"""Seconds until a state is on the bus."""


class Crew:
    """A gateway, one worker at a time, and a source of packets.

    They are on the bus of one process, or on the NATS server at ``url``, to which workers may have
    another way.
    """

    bus: Bus
    gateway: BusSessions
    worker: Worker

    def __init__(
        self,
        choice: ModelChoice,
        people: People | None = None,
        url: str | None = None,
        worker_url: str | None = None,
    ) -> None:
        self._exchange = Exchange()
        self._url, self._worker_url = url, worker_url or url
        self.told = Told()
        self._choice, self._people = choice, people
        self.sent = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._buses: list[Bus] = []
        self._worker: tuple[Bus, asyncio.Task[None]] | None = None

    async def connect(self, url: str | None = None) -> Bus:
        """Another connection to the bus."""
        made: Bus = InProcessBus(self._exchange)
        if self._url is not None:
            made = await NATSBus.connect(url or self._url)
        self._buses.append(made)
        return made

    async def replace_worker(self) -> None:
        """Kill the worker, and start another."""
        if self._worker is not None:
            bus, running = self._worker
            await bus.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        own = await self.connect(self._worker_url)
        self.worker = Worker(own, self._choice)
        self._worker = own, asyncio.create_task(self.worker.run())

    async def open(self) -> MirroredSession:
        self.bus = await self.connect()
        self.gateway = BusSessions(Hub(), self._choice, await self.connect(), self._people)
        self._tasks = [
            asyncio.create_task(self.gateway.run()),
            asyncio.create_task(self.told.follow(self.bus, "a.b")),
        ]
        await self.replace_worker()
        while not self.gateway.workers():
            await asyncio.sleep(0.01)
        await announce(self.bus, Push("s" * 16, INFO), "a.b")
        await self.send(100)
        while "a.b" not in self.gateway.all():
            await asyncio.sleep(0.01)
        await self.gateway.ready("a.b")
        session = self.gateway.get("a.b")
        assert isinstance(session, MirroredSession)
        return session

    async def send(self, packets: int) -> None:
        for seq in range(self.sent, self.sent + packets):
            message = Packets([samples_message("a.b", packet(seq, 12 * seq, 12))])
            await publish(self.bus, input_subject("a.b"), pack(message))
            await asyncio.sleep(0.001)
        self.sent += packets

    def send_always(self) -> None:
        """Send packets as a headset does, until closed."""

        async def send() -> None:
            while True:
                await self.send(2)
                await asyncio.sleep(0.04)

        self._tasks.append(asyncio.create_task(send()))

    async def until(self, kind: type, number: int) -> list[object]:
        """Wait until this many entries of a kind are told."""
        while True:
            found = [
                entry
                for (_, name), entries in self.told.entries.items()
                if name == kind.__name__
                for entry in entries.values()
            ]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.01)

    async def until_event(self, event: str) -> list[tuple[str, int | None]]:
        """Wait until this event is told; return all but those of the connection."""
        while True:
            found: list[tuple[str, int | None]] = [
                (each.event, each.first)
                for each in await self.until(LinkMessage, 1)
                if isinstance(each, LinkMessage) and each.event not in ("connected", "lost")
            ]
            if event in [name for name, _ in found]:
                return found
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        tasks = [*self._tasks, *([self._worker[1]] if self._worker else [])]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.gateway.close_all()
        for bus in self._buses:
            await bus.close()


def test_requests_across_take_overs(tmp_path: Path) -> None:
    random_checkpoint(tmp_path)
    random_checkpoint(tmp_path, "other", baseline=2.0)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)
    other = ModelChoice(str(tmp_path / "other.safetensors"), required=True)

    async def scene() -> None:
        crew = Crew(choice)
        try:
            session = await crew.open()
            with pytest.raises(NoBaseline, match="random, which was trained without"):
                await asyncio.to_thread(session.begin_baseline, None)
            with pytest.raises(CheckpointError, match="missing"):
                await asyncio.to_thread(session.use_model, ModelChoice("missing", required=True))
            await crew.told.until_predicted(18)
            await asyncio.to_thread(session.use_model, other)
            assert session.active_model.model is not None
            assert session.active_model.model.name == "other"
            assert session.baseline.wanted == 2.0
            with pytest.raises(BadTimestamp, match="a time on the LSL clock"):
                set_marker(session, "late", 10.0, "test")
            # The clock of the source began at 1000, and it is not this machine's.
            assert session.now() == pytest.approx(1000 + 1200 / 256, abs=200)
            session.add_marker(ReceivedMarker(1000 + 1300.2 / 256, "ahead", "test"))
            await crew.replace_worker()  # all of that comes again
            await crew.send(100)
            await crew.until(MarkerMessage, 1)
            await asyncio.to_thread(session.begin_baseline, 3.0)
            await asyncio.to_thread(session.cancel_baseline)
            with pytest.raises(NoBaseline, match="a baseline in progress"):
                await asyncio.to_thread(session.cancel_baseline)
            await asyncio.sleep(SAVED)
            await crew.replace_worker()  # the state has it
            session.report_recording("the recording x began")
            await crew.send(50)
            events = await crew.until_event("recording")
            (marker,) = await crew.until(MarkerMessage, 1)
            assert isinstance(marker, MarkerMessage)
            assert (marker.index, marker.label) == (1300, "ahead")
            # The memory is reset at the next hop, which may come before the last event or after it.
            assert [each for each, _ in events if each != "restarted"] == [
                "model",
                "baseline_begun",
                "baseline_taken",
                "baseline_begun",
                "baseline_stopped",
                "recording",
            ]
            assert events[0][1] == events[1][1] == 1200
            await crew.told.until_predicted(36)
            fresh = BusSessions(Hub(), choice, await crew.connect())
            await fresh.ready("a.b")
            for each in (session, fresh.get("a.b")):
                assert each.logs is not None
                models = [(m.since, m.model.name) for m in each.logs.active_models if m.model]
                assert models == [(0, "random"), (18, "other")]
            assert session.baseline.seconds == 2.0
            while session.battery != 90 - 12 * (crew.sent - 1) // 2048:
                await asyncio.sleep(0.01)
            await fresh.close_all()
        finally:
            await crew.close()

    run(scene)


def fresh_view(session: MirroredSession) -> tuple[HeadCard | None, str | None]:
    return session.head, session.subject.person


def test_people_and_a_head_across_take_overs(tmp_path: Path) -> None:
    """People's files stay at the gateway; what a worker needs of them is in the session's input."""
    random_checkpoint(tmp_path, "rested", baseline=2.0)
    choice = ModelChoice(str(tmp_path / "rested.safetensors"), required=True)
    people = People(tmp_path / "people")

    async def scene() -> None:
        crew = Crew(choice, people)
        try:
            session = await crew.open()
            with pytest.raises(NoPerson, match="P01"):
                await asyncio.to_thread(session.use_baseline, "P01")
            with pytest.raises(PersonRefused):
                await asyncio.to_thread(session.begin_baseline, 2.0, "../P01")
            await asyncio.to_thread(session.begin_baseline, 2.0, "P01")
            assert (session.baseline.person, people.names()) == ("P01", ["P01"])
            assert session.subject.person == "P01"
            await crew.send(50)
            while not (stored := people.get("P01").baselines):
                await asyncio.sleep(0.01)
            await asyncio.to_thread(session.use_baseline, "P01")
            people.add("P02")
            with pytest.raises(NoBaseline, match="a baseline of P02"):
                await asyncio.to_thread(session.use_baseline, "P02")
            await asyncio.to_thread(session.set_head, served_head(), "P01")
            assert session.head == session.active_model.head == served_head().card
            await crew.send(50)
            await asyncio.sleep(SAVED)
            await crew.replace_worker()  # the state has the head
            await crew.send(100)
            events = await crew.until_event("head")
            assert [each for each, _ in events if each != "restarted"] == [
                "baseline_begun",
                "baseline_taken",
                "baseline_begun",
                "baseline_taken",
                "baseline_used",
                "head",
            ]
            (_, head_at) = events[-1] if events[-1][0] == "head" else events[-2]
            assert head_at is not None
            while not any(
                each.personal.probabilities for each in crew.told.predictions() if each.personal
            ):
                await crew.send(10)
            told = [each for each in crew.told.predictions() if each.personal is not None]
            chunks = [packet(n, 12 * n, 12).chunk for n in range(head_at // 12, crew.sent)]
            own = PersonalDecoder(served_head(), INFO)
            for chunk in chunks:
                own.take(chunk)
            expected = {each.reading.index: each.reading for _, each in own.readings.read(0, 999)}
            for each in told:
                assert each.personal is not None
                assert each.personal == expected[each.personal.index]
            assert people.get("P01").baselines == stored
            newest = max(expected)
            while session.last_reading != expected[newest]:
                await asyncio.sleep(0.01)
            for seconds in (8.0, 60.0):  # the longer ones began before the take-over
                found = await asyncio.to_thread(session.hops_before, newest, seconds)
                assert found is not None
                assert session.logs is not None
                mine = own.hops_before(newest, seconds, session.logs.epoch)
                assert found.epoch == mine.epoch
                assert len(found.values) > 2
                np.testing.assert_array_equal(found.values, mine.values)
            checked = replace(served_head().card, right=1, checked=2)
            await asyncio.to_thread(session.change_head_card, checked)
            assert session.head == checked
            fresh = BusSessions(Hub(), choice, await crew.connect())
            await fresh.ready("a.b")
            logs = fresh.get("a.b").logs
            assert logs is not None
            heads = [each.head.checked if each.head else None for each in logs.active_models]
            assert heads == [None, 0, 2]
            await fresh.close_all()
            await asyncio.to_thread(session.set_head, None)
            assert fresh_view(session) == (None, "P01")
            session.forget_person("P01")
            while session.baseline.person is not None:
                await asyncio.sleep(0.01)
        finally:
            await crew.close()

    run(scene)


class LosingBus(InProcessBus):
    """A connection on which the first order that the source is silent is lost."""

    lost = False

    async def send(
        self,
        subject: str,
        payload: bytes,
        *,
        name: str | None = None,
        guard: Guard | None = None,
        only: bool = False,
    ) -> asyncio.Future[int]:
        if not self.lost and "-lost-" in (name or ""):
            self.lost = True
            return lost_answer()
        return await super().send(subject, payload, name=name, guard=guard, only=only)


def test_markers_that_nothing_follows(tmp_path: Path) -> None:
    """A marker waits for its sample however long, but not for a source that is silent.

    The worker says again that it is, if the bus does not store that.
    """
    random_checkpoint(tmp_path)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)

    async def scene() -> None:
        crew = Crew(choice)
        try:
            session = await crew.open()
            computed = crew.worker._find("a.b")
            assert computed is not None
            assert computed.session is not None
            computed._bus = LosingBus(crew._exchange)
            assert not computed.session.watchers
            session.add_tap(tap := Tap())  # as a calibration: its signal does not wait any more
            while not computed.session.watchers:
                await asyncio.sleep(0.01)
            session.remove_tap(tap)
            session.add_marker(ReceivedMarker(1000 + 2000.0 / 256, "never", "test"))
            (marker,) = await crew.until(MarkerMessage, 1)
            assert isinstance(marker, MarkerMessage)
            assert marker.index == 2000
            assert any(
                getattr(each, "event", "") == "lost" for each in await crew.until(LinkMessage, 1)
            )
            while computed.session.watchers:
                await asyncio.sleep(0.01)
        finally:
            await crew.close()

    run(scene)
