"""Two gateways with a real NATS server; one is cut off from it, and its clients go to the other."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mimamba.service.acquire.acquirer import Acquirer
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.client.client import Client, ServiceUnreachable
from mimamba.service.client.credentials import Credentials
from mimamba.service.cluster.failover.bus_contact import (
    FAREWELL,
    RESTART_LOOKS,
    SILENT_LOOKS,
    BusContact,
)
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import (
    Heartbeat,
    Hello,
    PredictionMessage,
    Subscribe,
    Subscribed,
)
from mimamba.service.protocol.push import Push, Pushing
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.registry import choose_model
from mimamba.service.sessions.session import Session
from mimamba.service.stream.hub import Hub
from tests.benchmarks.cluster.lines import Lines
from tests.service.bus.nats_server import running
from tests.service.cluster.test_requests import Crew
from tests.service.cluster.test_take_over import run
from tests.service.live import Live, live, talk
from tests.service.models import random_checkpoint
from tests.service.proxy import Line, bad_line
from tests.service.scripted import INFO

TOKEN = "a-token-for-control"


class Follower:
    """A client of one address, behind which are several gateways."""

    def __init__(self, url: str) -> None:
        self.told: list[PredictionMessage] = []
        self._url = url

    async def run(self) -> None:
        async with Client(self._url, pause=0.05) as client:
            await client.subscribe("a.b", ["prediction"])
            async for message in client:
                if isinstance(message, PredictionMessage):
                    self.told.append(message)

    async def more(self) -> None:
        """Wait for predictions that are told from now on."""
        before = len(self.told)
        while len(self.told) < before + 2:
            await asyncio.sleep(0.01)


async def ready(gateway: Live, status: int) -> httpx.Response:
    """Wait until a gateway says whether it is ready, as a load balancer does."""
    while (answer := await asyncio.to_thread(gateway.http.get, "/readyz")).status_code != status:
        await asyncio.sleep(0.02)
    return answer


def lead(front: Line, gateway: Live) -> None:
    """Lead new connections to a gateway."""
    front.port = urlsplit(gateway.url).port or 0


async def leave_and_return(front: Line, gateways: list[Live], lines: Lines, cut: Line) -> None:
    """Follow a session over both gateways, the first of which is cut off for a while."""
    first, second = gateways
    follower = Follower(front.url)
    following = asyncio.create_task(follower.run())
    try:
        async with talk(first.url) as pushing, talk(first.url) as viewing:
            await pushing.say(Push("p" * 16, INFO, "pushed"))
            await pushing.find(Pushing)
            await viewing.say(Subscribe("a.b", ["prediction"]))
            await viewing.find(Subscribed)
            await follower.more()
            lines.cut_off(cut)
            answer = await ready(first, 503)
            lead(front, second)
            assert answer.headers["Retry-After"] == "1"
            assert "does not reach the bus" in answer.json()["detail"]
            close = await viewing.farewell()
            assert (close.code, close.reason) == (1013, FAREWELL)
            async with talk(first.url) as late:
                close = await late.farewell()
                assert (close.code, close.reason, late.heard) == (1013, FAREWELL, [])
            assert (await asyncio.to_thread(first.http.get, "/healthz")).status_code == 200
            assert "mimamba_bus_reached 0.0" in first.http.get("/metrics").text
            await follower.more()
            await pushing.find(Heartbeat)  # its samples wait at this gateway
        lines.heal(cut)
        await ready(first, 200)
        lead(front, first)
        front.cut()
        await follower.more()
        assert "mimamba_bus_reached 1.0" in first.http.get("/metrics").text
        numbers = [each.seq for each in follower.told]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def test_clients_leave_a_gateway_that_is_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    random_checkpoint(tmp_path)
    choice = ModelChoice(str(tmp_path / "random.safetensors"), required=True)

    async def scene(url: str, gateways: list[Live], lines: Lines, cut: Line) -> None:
        crew = Crew(choice, url=url)
        try:
            await crew.open()
            crew.send_always()
            async with bad_line(gateways[0].url, "http") as front:
                await leave_and_return(front, gateways, lines, cut)
        finally:
            await crew.close()

    with running(tmp_path / "store") as server, Lines() as lines:
        cut = lines.add(server.url)
        with (
            live(bus=cut.url, data_dir=tmp_path / "first") as first,
            live(bus=server.url, data_dir=tmp_path / "second") as second,
        ):
            run(lambda: scene(server.url, [first, second], lines, cut))
    assert [each.message for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_strangers_are_told_no_reason_and_clients_prove_themselves_first() -> None:
    async def scene(url: str, hub: Hub) -> None:
        async with talk(url) as viewing:
            await viewing.say(Auth(TOKEN))
            assert (await viewing.farewell()).code == 1013
            assert [each.scope for each in viewing.heard if isinstance(each, Hello)] == [None]
        async with talk(url) as stranger:
            await stranger.say(Auth(TOKEN[::-1]))
            assert (await stranger.farewell()).code == 4401
        with pytest.raises(ServiceUnreachable, match="takes no streams now: the bus is away"):
            await Acquirer("simulate://", url, credentials=Credentials(TOKEN)).run()
        async with (
            bad_line(url, "http") as front,
            Client(front.url, pause=0.02, credentials=Credentials(TOKEN)) as client,
        ):
            first = asyncio.create_task(anext(aiter(client)))
            while front.connections < 4:
                await asyncio.sleep(0.01)
            assert client._next_pause >= 0.08  # of those that are told nothing
            hub.welcome()
            assert isinstance(await first, Hello)

    with live(token=TOKEN, model="none") as service:
        hub = service.server._app.state.running.hub
        hub.dismiss_all("the bus is away")
        answer = service.http.get("/readyz")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "does not reach the bus" in answer.json()["detail"]
        hidden = httpx.get(f"{service.url}/readyz")
        assert (hidden.status_code, hidden.headers["Retry-After"]) == (503, "1")
        assert "bus" not in hidden.text
        run(lambda: scene(service.url, hub))


class AwayBus(InProcessBus):
    """Its server is away for some questions, is back but silent for others, and then answers."""

    def __init__(self, away: int, silent: int) -> None:
        super().__init__(Exchange())
        self._away, self._silent, self._asked = away, silent, 0
        self.answered = asyncio.Event()

    @property
    def only_server_ended(self) -> bool:
        return self._asked <= self._away

    async def reaches_server(self, within: float) -> bool:
        del within
        self._asked += 1
        if self._asked > self._away + self._silent:
            self.answered.set()
        return self.answered.is_set()


class Visitor:
    """A connection that counts how often it is woken."""

    woken = 0

    def wake(self, session: Session | None = None) -> None:
        assert session is None
        self.woken += 1

    def beat(self) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("away", "silent", "sent_away"),
    [
        (0, SILENT_LOOKS - 1, False),
        (0, SILENT_LOOKS, True),
        (RESTART_LOOKS - 1, 0, False),
        (RESTART_LOOKS, 0, True),
        (RESTART_LOOKS - 1, SILENT_LOOKS, False),  # the first may have been asked before
        (RESTART_LOOKS - 1, SILENT_LOOKS + 1, True),
    ],
)
def test_a_server_that_is_restarted_keeps_its_clients(
    away: int, silent: int, sent_away: bool
) -> None:
    async def scene() -> None:
        hub, visitor, bus = Hub(), Visitor(), AwayBus(away, silent)
        hub.join(visitor)
        sessions = BusSessions(hub, choose_model(None, memory=True), bus)
        watching = asyncio.create_task(BusContact(bus, hub, sessions.catch_up).run())
        await bus.answered.wait()
        while hub.farewell is not None:
            await asyncio.sleep(0)
        assert (visitor.woken > 0) is sent_away
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await sessions.close_all()

    run(scene)
