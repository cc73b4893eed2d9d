"""Connections that idle are closed, and never take all descriptors; others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mimamba.service.http.allowance import Allowance, Rate
from mimamba.service.http.timed_http import PROGRESS
from mimamba.service.protocol.messages import Heartbeat
from mimamba.service.server.acceptor import MOST, Accepted, ConnectionLimits, default_limits
from mimamba.service.server.app import Limits
from tests.service.auth.test_tokens import CONTROL
from tests.service.certificates import make_certificate
from tests.service.forked import LoadedProgram
from tests.service.live import PATIENCE, Live, live, talk
from tests.service.server.test_prometheus import numbers
from tests.service.sessions.test_injection import upgraded

HASTY = ConnectionLimits(1000, 1000, 0.5)
HEAD = b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def plugged(service: Live, source: str = "127.0.0.1") -> socket.socket:
    """Connect, from one of this machine's addresses, and send nothing."""
    port = urlsplit(service.url).port or 0
    plug = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return plug


def is_closed(plug: socket.socket) -> bool:
    """Read until the service closes the connection; False if that does not happen."""
    plug.settimeout(PATIENCE)
    try:
        while plug.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def wait_until_counted(service: Live) -> None:
    """Wait until the one idle connection is counted.

    The counter is read where it is: on a busy machine a request's own connection might idle, too.
    """
    errors = service.server._app.state.running.hub.counters.errors
    service.until(lambda: errors["idle_connection"] > 0)
    assert errors["idle_connection"] == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ",
        HEAD + b"Content-Length: 100\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_one_who_sends_no_more_is_closed(sent: bytes) -> None:
    with live(source=[], connections=HASTY) as service, plugged(service) as plug:
        plug.sendall(sent)
        assert is_closed(plug)
        wait_until_counted(service)


def trickles(plug: socket.socket, first: bytes, drop: bytes) -> bool:
    """Send a byte now and then; return whether the service closes the connection."""
    plug.sendall(first)
    plug.settimeout(0.1)
    for _ in range(round(PATIENCE / 0.1)):
        try:
            plug.sendall(drop)
            if not plug.recv(1):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 9999\r\n\r\n"]
)
def test_one_who_sends_a_byte_now_and_then_is_closed(first: bytes) -> None:
    with live(source=[], connections=HASTY) as service, plugged(service) as plug:
        assert trickles(plug, first, b"x")


