"""What only a real server shows: refusals, and a server that dies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest
from nats.aio.msg import Msg

from mimamba.service.bus.bus import BusUnreachable, Guard, NotStored, Overtaken, publish
from mimamba.service.bus.nats_bus import NATSBus, check_version
from tests.benchmarks.cluster.lines import Lines, linked_servers
from tests.ports import kept_port
from tests.service.bus.nats_server import NATSServer, running
from tests.service.proxy import Line, bad_line

PATIENCE = 60.0


def test_no_server() -> None:
    with (
        kept_port() as port,
        pytest.raises(BusUnreachable, match="Expected a NATS server at"),
    ):
        asyncio.run(NATSBus.connect(f"nats://127.0.0.1:{port}"))


def test_a_server_without_jetstream(tmp_path: Path) -> None:
    with (
        running(tmp_path, "-D") as server,
        pytest.raises(BusUnreachable, match="Start the server with -js"),
    ):
        asyncio.run(NATSBus.connect(server.url))


def test_an_old_server() -> None:
    for version in ("2.11.0", "2.15.1-RC.2", "3.0.0"):
        check_version(version)
    with pytest.raises(BusUnreachable, match=r"NATS server 2\.11 or later, but found 2\.9\.10"):
        check_version("2.9.10")


def test_a_server_that_dies_and_comes_back(tmp_path: Path) -> None:
    """Followers go on, and nothing that was stored is lost, or seen twice.

    They also do where the server forgets them and the connection lasts.
    """

    async def scene() -> None:
        bus = await NATSBus.connect(server.url, heartbeat=0.2)
        try:
            async with asyncio.timeout(PATIENCE), bus.follow("in.1.*", 0) as messages:
                await publish(bus, "in.1.a", b"1", name="1")
                assert (await anext(messages)).payload == b"1"
                server.kill()
                unsure = await bus.send("in.1.a", b"2", name="2")
                with pytest.raises(NotStored):
                    await unsure
                server.start()
                for name in (b"2", b"3"):
                    while True:
                        try:
                            await publish(bus, "in.1.a", name, name=name.decode())
                        except NotStored:
                            continue
                        break
                assert [(await anext(messages)).payload for _ in range(2)] == [b"2", b"3"]
                for each in await bus._js.consumers_info("IN"):
                    await bus._js.delete_consumer("IN", each.name)
                await publish(bus, "in.1.a", b"4", name="4")
                assert (await anext(messages)).payload == b"4"
        finally:
            await bus.close()

    with running(tmp_path) as server:
        asyncio.run(scene())


@pytest.mark.parametrize("after", [0, "newest"])
def test_a_follower_starts_over_once_the_connection_is_new(
    tmp_path: Path, after: int | Literal["newest"]
) -> None:
    """It need not miss the heartbeats of a server that was started again: there are none here."""

    async def scene() -> None:
        bus = await NATSBus.connect(server.url, heartbeat=3600.0)
        try:
            async with asyncio.timeout(PATIENCE), bus.follow("keys.test.*", after) as messages:
                for nth in range(3):
                    while True:
                        try:
                            await publish(bus, f"keys.test.{nth}", b"%d" % nth, name=f"{nth}")
                        except NotStored:
                            continue
                        break
                    assert (await anext(messages)).payload == b"%d" % nth
                    server.kill()
                    server.start()
                await bus.close()
                with pytest.raises(StopAsyncIteration):
                    await anext(messages)
        finally:
            await bus.close()

    with running(tmp_path) as server:
        asyncio.run(scene())


def test_a_server_that_falls_silent_is_left(tmp_path: Path) -> None:
    """As one whose machine lost its power: nobody closes its connections."""

    async def scene() -> None:
        async with bad_line(server.url, "nats") as line:
            bus = await NATSBus.connect(line.url, ping=0.1)
            since = bus.connected_since
            try:
                line.flowing.clear()
                while bus._connection.is_connected:
                    await asyncio.sleep(0.01)
                line.flowing.set()
                while bus.connected_since == since:
                    await asyncio.sleep(0.01)
                assert line.connections == 2
                await publish(bus, "in.1.a", b"1")
                stored = bus._stored
                assert stored > since
                await bus._js.delete_stream("IN")
                with pytest.raises(NotStored, match="no stream takes it"):
                    await publish(bus, "in.1.a", b"2")
                assert bus._stored == stored  # such an answer shows nothing of the server
            finally:
                await bus.close()

    with running(tmp_path) as server:
        asyncio.run(asyncio.wait_for(scene(), PATIENCE))


def test_a_server_says_that_it_is_there(tmp_path: Path) -> None:
    """Also while others follow everything, and behind whatever waits to be read."""

    async def scene() -> None:
        async with bad_line(server.url, "nats") as line:
            bus, other = await NATSBus.connect(line.url), await NATSBus.connect(server.url)
            try:
                await other._connection.subscribe(">", cb=take)
                await other._connection.flush()
                assert await bus.reaches_server(PATIENCE)
                line.flowing.clear()
                assert not await bus.reaches_server(0.3)
                line.flowing.set()
                assert await bus.reaches_server(PATIENCE)
            finally:
                await other.close()
                await bus.close()

    async def take(_: Msg) -> None:
        """Nothing."""

    with running(tmp_path) as server:
        asyncio.run(scene())


def test_a_server_that_says_nothing_is_left_if_there_is_another(tmp_path: Path) -> None:
    async def scene() -> None:
        async with bad_line(one.url, "nats") as left, bad_line(two.url, "nats") as right:
            bus = await NATSBus.connect(f"{left.url},{right.url}")
            try:
                line = left if left.connections else right
                line.flowing.clear()
                since = bus.connected_since
                assert not await bus.reaches_server(0.2)
                assert not bus._stalled.is_set()
                assert not await bus.reaches_server(0.2)
                assert bus._stalled.is_set()
                while bus.connected_since == since:
                    await asyncio.sleep(0.01)
                assert await bus.reaches_server(PATIENCE)
                line.flowing.set()
            finally:
                await bus.close()

    with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        asyncio.run(asyncio.wait_for(scene(), PATIENCE))


def test_a_server_that_takes_nothing_lets_nobody_wait(tmp_path: Path) -> None:
    """What would wait beyond the limit is refused, and a task that is cancelled ends."""

    async def scene() -> None:
        async with bad_line(server.url, "nats") as line:
            bus = await NATSBus.connect(line.url, ping=3600)
            try:
                line.flowing.clear()
                sent = [await bus.send("in.1.a", bytes(1 << 19)) for _ in range(64)]
                with pytest.raises(NotStored, match="8 MiB wait for the server"):
                    await sent[-1]
                queue = bus._connection._flush_queue
                assert queue is not None
                while not queue.full():  # the library then waits, and hides what cancels it
                    queue.put_nowait(asyncio.get_running_loop().create_future())
                asking = asyncio.create_task(bus.newest("keys.test.a"))
                for _ in range(10):
                    await asyncio.sleep(0)
                asking.cancel()
                line.flowing.set()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                await asyncio.gather(*sent, return_exceptions=True)
            finally:
                line.flowing.set()
                await bus.close()

    with running(tmp_path) as server:
        asyncio.run(asyncio.wait_for(scene(), PATIENCE))


async def surely(bus: NATSBus, subject: str, name: str, guard: Guard) -> int:
    """Publish a message, however often it takes."""
    while True:
        try:
            return await publish(bus, subject, name.encode(), name=name, guard=guard)
        except NotStored:
            await asyncio.sleep(0.1)


def test_one_of_three_servers_dies(tmp_path: Path) -> None:
    """The others go on, with all that was stored, and guards hold as before.

    So they do where they cannot reach one, which its clients leave.
    """

    async def scene(servers: list[NATSServer], between: list[list[Line]]) -> None:
        url = ",".join(each.url for each in servers)
        while True:
            try:
                bus = await NATSBus.connect(url)
                break
            except BusUnreachable:  # they have no leader yet
                await asyncio.sleep(0.2)
        try:
            async with asyncio.timeout(3 * PATIENCE), bus.follow("out.1.results.a", 0) as messages:
                lease = "out.1.lease"
                taken = Guard(lease, await publish(bus, lease, b"1", only=True))
                for nth, server in enumerate(servers):
                    await surely(bus, "out.1.results.a", f"{nth}", taken)
                    server.kill()
                    await surely(bus, "out.1.results.a", f"{nth}-killed", taken)
                    server.start()
                    newer = Guard(lease, await surely(bus, lease, f"lease-{nth}", taken))
                    with pytest.raises(Overtaken):
                        await surely(bus, "out.1.results.a", f"{nth}-zombie", taken)
                    taken = newer
                    told = [(await anext(messages)).payload for _ in range(2)]
                    assert told == [f"{nth}".encode(), f"{nth}-killed".encode()]
                found = bus._connection.connected_url
                assert found is not None
                for server, around in zip(servers, between, strict=True):
                    for line in around if server.port == found.port else ():
                        lines.cut_off(line)
                await surely(bus, "out.1.results.a", "apart", taken)
                assert bus._connection.connected_url != found
                assert (await anext(messages)).payload == b"apart"
        finally:
            await bus.close()

    with Lines() as lines, linked_servers(tmp_path, lines) as (servers, between):
        asyncio.run(scene(servers, between))
