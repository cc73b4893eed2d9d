"""Clients without a token get only so much of the service's time; others notice nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

from mimamba.service.http.allowance import MAX_WAIT
from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import Hello
from mimamba.service.server.acceptor import ConnectionLimits
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import PATIENCE, Live, bearer, live, talk
from tests.service.server.test_acceptor import is_closed, lines, plugged
from tests.service.sessions.test_injection import upgraded

pytestmark = pytest.mark.anyio

BURST = 100
"""Requests without a token that an address may make at once."""


@contextmanager
def flooded(service: Live, request: bytes, count: int = 8) -> Iterator[Counter[bytes]]:
    """Have strangers ask again as soon as they are answered; yield their answers' status lines."""
    over, answers = threading.Event(), Counter[bytes]()

    def ask() -> None:
        while not over.is_set():
            with suppress(OSError), plugged(service) as plug:
                plug.settimeout(PATIENCE)
                open_.add(plug)
                while not over.is_set():
                    plug.sendall(request)
                    answer = plug.recv(1 << 16)
                    if not answer:
                        break
                    if answer.startswith(b"HTTP/"):  # its body may come later
                        answers[answer.split(b"\r\n")[0]] += 1

    open_: set[socket.socket] = set()
    threads = [threading.Thread(target=ask) for _ in range(count)]
    for each in threads:
        each.start()
    try:
        yield answers
    finally:
        over.set()
        for plug in list(open_):
            with suppress(OSError):
                plug.shutdown(socket.SHUT_RDWR)
        for each in threads:
            each.join()


def limited(service: Live) -> int:
    """How often a stranger had to wait."""
    errors: Counter[str] = service.server._app.state.running.hub.counters.errors
    return errors["limited_request"]


