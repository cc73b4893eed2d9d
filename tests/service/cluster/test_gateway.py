"""The sessions of a bus, as a gateway opens, shows and closes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mimamba.drivers.errors import BadSource
from mimamba.models.signal.measures import BANDS, BandPower
from mimamba.service.acquire.bus_acquirer import ClusterFull
from mimamba.service.bus.bus import publish
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.bus.nats_bus import NATSBus
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.cluster.mirrored_session import ComputedElsewhere, MirroredSession
from mimamba.service.cluster.subjects import WorkerStatus, pack, session_key
from mimamba.service.cluster.worker import Worker
from mimamba.service.protocol.messages import PredictionMessage, Subscribed, decode_server
from mimamba.service.sessions.markers import set_marker
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.registry import NoSession, SessionFailed, SessionTaken, choose_model
from mimamba.service.sessions.session import Session
from mimamba.service.stream.hub import Hub
from mimamba.service.stream.reader import SessionReader
from tests.service.bus.nats_server import running

PATIENCE = 120.0
SOURCE = "simulate://?scenario=wearer&effect=30&seed=1"


def alpha_of(session: Session) -> float:
    """The newest power in the alpha band of the first electrode, µV²; 0 without one."""
    log = session.check_open().bands
    for _, each in log.read(log.next - 1, log.next):
        assert isinstance(each, BandPower)
        return float(each.power[0, list(BANDS).index("alpha")])
    return 0.0


@asynccontextmanager
async def cluster(capacity: int = 5, workers: int = 1) -> AsyncIterator[BusSessions]:
    """A gateway and workers, each with a connection of its own."""
    exchange = Exchange()
    choice = choose_model(None, memory=True)
    bus = InProcessBus(exchange)
    sessions = BusSessions(Hub(), choice, bus)
    buses = [InProcessBus(exchange) for _ in range(workers)]
    tasks = [asyncio.create_task(sessions.run())]
    tasks += [asyncio.create_task(Worker(each, choice, capacity=capacity).run()) for each in buses]
    try:
        async with asyncio.timeout(PATIENCE):
            while len(sessions.workers()) < workers:
                await asyncio.sleep(0.01)
            yield sessions
    finally:
        await sessions.close_all()
        for task in reversed(tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def play(scene: Callable[[BusSessions], Awaitable[None]], capacity: int = 5) -> None:
    async def run() -> None:
        async with cluster(capacity) as sessions:
            await scene(sessions)

    asyncio.run(run())


async def predictions(sessions: BusSessions, name: str, number: int) -> list[PredictionMessage]:
    """What a reader of the gateway is told, from the oldest on."""
    await sessions.ready(name)
    session = sessions.get(name)
    hub = sessions._observer
    assert isinstance(hub, Hub)
    reader = SessionReader(session, hub.frames(session), binary=True)
    reader.subscribe(["prediction"], None)
    told: list[PredictionMessage] = []
    while len(told) < number:
        for frame in reader.take():
            message = decode_server(frame)
            assert isinstance(message, PredictionMessage | Subscribed)
            if isinstance(message, PredictionMessage):
                told.append(message)
        await asyncio.sleep(0.01)
    return told


def test_a_source_that_is_read_here() -> None:
    async def scene(sessions: BusSessions) -> None:
        session = await sessions.open(SOURCE, "a.b")
        assert isinstance(session, MirroredSession)
        assert session.info is not None
        assert session.info.name == "Simulated headset"
        model = session.active_model.model
        assert model is not None
        assert model.name == "demo"
        filling = asyncio.create_task(sessions.fill_logs())  # though nobody subscribes
        while session.logs is None or session.logs.prediction.next == 0:
            await asyncio.sleep(0.01)
        filling.cancel()
        session.cue("calm", 0)  # as a calibration does; the wearer is simulated in this gateway
        while alpha_of(session) < 1000:
            await asyncio.sleep(0.01)
        session.cue(None, 0)
        told = await predictions(sessions, "a.b", 4)
        assert [each.seq for each in told] == list(range(told[0].seq, told[0].seq + 4))
        with pytest.raises(SessionTaken, match="is taken"):
            await sessions.open(SOURCE, "a.b")
        place = await asyncio.to_thread(session.snapshot)
        assert place.logs is session.logs
        assert place.state is not None
        set_marker(session, "now", None, "test")
        assert session.logs is not None
        while "now" not in [getattr(e, "label", "") for _, e in session.logs.marker.read(0, 9)]:
            await asyncio.sleep(0.01)
        with pytest.raises(ComputedElsewhere, match="it cannot be saved over the bus"):
            session.save()
        change = await sessions.prepare_model(session, ModelChoice(None, required=True))
        await asyncio.to_thread(change)
        assert session.active_model.model is None
        await sessions.close("a.b")
        with pytest.raises(NoSession):
            sessions.get("a.b")
        again = await sessions.open(SOURCE, "a.b", ModelChoice(None, required=False))
        assert again is not session

    play(scene)


def test_refusals() -> None:
    async def scene(sessions: BusSessions) -> None:
        with pytest.raises(BadSource):
            await sessions.open("nonsense://")
        opened = await sessions.open(SOURCE, person="p1")
        assert opened.subject.person == "p1"
        while sum(each.sessions for each in sessions.workers()) < 1:
            await asyncio.sleep(0.01)
        with pytest.raises(ClusterFull, match="1 of 1"):
            await sessions.open(SOURCE)

    play(scene, capacity=1)


def test_a_model_that_is_missing() -> None:
    async def scene(sessions: BusSessions) -> None:
        with pytest.raises(SessionFailed, match="Expected a checkpoint named missing"):
            await sessions.open(SOURCE, "x", ModelChoice("missing", required=True))
        assert sessions.all() == {}

    play(scene)


def test_no_worker() -> None:
    async def run() -> None:
        async with cluster(workers=0) as sessions:
            with pytest.raises(ClusterFull, match="Expected a worker on the bus"):
                await sessions.open(SOURCE)

    asyncio.run(run())


def test_a_session_that_no_worker_opens_in_time_is_opened_by_none(tmp_path: Path) -> None:
    """Over a real NATS server: its announcement is taken back."""

    async def scene(url: str) -> None:
        bus, hanging = await NATSBus.connect(url), await NATSBus.connect(url)
        sessions = BusSessions(Hub(), choose_model(None, memory=True), bus, opening=0.5)
        await hanging.answer("hanging")
        await publish(bus, "keys.worker.hanging", pack(WorkerStatus("hanging", "", 0, 9, 0, 0, 0)))
        try:
            with pytest.raises(SessionFailed, match="Expected a worker to open 'late'"):
                await sessions.open(SOURCE, "late")
            announced = await bus.newest(session_key("late"))
            while announced[0].payload:
                await asyncio.sleep(0.01)
                announced = await bus.newest(session_key("late"))
        finally:
            await sessions.close_all()
            await bus.close()
            await hanging.close()

    with running(tmp_path) as server:
        asyncio.run(asyncio.wait_for(scene(server.url), PATIENCE))
