"""Clients that stop reading are disconnected, with all frames that wait; others stay."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from mimamba.service.protocol.messages import Heartbeat, Ping, encode
from mimamba.service.stream.stalled_clients import KeepaliveProtocol
from tests.service.live import Live, live, talk
from tests.service.server.test_prometheus import numbers
from tests.service.sessions.test_injection import upgraded

pytestmark = pytest.mark.anyio

PATIENCE = 6.0
"""Half of it is for the answer to a ping: a test that blocks for longer is disconnected, too."""


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


async def test_one_who_is_gone_is_written_to_no_more(caplog: pytest.LogCaptureFixture) -> None:
    gone, told = asyncio.Event(), asyncio.Event()

    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await gone.wait()  # its message is not read: so the loop does not see it go
        try:
            for _ in range(20):
                await send({"type": "websocket.send", "bytes": b"news"})
        finally:
            told.set()

    config = uvicorn.Config(tell, ws=KeepaliveProtocol, log_config=None)
    server = await asyncio.get_running_loop().create_server(
        lambda: KeepaliveProtocol(config, ServerState(), {}), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    with caplog.at_level(logging.WARNING):
        plug = await asyncio.to_thread(upgraded, f"http://127.0.0.1:{port}")
        plug.sendall(struct.pack(">BBI2s", 0x82, 0x82, 0, b"me"))
        await asyncio.sleep(0.1)
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plug.close()
        gone.set()
        await asyncio.wait_for(told.wait(), 10)
    server.close()
    assert not caplog.records
