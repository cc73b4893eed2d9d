"""Faults put into a running service: the others go on, and the cause is reported."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import pytest
import torch

import mimamba.service.sessions.registry
from mimamba.drivers.driver import Chunk
from mimamba.drivers.formats.xdf.chunk_writer import XDFWriter
from mimamba.drivers.replay.driver import ReplayDriver
from mimamba.drivers.simulator.driver import SimulateDriver
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.service.monitoring.logging import log_thread_death
from mimamba.service.protocol.messages import (
    LinkMessage,
    Ping,
    Pong,
    Position,
    PredictionMessage,
    SessionState,
    Subscribe,
)
from tests.service.live import Live, Talk, live, talk
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import write_muse
from tests.service.server.test_prometheus import numbers

pytestmark = pytest.mark.anyio

HEALTHY = "simulate://"

Made: TypeAlias = tuple[Chunk | None, float]
"""What a paced driver makes."""


@pytest.fixture(autouse=True)
def _threads_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hook as in ``mimamba serve``; pytest's own would count each dead thread as a failed test."""
    monkeypatch.setattr(threading, "excepthook", log_thread_death)


@asynccontextmanager
async def watching(service: Live, session: str) -> AsyncIterator[Talk]:
    """A client that follows a session from its start."""
    async with talk(service.url) as client:
        await client.say(Subscribe(session, ["prediction", "link"], Position("")))
        yield client


async def goes_on(service: Live, session: str = "simulate-1") -> None:
    """Fail unless a session still sends predictions to a new client."""
    async with talk(service.url) as client:
        await client.say(Subscribe(session, ["prediction"]))
        await client.find(PredictionMessage)


def raising(
    iterate: Callable[..., Iterator[Chunk]], error: Exception, times: int
) -> Callable[..., Iterator[Chunk]]:
    """A driver's iteration that raises after three chunks, this often, for channels a, b, ..."""
    left = [times]

    def iterate_and_raise(driver: SimulateDriver | ReplayDriver) -> Iterator[Chunk]:
        for n, chunk in enumerate(iterate(driver)):
            if n == 3 and driver.info.ch_names[0] == "a" and left[0]:
                left[0] -= 1
                raise error
            yield chunk

    return iterate_and_raise


def raising_once(make: Callable[..., Made], error: Exception) -> Callable[..., object]:
    """A paced driver's ``make`` that raises once, after three chunks, for channels a, b, ..."""
    made = [0]

    def make_and_raise(driver: SimulateDriver, now: float) -> Made:
        found = make(driver, now)
        if found[0] is not None and driver.info.ch_names[0] == "a":
            made[0] += 1
            if made[0] == 4:
                raise error
        return found

    return make_and_raise


async def test_a_session_s_thread_that_dies_and_a_driver_that_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_muse(tmp_path / "muse.csv", seconds=60)
    died, raised = ZeroDivisionError("no such luck"), KeyError("a bug of the vendor's")
    monkeypatch.setattr(ReplayDriver, "__iter__", raising(ReplayDriver.__iter__, died, 1))
    monkeypatch.setattr(SimulateDriver, "make", raising_once(SimulateDriver.make, raised))
    random_checkpoint(tmp_path)
    model = str(tmp_path / "random.safetensors")
    with live(HEALTHY, model=model, files=tmp_path) as service:
        service.opened("simulate-1")
        async with talk(service.url) as client:
            for name, source in (("dies", "replay://muse.csv"), ("raises", HEALTHY)):
                new = {"source": f"{source}?names=a,b,c,d", "id": name, "model": "none"}
                answer = await asyncio.to_thread(service.http.post, "/v1/sessions", json=new)
                assert answer.status_code == 201, answer.text
            ended = await client.find(SessionState, lambda each: each.state == "ended")
            assert ended.session == "dies"
            assert "internal error" in (ended.reason or "")
        async with watching(service, "raises") as client:
            lost = await client.find(LinkMessage, lambda each: each.event == "lost")
            assert "KeyError" in lost.detail
            assert "a bug of the vendor's" in lost.detail
            await client.find(LinkMessage, lambda each: each.event == "connected")
        await goes_on(service)
        told = numbers(service)
        assert told["mimamba_errors_total", "InternalError"] == 1
        assert told["mimamba_links_lost_total", "raises"] == 1
        assert told["mimamba_sessions", "ended"] == 1
        assert told["mimamba_sessions", "open"] == 2
    (record,) = [each for each in caplog.records if each.getMessage() == "a thread died"]
    assert record.__dict__["worker"] == "session dies"
    assert record.exc_info is not None
    assert record.exc_info[1] is died
    (record,) = [each for each in caplog.records if each.getMessage() == "link lost"]
    assert record.__dict__["session"] == "raises"
    assert "a bug of the vendor's" in record.__dict__["reason"]


