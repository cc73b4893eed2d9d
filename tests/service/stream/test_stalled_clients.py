"""Clients that do not read, or send too much, are held back or disconnected; others stay."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState
from websockets.asyncio.client import connect

from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import Heartbeat, Ping, Pong, encode
from mimamba.service.server.app import Limits
from mimamba.service.stream.stalled_clients import FRAMES, UNKNOWN_BYTES, KeepaliveProtocol
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import PATIENCE as LONG
from tests.service.live import Live, live, talk
from tests.service.server.test_prometheus import numbers
from tests.service.sessions.test_injection import upgraded

pytestmark = pytest.mark.anyio

PATIENCE = 6.0
"""Half of it is for the answer to a ping: a test that blocks for longer is disconnected, too."""


@asynccontextmanager
async def serving(app: ASGIApp, state: ServerState | None = None) -> AsyncIterator[str]:
    """Serve one application with the protocol alone; yield its address."""
    state = state or ServerState()
    config = uvicorn.Config(app, ws=KeepaliveProtocol, log_config=None, ws_ping_interval=None)
    server = await asyncio.get_running_loop().create_server(
        lambda: KeepaliveProtocol(config, state, {}), "127.0.0.1", 0
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def masked(opcode: int, payload: bytes) -> bytes:
    """Make a client's frame of at most 125 bytes; its mask changes nothing."""
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


PING = masked(0x9, b"p" * 125)
MUCH = 64 << 20
"""Bytes of pings: far more than all buffers together take."""


def flood(plug: socket.socket) -> None:
    """Send requests until no buffer takes any more, and read none of the answers."""
    payload = encode(Ping(0, id="x" * 10_000), binary=False)
    frame = struct.pack(">BBH", 0x81, 0xFE, len(payload)) + bytes(4) + payload
    plug.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        while True:
            plug.sendall(frame)


def subscribers(service: Live, count: int) -> None:
    """Wait until there are this many."""
    service.until(lambda: numbers(service)["mimamba_subscribers", ""] == count)


async def test_one_who_does_not_read_is_cut_off_and_one_who_does_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with live(model="none", patience=PATIENCE) as service:
        async with talk(service.url) as reads:
            listening = asyncio.create_task(reads.farewell())
            behind, idle = upgraded(service.url), upgraded(service.url)
            with behind, idle:
                await asyncio.to_thread(subscribers, service, 3)
                await asyncio.to_thread(flood, behind)
                await asyncio.to_thread(subscribers, service, 1)
            heard = len(reads.heard)
            await asyncio.to_thread(service.until, lambda: len(reads.heard) > heard)
            assert isinstance(reads.heard[-1], Heartbeat)
            told = await asyncio.to_thread(numbers, service)
            listening.cancel()
    assert told["mimamba_errors_total", "stalled"] == 2
    cut = [each for each in caplog.records if each.getMessage() == "client does not read"]
    assert [each.__dict__["peer"] for each in cut] == ["127.0.0.1"] * 2


@pytest.mark.parametrize("direct", [False, True])
async def test_one_who_is_gone_is_written_to_no_more(
    caplog: pytest.LogCaptureFixture, direct: bool
) -> None:
    gone, told = asyncio.Event(), asyncio.Event()

    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await gone.wait()  # its message is not read: so the loop does not see it go
        try:
            for _ in range(20):
                if direct:
                    await scope["state"]["send_frame"](b"news", True)
                else:
                    await send({"type": "websocket.send", "bytes": b"news"})
        finally:
            told.set()

    with caplog.at_level(logging.WARNING):
        async with serving(tell) as url:
            plug = await asyncio.to_thread(upgraded, url)
        plug.sendall(struct.pack(">BBI2s", 0x82, 0x82, 0, b"me"))
        await asyncio.sleep(0.1)
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plug.close()
        gone.set()
        await asyncio.wait_for(told.wait(), LONG)
    assert not caplog.records


async def test_messages_keep_their_order_whether_they_are_taken_at_once_or_wait() -> None:
    taken, ways, end = list[bytes](), set[str](), asyncio.Event()

    def take(message: bytes) -> bool:
        if message[:1] != b"t":
            return False
        ways.add("at once")
        taken.append(message)
        return True

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        scope["state"]["admit"]()
        scope["state"]["give_at_once"](take)
        while (event := await receive())["type"] == "websocket.receive":
            message = event["bytes"] if event.get("bytes") is not None else event["text"].encode()
            ways.add(f"waited: {message[:1].decode()}")
            taken.append(message)
            if message[:1] == b"s":
                await asyncio.sleep(0.001)  # those that come meanwhile wait
        end.set()

    kinds = "ttqtsttqqtst"
    sent = [f"{kinds[n % len(kinds)]}{n}".encode() for n in range(300)]
    async with serving(application) as url, connect(url.replace("http", "ws")) as client:
        for nth, message in enumerate(sent):
            if nth % 50 == 49:
                await client.send(message.decode())  # a text is never taken at once
            elif nth % 7 == 0:
                await client.send([message[:1], message[1:]])
            else:
                await client.send(message)
        await client.close()
        await asyncio.wait_for(end.wait(), LONG)
    assert taken == sent
    assert ways == {"at once", "waited: t", "waited: q", "waited: s"}


def send_until_stuck(plug: socket.socket, limit: int) -> int:
    """Send pings until nothing more is taken for a second; return the bytes that were."""
    plug.settimeout(1)
    sent, block = 0, PING * 64
    with contextlib.suppress(TimeoutError):
        while sent < limit:
            sent += plug.send(block)
    return sent