def get(head: str = "", path: str = "/v1/sessions") -> bytes:
    """Write a request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode()


FLOODS = {
    "no token": get(),
    "a wrong token": get("Authorization: Bearer wrong-token-wrong-token\r\n"),
    "a wrong cookie": get("Cookie: mimamba-1=x\r\n"),
    "no path": get(path="/nothing"),
    "health": get(path="/healthz"),
    "the page": get(path="/"),
    "another host": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "HEAD": b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "OPTIONS": b"OPTIONS /v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a wrong login": b"POST /v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}",
    "churn": get("Connection: close\r\n"),
}


@pytest.mark.parametrize("request_", FLOODS.values(), ids=FLOODS)
def test_a_flood_is_answered_at_the_allowed_rate_while_a_token_is_served_at_once(
    request_: bytes,
) -> None:
    with (
        live(source=[], token=CONTROL) as service,
        httpx.Client(base_url=service.url, timeout=PATIENCE, verify=False) as known,
    ):
        known.post("/v1/login", json={"token": CONTROL})
        began = time.monotonic()
        with flooded(service, request_) as answers:
            service.until(lambda: limited(service) >= 9)
            for _ in range(30):
                shown = known.get("/v1/sessions", headers={"Connection": "close"})
                assert shown.status_code == 200
            service.until(lambda: answers[b"HTTP/1.1 429 Too Many Requests"] >= 3)
            took = time.monotonic() - began
            assert answers.total() <= BURST + 10 * took + 10


def test_one_who_is_refused_hears_when_to_try_again_and_is_closed() -> None:
    with live(source=[], token=CONTROL) as service, plugged(service) as plug:
        with httpx.Client(base_url=service.url, timeout=PATIENCE, verify=False) as http:
            found = [http.get("/v1/sessions") for _ in range(BURST + 1)]
            while found[-1].status_code == 401:
                found.append(http.get("/v1/sessions"))
        last = found[-1]
        assert last.status_code == 429
        assert last.headers["retry-after"] == "1"
        assert last.headers["connection"] == "close"
        assert last.headers["content-type"] == "application/problem+json"
        assert "without a valid token" in last.json()["detail"]
        plug.sendall(get())
        assert is_closed(plug)


def test_where_no_token_is_needed_nothing_is_limited() -> None:
    with live(source=[]) as service:
        found = Counter(service.http.get("/healthz").status_code for _ in range(3 * BURST))
        assert found == {200: 3 * BURST}


def test_those_with_a_token_or_a_login_are_not_limited() -> None:
    with live(source=[], token=CONTROL, view_token=VIEW) as service:
        found = Counter(service.http.get("/metrics").status_code for _ in range(2 * BURST))
        with httpx.Client(base_url=service.url, timeout=PATIENCE, verify=False) as browser:
            assert browser.post("/v1/login", json={"token": VIEW}).status_code == 200
            found.update(browser.get("/").status_code for _ in range(2 * BURST))
        # One who may not do this is known all the same.
        with httpx.Client(
            base_url=service.url, headers=bearer(VIEW), timeout=PATIENCE, verify=False
        ) as viewer:
            found.update(viewer.post("/v1/sources").status_code for _ in range(2 * BURST))
        assert found == {200: 4 * BURST, 403: 2 * BURST}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_another_address_is_not_limited() -> None:
    with live(source=[], token=CONTROL) as service, flooded(service, get()):
        service.until(lambda: limited(service) >= 8)
        with plugged(service, "127.0.0.2") as plug:
            plug.sendall(get())
            assert plug.recv(12) == b"HTTP/1.1 401"


def test_a_proxy_s_clients_are_limited_one_by_one() -> None:
    with (
        live(source=[], token=CONTROL, trusted_proxy=["127.0.0.1"]) as service,
        flooded(service, get("X-Forwarded-For: 203.0.113.1\r\n")),
    ):
        service.until(lambda: limited(service) >= 8)
        other = {"X-Forwarded-For": "203.0.113.2"}
        answer = httpx.get(
            f"{service.url}/v1/sessions", headers=other, timeout=PATIENCE, verify=False
        )
        assert answer.status_code == 401


async def test_a_token_that_follows_an_upgrade_is_heard_during_a_flood_of_requests() -> None:
    with live(source=[], token=CONTROL) as service, flooded(service, get()):
        await asyncio.to_thread(service.until, lambda: limited(service) >= 8)
        async with talk(service.url) as client:
            await client.say(Auth(CONTROL))
            assert (await client.find(Hello, lambda each: each.scope is not None)).scope


async def test_upgrades_whose_token_follows_are_not_limited() -> None:
    with live(source=[], token=CONTROL) as service:
        for _ in range(2 * BURST):
            async with talk(service.url) as client:
                await client.say(Auth(CONTROL))
                await client.find(Hello, lambda each: each.scope is not None)
        assert not limited(service)


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)


def test_upgrades_without_a_token_are_limited() -> None:
    with live(source=[], token=CONTROL) as service, ExitStack() as all_:

        def upgrade() -> None:
            plug = all_.enter_context(plugged(service))
            plug.sendall(get(UPGRADE, "/v1/stream"))

        for _ in range(BURST):
            upgrade()
        service.until(lambda: limited(service) >= BURST // 4)
        assert service.http.get("/v1/sessions").status_code == 200


def test_held_connections_make_room_for_others() -> None:
    limits = ConnectionLimits(20, 20, PATIENCE)
    with live(source=[], token=CONTROL, connections=limits) as service, ExitStack() as all_:
        for _ in range(BURST + round(MAX_WAIT) * 10):
            with plugged(service) as plug:
                plug.sendall(get())
        plugs = [all_.enter_context(plugged(service)) for _ in range(30)]
        for plug in plugs:
            with suppress(OSError):
                plug.sendall(get())

        def served() -> bool:
            with suppress(httpx.TransportError):
                return service.http.get("/v1/sessions").status_code == 200
            return False

        service.until(served)


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET /\r\n\r\n"])
def test_what_is_no_request_is_limited_and_not_logged(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with live(source=[], token=CONTROL) as service:
        errors = service.server._app.state.running.hub.counters.errors
        with flooded(service, garbage) as answers:
            service.until(lambda: errors["invalid_request"] >= BURST + 20)
            assert service.http.get("/v1/sessions").status_code == 200
            assert answers.total() <= errors["invalid_request"]
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) <= 1


@pytest.mark.parametrize("before", [b"", get(), get() + get()])
def test_a_head_that_is_too_long_is_refused(before: bytes) -> None:
    with live(source=[], token=CONTROL) as service, plugged(service) as plug:
        plug.sendall(before + get(f"Cookie: {'x' * 8000}\r\n") + get(f"Cookie: {'x' * 60_000}\r\n"))
        plug.settimeout(PATIENCE)
        answers = b""
        while part := plug.recv(1 << 16):
            answers += part
        assert answers.count(b"HTTP/1.1 401") == before.count(b"GET") + 1
        assert b"HTTP/1.1 400 Bad Request" in answers
        assert b"The head of the request is too long." in answers


def test_a_long_head_counts_as_several_requests() -> None:
    with live(source=[], token=CONTROL) as service:
        long = {"X-Long": "x" * 12_000}
        with httpx.Client(
            base_url=service.url, headers=long, timeout=PATIENCE, verify=False
        ) as http:
            found = Counter(http.get("/healthz").status_code for _ in range(BURST // 2))
        assert found[429] >= 1


BAD_UPGRADES = {
    "no key": "Upgrade: websocket\r\nConnection: Upgrade\r\n",
    "a body": UPGRADE + "Content-Length: 5\r\n",
    "many headers": UPGRADE + "".join(f"X{n}: y\r\n" for n in range(200)),
    "a long header": UPGRADE + f"X: {'x' * 9000}\r\n",
}


@pytest.mark.parametrize("head", BAD_UPGRADES.values(), ids=BAD_UPGRADES)
def test_an_upgrade_that_is_not_valid_is_answered_closed_and_limited(
    head: str, caplog: pytest.LogCaptureFixture
) -> None:
    with live(source=[], token=CONTROL) as service:
        with plugged(service) as plug:
            plug.sendall(get(head, "/v1/stream"))
            assert plug.recv(10) == b"HTTP/1.1 4"
            assert is_closed(plug)
        errors = service.server._app.state.running.hub.counters.errors
        with flooded(service, get(head, "/v1/stream")):
            service.until(lambda: errors["invalid_request"] >= BURST + 20)
            assert service.http.get("/v1/sessions").status_code == 200
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) <= 1


def test_text_that_is_none_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with live(source=[], token=CONTROL) as service, upgraded(service.url) as plug:
        plug.sendall(b"\x81\x82\0\0\0\0\xff\xfe")
        assert is_closed(plug)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_one_line_tells_of_all(caplog: pytest.LogCaptureFixture) -> None:
    with live(source=[], token=CONTROL) as service, flooded(service, get()):
        service.until(lambda: bool(lines(caplog)))
    (line,) = lines(caplog)
    assert "limited_request" in line.__dict__["reason"]
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == [line]


def test_a_held_request_ends_with_the_service() -> None:
    with live(source=[], token=CONTROL) as service, ExitStack() as all_:
        for _ in range(2 * BURST):
            plug = all_.enter_context(plugged(service))
            plug.sendall(get())
        service.until(lambda: limited(service) >= BURST // 2)
