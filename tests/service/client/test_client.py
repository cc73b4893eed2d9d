"""The client over cuts and restarts: everything once, in order, by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from mimamba.service.acquire.acquirer import Acquirer
from mimamba.service.cli.main import app
from mimamba.service.client.client import Client, ServiceUnreachable, stream_url, topic_of
from mimamba.service.protocol.messages import (
    LinkMessage,
    Position,
    PredictionMessage,
    SessionState,
    SignalMessage,
    Skipped,
    Subscribed,
)
from tests.ports import kept_port
from tests.service.live import PATIENCE, live

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def cuttable(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A way to a port through which every connection ends when the event is set."""
    cut = asyncio.Event()
    ways: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(500):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        pair = {asyncio.create_task(carry(reader, back)), asyncio.create_task(carry(there, writer))}
        ways.update(pair)
        await cut.wait()
        cut.clear()
        for each in (writer, back):
            each.transport.abort()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        cut.set()
        server.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def test_cuts_lose_and_repeat_nothing() -> None:
    with live("simulate://?seed=7") as service:
        service.opened("simulate-1")
        port = int(service.url.rsplit(":", 1)[1])
        async with cuttable(port) as (way, cut), Client(f"127.0.0.1:{way}", pause=0.05) as client:
            await client.subscribe("simulate-1", ["prediction", "signal"], Position(""))
            expected, predictions, cuts = 0, [], 0
            async for message in client:
                assert not isinstance(message, Skipped)
                if isinstance(message, SignalMessage):
                    assert message.first == expected
                    expected += len(message.data) // 16
                    if expected > 256 * (cuts + 1):
                        cuts += 1
                        cut.set()
                elif isinstance(message, PredictionMessage):
                    predictions.append(message.seq)
                if cuts == 6:
                    break
        assert len(predictions) >= 4
        assert predictions == list(range(len(predictions)))


async def test_frames_go_on_after_a_cut() -> None:
    with live("simulate://?seed=7", model="none") as service:
        service.opened("simulate-1")
        port = int(service.url.rsplit(":", 1)[1])
        async with cuttable(port) as (way, cut), Client(f"127.0.0.1:{way}", pause=0.05) as client:
            expected = None
            async with asyncio.timeout(PATIENCE):
                async for frame in client.frames("simulate-1"):
                    assert frame.lost == 0
                    assert expected in (None, frame.first)
                    if expected is None:
                        cut.set()
                        begun = frame.first
                    expected = frame.first + len(frame.data)
                    if expected > begun + 256:
                        break


async def test_a_service_that_comes_back_is_followed_in_its_new_epoch() -> None:
    with kept_port() as port:
        with live("simulate://", port=port) as first:
            client = Client(first.url, pause=0.05)
            await client.__aenter__()
            epochs: list[str] = []
            async for message in client:
                if isinstance(message, SessionState) and message.state == "opened":
                    await client.subscribe(message.session, ["signal", "link"])
                elif isinstance(message, Subscribed):
                    epochs.append(message.epoch)
                elif isinstance(message, SignalMessage):
                    break
        with live("simulate://", port=port):
            async for message in client:
                if isinstance(message, Subscribed):
                    epochs.append(message.epoch)
                if isinstance(message, SignalMessage) and len(epochs) == 2:
                    assert message.first == 0  # all of the new epoch, from its start
                    break
            await client.__aexit__(None, None, None)
    assert len(set(epochs)) == 2


async def test_a_session_that_is_opened_again_is_followed_again() -> None:
    with live("simulate://") as service:
        service.opened("simulate-1")
        epochs: list[str] = []
        again = False  # what was on its way meanwhile is still of the first session
        async with asyncio.timeout(PATIENCE), Client(service.url) as client:
            await client.subscribe("simulate-1", ["signal"])
            async for message in client:
                if isinstance(message, Subscribed):
                    epochs.append(message.epoch)
                elif isinstance(message, SignalMessage) and not again:
                    again = True
                    assert service.http.delete("/v1/sessions/simulate-1").status_code == 204
                    new = {"source": "simulate://", "id": "simulate-1", "model": "none"}
                    assert service.http.post("/v1/sessions", json=new).status_code == 201
                elif isinstance(message, SignalMessage) and len(epochs) == 2:
                    break
        assert len(set(epochs)) == 2


async def test_nobody_there_is_reported_in_one_line() -> None:
    with pytest.raises(ServiceUnreachable, match=r"No mimamba service answers at .+. Start one"):
        async with Client("http://127.0.0.1:9"):
            pass


async def test_a_proxy_without_a_service_that_is_ready_is_named() -> None:
    def refuse(socket: ServerConnection, request: Request) -> Response:
        del request
        return socket.respond(503, "none is ready")

    async def nothing(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(nothing, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        for comes in (
            Client(f"127.0.0.1:{port}").__aenter__(),
            Acquirer("simulate://", f"127.0.0.1:{port}").run(),
        ):
            with pytest.raises(ServiceUnreachable, match=r"is not ready \(HTTP 503\). Try again"):
                await comes


NO_ADDRESSES = ["http://[", "localhost:abc", "localhost:99999", "http://", "", "a..b", "ftp://here"]


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_what_is_no_address_is_reported_in_one_line(url: str) -> None:
    with pytest.raises(ServiceUnreachable, match=r"Expected .+, but found .+. Use"):
        stream_url(url)
    for command in (["watch", url], ["acquire", "--source", "simulate://", "--to", url]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2
        assert done.output.startswith("mimamba: Expected the address")
        assert done.output.count("\n") == 1


@pytest.mark.parametrize(
    "frame", ["{}", "hello", "\N{BRAIN}", b"\x00", b"", b"\x81\xa4type\xa1\xff"], ids=ascii
)
async def test_a_server_of_another_kind_is_reported_in_one_line(frame: str | bytes) -> None:
    async def greet(socket: ServerConnection) -> None:
        await socket.send(frame)
        await socket.wait_closed()

    async with serve(greet, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with asyncio.timeout(PATIENCE), Client(f"127.0.0.1:{port}") as client:
            with pytest.raises(ServiceUnreachable, match="Expected a mimamba service") as caught:
                async for _ in client:
                    pass
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8765", "ws://127.0.0.1:8765/v1/stream"),
        ("https://lab.example/", "wss://lab.example/v1/stream"),
        ("localhost:9000", "ws://localhost:9000/v1/stream"),
    ],
)
def test_a_services_address_leads_to_its_stream(url: str, expected: str) -> None:
    assert stream_url(url) == expected


def test_a_messages_topic_is_its_types_name() -> None:
    assert topic_of(SignalMessage("s", 0, 0, b"", b"")) == "signal"
    assert topic_of(LinkMessage("s", 0, 0.0, "lost", "")) == "link"