def send_until_cut_off(plug: socket.socket) -> bool:
    """Send pings and read nothing until the connection is reset; False if that does not happen."""
    plug.settimeout(0.2)
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        try:
            plug.send(PING * 64)
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


async def test_pings_of_one_who_does_not_read_are_not_answered_without_limit() -> None:
    with live(model="none", patience=600) as service, upgraded(service.url) as plug:
        async with talk(service.url) as reads:
            assert await asyncio.to_thread(send_until_stuck, plug, MUCH) < MUCH
            heard = len(reads.heard)
            await reads.find(Heartbeat)
            assert len(reads.heard) > heard


async def test_a_stranger_who_pings_and_never_reads_is_cut_off_when_its_time_is_over() -> None:
    hasty = Limits(auth_seconds=0.5)
    with live(source=[], token=CONTROL, view_token=VIEW, limits=hasty, patience=600) as service:
        with upgraded(service.url) as plug:
            assert await asyncio.to_thread(send_until_cut_off, plug)
        assert numbers(service)["mimamba_refusals_total", "no_token"] == 1


async def test_a_stranger_who_does_not_answer_the_close_is_cut_off() -> None:
    hasty = Limits(auth_seconds=0.2)
    service = live(source=[], token=CONTROL, limits=hasty, patience=600)
    with service as running, upgraded(running.url) as plug:
        plug.settimeout(LONG)
        with contextlib.suppress(ConnectionResetError):
            while await asyncio.to_thread(plug.recv, 4096):
                pass


async def test_a_stranger_may_send_a_token_and_then_a_long_message() -> None:
    with live(source=[], token=CONTROL) as service:
        async with talk(service.url, binary=False) as client:
            await client.say(Auth(CONTROL))
            await client.say(Ping(0, id="x" * 4 * UNKNOWN_BYTES))  # without waiting for hello
            assert len(str((await client.find(Pong)).id)) == 4 * UNKNOWN_BYTES


async def test_a_stranger_may_not_send_a_long_message() -> None:
    with live(source=[], token=CONTROL) as service:
        async with talk(service.url, binary=False) as client:
            await client.socket.send("x" * 2 * UNKNOWN_BYTES)
            assert (await client.farewell()).code == 1009


@pytest.mark.parametrize("admitted", [True, False])
async def test_many_messages_at_once_wait_and_all_come_in_order(admitted: bool) -> None:
    count, waiting = (2000 if admitted else 100), []
    came: list[bytes] = []
    over = asyncio.Event()

    async def receive_all(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if admitted:
            scope["state"]["admit"]()
        protocol = receive.__self__  # type: ignore[attr-defined]
        while len(came) < count:
            came.append((await receive())["bytes"])
            waiting.append(protocol.queue.qsize())
        over.set()

    async with serving(receive_all) as url:
        with await asyncio.to_thread(upgraded, url) as plug:
            sent = [b"%d" % n for n in range(count)]
            plug.sendall(b"".join(masked(0x2, each) for each in sent))
            await asyncio.wait_for(over.wait(), LONG)
    assert came == sent
    assert max(waiting) < (FRAMES if admitted else 1)


async def test_a_slow_reader_gets_the_answer_to_its_newest_ping() -> None:
    full, done = asyncio.Event(), asyncio.Event()

    async def fill(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        scope["state"]["admit"]()
        protocol = receive.__self__  # type: ignore[attr-defined]
        while protocol.writable.is_set():
            await send({"type": "websocket.send", "bytes": bytes(1 << 16)})
            await asyncio.sleep(0)
        full.set()
        await done.wait()

    async with serving(fill) as url:
        with await asyncio.to_thread(upgraded, url) as plug:
            await full.wait()
            plug.sendall(b"".join(masked(0x9, b"%04d" % n) for n in range(100)))
            plug.settimeout(LONG)
            data = b""
            while b"\x8a\x040099" not in data:
                data = data[-8:] + await asyncio.to_thread(plug.recv, 1 << 16)
        done.set()


async def test_a_close_that_is_not_read_ends_in_an_abort() -> None:
    ended = asyncio.Event()

    async def fill_and_close(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with contextlib.suppress(OSError):
            try:
                async with asyncio.timeout(0.5):
                    while True:
                        await send({"type": "websocket.send", "bytes": bytes(1 << 16)})
            except TimeoutError:
                await send({"type": "websocket.close"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        ended.set()

    async with serving(fill_and_close) as url:
        with await asyncio.to_thread(upgraded, url):
            await asyncio.wait_for(ended.wait(), LONG)


async def test_one_who_closes_and_reads_nothing_does_not_stop_the_end_of_the_service() -> None:
    state, gone = ServerState(), asyncio.Event()

    async def fill(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        filling = asyncio.ensure_future(send({"type": "websocket.send", "bytes": bytes(MUCH)}))
        while (await receive())["type"] != "websocket.disconnect":
            pass
        gone.set()
        with contextlib.suppress(OSError):
            await filling

    async with serving(fill, state) as url:
        with await asyncio.to_thread(upgraded, url) as plug:
            plug.sendall(masked(0x8, struct.pack(">H", 1000)))
            await asyncio.wait_for(gone.wait(), LONG)
            (connection,) = state.connections
            assert connection.transport.is_closing()  # it waits for what is not read
            connection.shutdown()
            connection.transport.abort()
            await asyncio.sleep(0)
    assert not state.connections
