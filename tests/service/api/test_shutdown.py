"""The end of a service, in a process of its own: files first, in time, whatever hangs."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGINT
from typing import IO, Any
from urllib.parse import urlsplit

import httpx
import pytest
import pyxdf
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mimamba.drivers.discovery.discover import Sources, discover_sources
from mimamba.drivers.replay.driver import ReplayDriver
from mimamba.service.api.shutdown import Shutdown
from mimamba.service.client.client import stream_url
from mimamba.service.http.shutting_down import DETAIL
from mimamba.service.protocol.messages import Position, Subscribe
from mimamba.service.server.app import Limits
from tests.service.forked import LoadedProgram
from tests.service.live import live, talk
from tests.service.muse_recordings import write_muse

pytestmark = pytest.mark.anyio

LONGEST = 60
HANGING = """
import os, threading
import mimamba.drivers.replay.driver, mimamba.service.api.shutdown, mimamba.service.server.server
from mimamba.service.cli.main import main

def when_told(sig):
    os.read(0, 1)
    give_up(sig)

mimamba.drivers.replay.driver.ReplayDriver.__exit__ = lambda *_: threading.Event().wait()
mimamba.service.api.shutdown.RECORDINGS_SECONDS = 60
mimamba.service.api.shutdown.SESSIONS_SECONDS = mimamba.service.server.server.LAST_SECONDS = 0.5
give_up, mimamba.service.server.server._give_up = mimamba.service.server.server._give_up, when_told
main()
"""
"""A service whose recordings, once played, are never left; its last second is over when it reads
something, however slow this machine is."""


def read_until(lines: IO[str], *events: str) -> list[dict[str, Any]]:
    """Read a service's log until it has all these events, in any order."""
    logged: list[dict[str, Any]] = []
    while Counter(events) - Counter(each["event"] for each in logged):
        logged.append(json.loads(lines.readline()))
    return logged


async def test_two_interrupts_leave_files_whole_though_a_driver_and_a_client_hang(
    tmp_path: Path, loaded: LoadedProgram
) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=60)
    sources = ["--source", "simulate://", "--source", str(path), "--model", "none"]
    with loaded.start(
        *("serve", "--port", "0", "--log-format", "json", *sources),
        code=HANGING,
        environment={**os.environ, "MIMAMBA_DATA_DIR": str(tmp_path / "data")},
    ) as process:
        assert process.stderr is not None
        told = read_until(process.stderr, "session opened", "session opened", "serving")
        url = next(each["address"] for each in told if each["event"] == "serving")
        new = {"session": "simulate-1", "name": "kept", "person": "Ada", "notes": "tired"}
        begun = httpx.post(f"{url}v1/recordings", json=new, timeout=LONGEST, verify=False)
        assert begun.status_code == 201
        async with talk(url, narrow=True) as client:  # it reads nothing any more
            for session in ("simulate-1", "replay-2"):
                await client.say(Subscribe(session, ["signal"], Position("")))
            for _ in range(2):
                process.send_signal(SIGINT)
            told = read_until(process.stderr, "session ended")
            rest = process.communicate("!", timeout=LONGEST)[1]
            client.socket.transport.abort()  # to take leave would take long, with so much unread
    told += [json.loads(line) for line in rest.splitlines()]
    assert not re.search("Ada|tired", json.dumps(told))
    events = [each["event"] for each in told]
    assert process.returncode == 130
    assert events.index("recording finished") < events.index("session ended")
    assert any(each.get("worker") == "session replay-2" for each in told)
    sidecar = json.loads((tmp_path / "data" / "kept.json").read_text())
    assert sidecar["state"] == "finished"
    streams, _ = pyxdf.load_xdf(str(tmp_path / "data" / "kept.xdf"))
    assert all("footer" in stream for stream in streams)


ROUNDS = 8
SESSIONS = 6
SLOW_BODY = b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"
"""A request whose body never comes whole."""


def asked_on(url: str, collected: list[httpx.Response]) -> None:
    """Ask for each session, again and again, until nobody answers any more."""
    with (
        suppress(httpx.TransportError),
        httpx.Client(base_url=url, timeout=LONGEST, verify=False) as http,
    ):
        paths = (f"/v1/sessions/simulate-{n % SESSIONS + 1}" for n in itertools.count())
        collected.extend(map(http.get, paths))  # which keeps what came before the error