async def test_a_model_that_answers_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = random_checkpoint(tmp_path, "good"), random_checkpoint(tmp_path, "bad")
    bad.network.head.bias.fill_(torch.nan)
    made: dict[str, Checkpoint] = {"good": good, "bad": bad}
    monkeypatch.setattr(
        mimamba.service.sessions.registry, "load_checkpoint", lambda name, _: made[str(name)]
    )
    with live(HEALTHY, model="good") as running:
        running.opened("simulate-1")
        new = {"source": HEALTHY, "id": "mad", "model": "bad"}
        assert running.http.post("/v1/sessions", json=new).status_code == 201
        async with watching(running, "mad") as client:
            await client.find(PredictionMessage, lambda each: "not finite" in (each.reason or ""))
        async with watching(running, "simulate-1") as client:
            await client.find(PredictionMessage, lambda each: each.status == "ok")
        told = numbers(running)
        assert told["mimamba_hops_total", "stepped mad"] == 0
        assert told["mimamba_hops_total", "abstained mad"] >= 1
        assert told["mimamba_hops_total", "stepped simulate-1"] >= 1
        assert told["mimamba_answers_unsound_total", "bad"] >= 1
        assert told["mimamba_answers_unsound_total", "good"] == 0
        assert running.http.get("/readyz").status_code == 200
    (record,) = [each for each in caplog.records if "not finite" in each.getMessage()]
    assert record.__dict__["model"] == "bad"


async def test_a_disk_that_fills_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flush = XDFWriter.flush
    full = threading.Event()

    def fail(writer: XDFWriter) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(writer)

    monkeypatch.setattr(XDFWriter, "flush", fail)
    random_checkpoint(tmp_path)
    model = str(tmp_path / "random.safetensors")
    with live(HEALTHY, model=model, data_dir=tmp_path / "data") as service:
        service.opened("simulate-1")
        new = {"session": "simulate-1", "name": "cut"}
        assert service.http.post("/v1/recordings", json=new).status_code == 201
        full.set()
        async with watching(service, "simulate-1") as client:
            told = await client.find(LinkMessage, lambda each: "No space left" in each.detail)
            assert told.event == "recording"
        await goes_on(service)
        service.until(lambda: numbers(service)["mimamba_recordings", ""] == 0)
        assert numbers(service)["mimamba_recordings_ended_total", "unfinished"] == 1
        assert "No space left" in service.http.get("/v1/recordings").json()[0]["reason"]
    (record,) = [each for each in caplog.records if each.getMessage() == "recording unfinished"]
    assert record.__dict__["recording"] == "cut"
    assert "No space left" in record.__dict__["reason"]


async def test_clients_that_talk_nonsense_flood_and_leave_by_halves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    random_checkpoint(tmp_path)
    with live(HEALTHY, model=str(tmp_path / "random.safetensors")) as service:
        service.opened("simulate-1")
        plugs = [upgraded(service.url) for _ in range(4)]
        garbage, huge, half, cut = plugs
        garbage.sendall(b"\xff" * 4096)  # no frame at all
        huge.sendall(struct.pack(">BBQ", 0x81, 0xFF, 1 << 40) + bytes(4))  # a frame of a terabyte
        half.shutdown(socket.SHUT_WR)
        cut.sendall(struct.pack(">BBH", 0x81, 0xFE, 1000) + b"the rest never comes")
        cut.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        cut.close()  # a reset
        async with talk(service.url) as client:
            for n in range(200):
                await client.socket.send(b"\xc1" if n % 2 else "text")
            await client.say(Ping(1.5))
            await client.find(Pong)
        await goes_on(service)
        service.until(lambda: numbers(service)["mimamba_subscribers", ""] == 0)
        told = numbers(service)
        assert told["mimamba_errors_total", "bad_message"] == 100
        assert told["mimamba_errors_total", "bad_frame"] == 100
        assert told["mimamba_errors_total", "no_frame"] == 1
        assert told["mimamba_errors_total", "too_long"] == 1
        for plug, code in ((garbage, 1002), (huge, 1009), (half, None)):
            plug.settimeout(30)
            said = b""
            while part := plug.recv(65536):  # the service has hung up: an end, not a time-out
                said += part
            assert code is None or struct.pack(">H", code) in said[-125:]  # in a frame of its own
            plug.close()
    erred = [each for each in caplog.records if each.getMessage() == "client erred"]
    codes = sorted(each.__dict__["code"] for each in erred)
    assert codes == ["bad_frame", "bad_message", "no_frame", "too_long"]
    assert {each.__dict__["peer"] for each in erred} == {"127.0.0.1"}


def upgraded(url: str) -> socket.socket:
    """A bare socket on the stream, after the handshake, that breaks the protocol."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    plug = socket.create_connection((parts.hostname, parts.port))
    plug.sendall(
        f"GET /v1/stream HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert plug.recv(12) == b"HTTP/1.1 101"
    return plug