def test_a_tls_handshake_that_does_not_come_is_closed(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with (
        live(source=[], connections=HASTY, trust=made.trust(), **made.settings()) as service,
        plugged(service) as plug,
    ):
        assert is_closed(plug)
        wait_until_counted(service)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_one_address_begins_only_some_tls_handshakes(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)

    def hello(source: str, patience: float = PATIENCE) -> ssl.SSLSocket:
        plug = plugged(service, source)
        plug.settimeout(patience)
        return made.trust().wrap_socket(plug, server_hostname="127.0.0.1")

    with live(source=[], trust=made.trust(), **made.settings()) as service:
        service.server._app.state.strangers.handshakes = Allowance(Rate(2, 0.01))
        for _ in range(2):
            hello("127.0.0.2").close()
        with pytest.raises(TimeoutError):
            hello("127.0.0.2", 0.5)
        hello("127.0.0.3").close()


def test_a_connection_without_requests_makes_room_for_one_with(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        live(source=[], connections=ConnectionLimits(20, 20, PATIENCE)) as service,
        ExitStack() as all_,
    ):
        plugs = [all_.enter_context(plugged(service)) for _ in range(60)]
        assert (
            httpx.get(f"{service.url}/healthz", timeout=PATIENCE, verify=False).status_code == 200
        )
        assert is_closed(plugs[0])
        assert numbers(service)["mimamba_errors_total", "evicted_connection"] >= 40
        service.until(lambda: bool(lines(caplog)))
    (line,) = lines(caplog)
    assert line.levelno == logging.WARNING
    assert "evicted_connection" in line.__dict__["reason"]


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Lines of the operator's log about connections."""
    return [each for each in caplog.records if each.getMessage() == "connections were closed"]


@pytest.mark.anyio
async def test_subscribers_make_no_room_for_others() -> None:
    with live(model="none", connections=ConnectionLimits(4, 4, PATIENCE)) as service:
        async with contextlib.AsyncExitStack() as all_:
            readers = [await all_.enter_async_context(talk(service.url)) for _ in range(3)]
            for each in readers:
                await each.find(Heartbeat)
            plugs = [await asyncio.to_thread(plugged, service) for _ in range(20)]
            for each in readers:
                await each.find(Heartbeat)
            for plug in plugs:
                plug.close()


@pytest.mark.anyio
async def test_strangers_make_room_for_those_with_a_token() -> None:
    slow = Limits(auth_seconds=600)
    with (
        live(
            source=[], token=CONTROL, limits=slow, connections=ConnectionLimits(10, 10, PATIENCE)
        ) as service,
        ExitStack() as all_,
    ):
        for _ in range(10):
            all_.enter_context(await asyncio.to_thread(upgraded, service.url))
        answer = await asyncio.to_thread(service.http.get, "/v1/sessions")
        assert answer.status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_one_address_does_not_take_the_room_of_another() -> None:
    def subscribe(source: str) -> socket.socket:
        plug = plugged(service, source)
        plug.sendall(
            b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        return plug

    limits = ConnectionLimits(100, 5, PATIENCE)
    with live(model="none", connections=limits) as service, ExitStack() as all_:
        plugs = [all_.enter_context(subscribe("127.0.0.2")) for _ in range(5)]
        assert all(each.recv(12) == b"HTTP/1.1 101" for each in plugs)
        service.until(lambda: numbers(service)["mimamba_subscribers", ""] == 5)
        assert is_closed(all_.enter_context(plugged(service, "127.0.0.2")))
        assert all_.enter_context(subscribe("127.0.0.3")).recv(12) == b"HTTP/1.1 101"
        assert numbers(service)["mimamba_errors_total", "refused_connection"] == 1


@pytest.mark.anyio
async def test_one_who_does_not_take_the_rest_before_the_end_is_overdue() -> None:
    loop, made = asyncio.get_running_loop(), asyncio.Event()
    transports: list[asyncio.Transport] = []

    class WriteAndClose(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.write(bytes(1 << 26))
            transport.close()
            transports.append(transport)
            made.set()

    server = await loop.create_server(WriteAndClose, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as plug:
        await made.wait()
        task: asyncio.Task[asyncio.Transport] = loop.create_task(asyncio.sleep(0, transports[0]))
        closing = Accepted("127.0.0.1", False, task, transports[0])
        assert [closing.is_overdue(now, 10) for now in (0, 9, 10)] == [False, False, True]
        left = transports[0].get_write_buffer_size()
        plug.setblocking(False)
        while transports[0].get_write_buffer_size() > left - PROGRESS:
            await loop.sock_recv(plug, 1 << 16)
        assert [closing.is_overdue(now, 10) for now in (10, 19, 20)] == [False, False, True]
        closing.abort()
    server.close()


@pytest.mark.anyio
async def test_a_tls_connection_that_was_closed_twice_is_left_to_asyncio(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    found: asyncio.Future[tuple[bool, bool]] = loop.create_future()

    class CloseTwice(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.close()
            transport.close()  # after this, asyncio's transport raises AttributeError
            task: asyncio.Task[asyncio.Transport] = loop.create_task(asyncio.sleep(0, transport))
            closing = Accepted("127.0.0.1", True, task, transport)
            found.set_result((closing.idle, closing.is_overdue(0, 10)))

    server = await loop.create_server(CloseTwice, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=made.trust())
        writer.transport.abort()
    assert await asyncio.wait_for(found, PATIENCE) == (False, False)
    server.close()


@pytest.mark.parametrize(
    ("descriptors", "total", "per_address"),
    [(64, 32, 16), (256, 128, 64), (1024, 768, 384), (20_000, MOST, MOST // 2), (1, 1, 1)],
)
def test_limits_leave_descriptors(descriptors: int, total: int, per_address: int) -> None:
    limits = default_limits(descriptors)
    assert (limits.total, limits.per_address) == (total, per_address)


SERVICE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from mimamba.service.cli.main import main
main()
"""


def test_a_service_with_few_descriptors_records_while_many_idle(
    tmp_path: Path, loaded: LoadedProgram
) -> None:
    """256 descriptors, and more idle connections than that."""
    command = ["serve", "--port", "0", "--model", "none", "--data-dir", str(tmp_path)]
    said: list[str] = []
    with loaded.start(*command, "--log-format", "json", code=SERVICE) as process:
        assert process.stderr
        for line in process.stderr:
            said.append(line)
            if '"serving"' in line:
                break
        url = json.loads(said[-1])["address"].rstrip("/")
        with (
            httpx.Client(base_url=url, timeout=PATIENCE, verify=False) as http,
            ExitStack() as all_,
        ):
            address = ("127.0.0.1", urlsplit(url).port or 0)
            for _ in range(400):
                all_.enter_context(socket.create_connection(address, PATIENCE))
            new = {"session": "simulate-1", "name": "kept"}
            assert http.get("/healthz").status_code == 200
            assert http.post("/v1/recordings", json=new).status_code == 201
            assert http.post("/v1/recordings/kept/stop").json()["state"] == "finished"
        while "connections were closed" not in said[-1]:
            said.append(process.stderr.readline())
        process.terminate()
        said += process.stderr.read().splitlines()
        process.wait(PATIENCE)
    assert sum("connections were closed" in each for each in said) == 1
    assert not any("raceback" in each for each in said)