def test_while_it_ends_all_is_answered_or_told_of_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    collected: list[httpx.Response] = []
    for _ in range(ROUNDS):
        with live(*["simulate://"] * SESSIONS, model="none") as service:
            service.opened(*(f"simulate-{n}" for n in range(1, SESSIONS + 1)))
            asking = [
                threading.Thread(target=asked_on, args=(service.url, collected)) for _ in range(4)
            ]
            for each in asking:
                each.start()
        for each in asking:
            each.join(LONGEST)
    assert {each.status_code for each in collected} <= {200, 503}
    refused = [each for each in collected if each.status_code == 503]
    assert all(each.json()["detail"] == DETAIL for each in refused)
    assert all(each.headers["connection"] == "close" for each in refused)
    assert all(each.headers["content-type"] == "application/problem+json" for each in refused)
    assert [each for each in caplog.records if each.exc_info] == []


def answer_of(plug: socket.socket) -> bytes:
    """All that comes until the service closes the connection."""
    return b"".join(iter(lambda: plug.recv(65536), b""))


def test_what_is_under_way_when_it_ends_is_told_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = threading.Event(), threading.Event()

    def long_scan(_: float) -> Sources:
        begun.set()
        assert over.wait(LONGEST)
        return discover_sources(0.1)

    monkeypatch.setattr("mimamba.service.api.sources.discover_sources", long_scan)
    opening = json.dumps({"source": "lsl://?name=nowhere&timeout=60"}).encode()
    head = b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    requests = [
        SLOW_BODY,
        head + b"Content-Length: %d\r\n\r\n%s" % (len(opening), opening),
        b"POST /v1/sources HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ]
    plugs = []
    with live(data_dir=tmp_path) as service:
        for request in requests:
            plug = socket.create_connection(("127.0.0.1", urlsplit(service.url).port or 0))
            plug.settimeout(LONGEST)
            plug.sendall(request)
            plugs.append(plug)
        service.until(lambda: len(service.sessions()) == 1)
        assert begun.wait(LONGEST)
        service.end()
        answers = [answer_of(plug).lower() for plug in plugs]
        over.set()
    for plug, answer in zip(plugs, answers, strict=True):
        plug.close()
        assert answer.startswith(b"http/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in answer
        assert DETAIL.lower().encode() in answer
        assert b"\r\nx-content-type-options: nosniff\r\n" in answer
    assert [each for each in caplog.records if each.exc_info] == []


def test_who_does_not_read_is_cut_off_at_the_end() -> None:
    asking = b"GET /v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.socket() as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        with live(model="none") as service:
            plug.connect(("127.0.0.1", urlsplit(service.url).port))
            plug.sendall(8 * asking)  # more than fits into what lies between
            assert plug.recv(1, socket.MSG_PEEK)
        assert not service.server.server_state.connections


def test_who_comes_in_the_very_moment_of_the_end_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ended(end: Shutdown) -> None:
        await whole(end)
        plug.connect_ex(address)  # at the first of its calls; the kernel takes it
        for _ in range(2):  # the loop accepts it, but its transport is not made yet
            await asyncio.sleep(0)

    whole = Shutdown.__call__
    monkeypatch.setattr(Shutdown, "__call__", ended)
    with socket.socket() as plug:
        with live(model="none") as service:
            address = ("127.0.0.1", urlsplit(service.url).port)
        plug.settimeout(LONGEST)
        assert answer_of(plug) == b""
    gc.collect()  # a transport that was left open warns of it, and fails the test


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until it is set, no recording that is played is left, so that its service goes on ending."""
    held = threading.Event()
    monkeypatch.setattr(ReplayDriver, "__exit__", lambda *_: held.wait(LONGEST))
    yield held
    held.set()


async def test_while_it_ends_only_health_is_answered_as_ever(
    tmp_path: Path, held: threading.Event
) -> None:
    muse = write_muse(tmp_path / "muse.csv", 6)
    limits = Limits(sessions_seconds=LONGEST)  # however slow this machine is
    with live(f"replay://{muse}?hold=1", limits=limits, model="none") as service:
        service.opened("replay-1")
        service.end()
        service.until(lambda: service.http.get("/readyz").status_code == 503)
        assert service.http.get("/readyz").json()["detail"] == "The service is shutting down."
        assert service.http.get("/healthz").json()["status"] == "ok"
        assert "mimamba_sessions" in service.http.get("/metrics").text
        for path in ("/", "/v1/sessions/replay-1", "/v1/sessions/nobody", "/assets/part.js"):
            answer = service.http.get(path)
            assert (answer.status_code, answer.json()["detail"]) == (503, DETAIL)
            kept = "no-store" if path.startswith("/v1/") else "no-cache"
            assert answer.headers["cache-control"] == kept
        assert service.http.post("/v1/recordings", content=b"{").status_code == 503
        with pytest.raises(InvalidStatus) as refused:
            await connect(stream_url(service.url))
        assert refused.value.response.status_code == 503
        held.set()
