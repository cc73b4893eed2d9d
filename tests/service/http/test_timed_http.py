"""A connection knows how long it has waited for its client, and for what."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from mimamba.service.http.timed_http import PROGRESS, READ_SECONDS, TimedHTTPProtocol

pytestmark = pytest.mark.anyio

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"


@asynccontextmanager
async def connected(app: ASGIApp) -> AsyncIterator[tuple[socket.socket, TimedHTTPProtocol]]:
    """Connect a bare socket to an application; yield it, and its connection on the other side."""
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    made: list[TimedHTTPProtocol] = []

    def make() -> TimedHTTPProtocol:
        made.append(TimedHTTPProtocol(config, ServerState(), {}))
        return made[0]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as plug:
        plug.setblocking(False)
        await until(lambda: bool(made) and made[0].transport is not None)
        yield plug, made[0]
    server.close()
    made[0].transport.abort()
    await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that must come true."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def read_all(_: Scope, receive: Receive, send: Send) -> None:
    """Read a body, then answer."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def overdue(connection: TimedHTTPProtocol, *times: float) -> list[bool]:
    """Ask at these times, where 10 s are allowed."""
    return [connection.is_overdue(now, 10) for now in times]


async def test_a_head_has_a_time_in_all() -> None:
    async with connected(read_all) as (plug, connection):
        assert connection.idle
        assert overdue(connection, 0, 9) == [False, False]
        plug.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * PROGRESS)
        await until(lambda: connection.is_overdue(10, 10))
        plug.sendall(b"\r\nHost: a\r\n\r\n")
        await until(lambda: not connection.is_overdue(11, 10))  # answered; the next may come
        assert overdue(connection, 20, 21) == [False, True]


async def test_a_body_must_make_progress() -> None:
    async with connected(read_all) as (plug, connection):
        plug.sendall(POST)
        await until(lambda: not connection.idle)
        assert overdue(connection, 0, 9, 10) == [False, False, True]
        plug.sendall(b"x" * PROGRESS)
        await until(lambda: not connection.is_overdue(10, 10))
        plug.sendall(b"x" * (PROGRESS - 1))  # too little
        await asyncio.sleep(0.1)
        assert overdue(connection, 19, 20) == [False, True]


async def test_a_body_that_the_application_does_not_take_is_not_the_client_s_fault() -> None:
    over = asyncio.Event()

    async def wait(_: Scope, __: Receive, send: Send) -> None:
        await over.wait()
        await read_all({}, __, send)

    async with connected(wait) as (plug, connection):
        plug.sendall(POST + b"x" * 100_000)
        await until(lambda: connection.flow is not None and connection.flow.read_paused)
        assert overdue(connection, 0, 1000) == [False, False]
        over.set()


async def test_an_answer_that_is_not_read_is_overdue_later() -> None:
    async def write(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
            await asyncio.sleep(0)

    async with connected(write) as (plug, connection):
        plug.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: connection.flow.write_paused)
        assert overdue(connection, 0, READ_SECONDS - 1, READ_SECONDS) == [False, False, True]
