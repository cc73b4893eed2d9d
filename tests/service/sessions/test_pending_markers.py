"""Markers that programs set in a running session: their samples, and refused ones."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.lsl.markers import MAX_WAITING, ReceivedMarker
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bridges.udp_markers import CannotListen, UDPMarkers, bind_datagrams
from mimamba.service.cli.main import app
from mimamba.service.logs.log import SignalLog
from mimamba.service.protocol.messages import (
    Error,
    Mark,
    MarkerMessage,
    Ok,
    SignalMessage,
    Subscribe,
)
from mimamba.service.sessions.markers import BadLabel, BadTimestamp, set_again, set_marker
from mimamba.service.sessions.pending_markers import MAX_DELAY, PendingMarkers
from mimamba.service.sessions.session import SessionOver
from tests.service.live import Live, live, talk
from tests.service.scripted import INFO, Stage, staged
from tests.service.server.test_prometheus import numbers

pytestmark = pytest.mark.anyio

SFREQ = INFO.sfreq


def log_of(*parts: tuple[int, float, int]) -> SignalLog:
    """A log of chunks, each its first index, first timestamp and length."""
    log = SignalLog(4, SFREQ, 10.0)
    for first, stamp, n_times in parts:
        times = stamp + np.arange(n_times) / SFREQ
        log.append(Chunk(np.zeros((n_times, 4), np.float32), times, first))
    return log


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 700)), min_size=1, max_size=12),
    st.lists(st.floats(-0.2, 1.2), min_size=1, max_size=20),
)
def test_a_time_belongs_to_the_nearest_sample_or_its_place_in_a_gap(
    parts: list[tuple[int, int]], shares: list[float]
) -> None:
    log, at = SignalLog(4, SFREQ, 4.0), 0
    for lost, n_times in parts:
        first = at + lost
        times = 100 + np.arange(first, first + n_times) / SFREQ
        log.append(Chunk(np.zeros((n_times, 4), np.float32), times, first))
        at = first + n_times
    runs = log.read(log.oldest, log.next)
    oldest = runs[0].first
    times = 100 + (oldest + np.array(shares) * (at - oldest)) / SFREQ
    expected = np.clip((times - 100) * SFREQ, oldest, at - 1)
    assert np.abs(log.index_at(times) - expected).max() <= 0.5 + 1e-6
    assert log.newest == (at - 1, 100 + (at - 1) / SFREQ)


def test_while_a_recording_pauses_a_time_belongs_to_the_nearer_side() -> None:
    log = log_of((0, 100.0, 256), (256, 160.0, 256))
    assert log.index_at(np.array([101.1, 159.9])).tolist() == [255, 256]


def test_a_marker_is_not_set_again_after_many_others() -> None:
    with staged(None, max_delay=0.0) as stage:
        stage.play(Chunk(np.zeros((256, 4), np.float32), 500 + np.arange(256) / SFREQ, 0))
        first = set_marker(stage.session, "begin", None, "study")
        for n in range(100):
            set_marker(stage.session, f"stimulus {n}", None, "program")
        stage.session.place_markers()
        logs = stage.session.check_open()
        set_again(stage.session, logs, first)
        set_again(stage.session, logs, replace(first, label="lost"))
        stage.session.place_markers()
        labels = [each.label for _, each in logs.marker.read(0, 200) if isinstance(each, Marker)]
    assert [labels.count("begin"), labels.count("lost"), len(labels)] == [1, 1, 102]


LONG = 600.0
"""Seconds; no marker stops to wait for its sample because a machine is slow."""


def test_one_waits_for_its_sample_and_is_given_once() -> None:
    marks, now = PendingMarkers(LONG), local_clock()
    log = log_of((0, now - 1, 256))
    marks.add(ReceivedMarker(now + 0.25, "soon", "api"))
    marks.add(ReceivedMarker(now - 0.5, "late", "api"))
    [late] = marks.place(log, INFO)
    assert (late.label, late.index) == ("late", 128)
    log.append(Chunk(np.zeros((128, 4), np.float32), now + np.arange(128) / SFREQ, 256))
    [soon] = marks.place(log, INFO)
    assert (soon.label, soon.index, soon.timestamp) == ("soon", 320, now + 0.25)
    assert marks.place(log, INFO) == []


@pytest.mark.parametrize(("live_source", "index"), [(True, 255 + 256), (False, 255)])
def test_one_whose_sample_does_not_come_waits_no_longer(live_source: bool, index: int) -> None:
    marks, then = PendingMarkers(), local_clock() - MAX_DELAY - 0.1
    log = log_of((0, then - 2 + 1 / SFREQ, 256))
    marks.add(ReceivedMarker(then, "lost", "api"))
    [placed] = marks.place(log, replace(INFO, live=live_source))
    assert placed.index == index
    marks.add(ReceivedMarker(then, "before the first sample", "api"))
    [placed] = marks.place(SignalLog(4, SFREQ, 1.0), INFO)
    assert placed.index == 0


def test_of_too_many_the_first_wait_no_longer() -> None:
    marks, now = PendingMarkers(LONG), local_clock()
    for n in range(MAX_WAITING + 3):
        marks.add(ReceivedMarker(now + 4, f"{n}", "api"))
    assert [each.label for each in marks.place(log_of((0, now, 1)), INFO)] == ["0", "1", "2"]


@pytest.mark.parametrize("label", ["", "x" * 257, "a\nb", "\x00", "\x1b[2J", "a\x85"])
def test_what_is_no_label_is_refused(label: str) -> None:
    with (
        staged(None) as stage,
        pytest.raises(BadLabel, match=r"Expected a label .+, but found .+."),
    ):
        set_marker(stage.session, label, None, "api")


@pytest.mark.parametrize("ahead", [-301.0, 6.0, float("nan"), float("inf"), 1.7e9])
def test_a_time_that_makes_no_sense_is_refused(
    ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = local_clock()
    monkeypatch.setattr("mimamba.service.sessions.session.local_clock", lambda: now)
    with (
        staged(None) as stage,
        pytest.raises(BadTimestamp, match=r"Expected a time .+, but found .+."),
    ):
        set_marker(stage.session, "x", now + ahead, "api")


def test_an_ended_session_takes_none() -> None:
    with staged(None) as stage:
        stage.session.close()
        with pytest.raises(SessionOver):
            set_marker(stage.session, "x", None, "api")


def logged(stage: Stage) -> list[Any]:
    assert stage.session.logs is not None
    log = stage.session.logs.marker
    return [entry for _, entry in log.read(0, log.next)]


def test_a_session_places_them_as_its_samples_come() -> None:
    with staged(None, live=True, max_delay=LONG) as stage:
        now = local_clock()
        zeros = np.zeros((256, 4), np.float32)
        stage.play(Chunk(zeros, now - 1 + np.arange(256) / SFREQ, 0))
        set_marker(stage.session, "back then", now - 0.5, "websocket")
        set_marker(stage.session, "now", now + 0.5, "websocket")
        assert [(each.label, each.index) for each in logged(stage)] == [("back then", 128)]
        stage.play(Chunk(zeros, now + np.arange(256) / SFREQ, 256))
        stage.until(lambda: len(logged(stage)) == 2)
        assert (logged(stage)[1].label, logged(stage)[1].index) == ("now", 384)


@pytest.fixture
def udp_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """An address for a service; its socket is bound already, so no other program takes the port."""
    bound = bind_datagrams(0)
    monkeypatch.setattr("mimamba.service.bridges.udp_markers.bind_datagrams", lambda _: bound)
    port: int = bound.getsockname()[1]
    return port


async def test_all_ways_lead_into_the_session(tmp_path: Path, udp_port: int) -> None:
    sources = ("simulate://?scenario=calm", "simulate://?scenario=calm&seed=1")
    with live(*sources, model="none", udp_markers=udp_port, data_dir=str(tmp_path)) as service:
        service.opened("simulate-1", "simulate-2")
        new = {"session": "simulate-1", "name": "marked"}
        assert service.http.post("/v1/recordings", json=new).status_code == 201
        async with talk(service.url, binary=False) as client:
            await client.say(Subscribe("simulate-1", ["marker", "signal"]))
            await client.say(Subscribe("simulate-2", ["marker"]))
            while (await client.find(SignalMessage)).first < 128:
                """An earlier marker needs samples to be set back to."""
            await say_all(service, client, udp_port)
            messages = [each for each in client.heard if isinstance(each, MarkerMessage)]
        sent = [each for each in messages if each.source != "simulator"]  # which marks its start
        assert service.http.post("/v1/recordings/marked/stop").status_code == 200
    one = {each.label: each for each in sent if each.session == "simulate-1"}
    assert [(each.label, each.source) for each in one.values()] == [
        ("by socket", "websocket"),
        ("by HTTP", "api"),
        ("by CLI", "api"),
        ("an earlier one", "websocket"),
        ("to all", "udp"),
        ("ä to one", "udp"),
    ]
    assert [each.label for each in sent if each.session == "simulate-2"] == ["to all"]
    first = one["by socket"]
    for each in one.values():
        seconds = each.timestamp - first.timestamp
        assert abs(each.index - first.index - SFREQ * seconds) <= 3
    recording = read_recording(tmp_path / "marked.xdf")
    recorded = [each.source for each in recording.markers if each.source != "simulator"]
    assert set(recorded) == {"websocket", "api", "udp"}
    assert len(recorded) == 6


async def say_all(service: Live, client: Any, udp_port: int) -> None:
    """One session gets markers in all ways, one after the other."""

    async def arrives(label: str) -> MarkerMessage:
        found: MarkerMessage = await client.find(
            MarkerMessage, lambda each: (each.session, each.label) == ("simulate-1", label)
        )
        return found

    await client.say(Mark("simulate-1", "by socket", id=1))
    assert (await client.find(Ok)).id == 1
    socket_said = await arrives("by socket")
    path = "/v1/sessions/simulate-1/markers"
    answer = service.http.post(path, json={"label": "by HTTP"})
    assert answer.status_code == 202
    by_http = await arrives("by HTTP")
    assert answer.json()["timestamp"] == by_http.timestamp
    done = CliRunner().invoke(app, ["mark", "simulate-1", "by CLI", "--url", service.url])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("by CLI at ")
    await arrives("by CLI")
    await client.say(Mark("simulate-1", "an earlier one", socket_said.timestamp - 0.25))
    earlier = await arrives("an earlier one")
    assert abs(socket_said.index - earlier.index - 64) <= 3
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
        for datagram in ("to all\n", "nobody\tx", "simulate-1\t", b"\xff", "a\rb"):
            data = datagram if isinstance(datagram, bytes) else datagram.encode()
            program.sendto(data, ("127.0.0.1", udp_port))
        await arrives("to all")
        program.sendto("simulate-1\tä to one\r\n".encode(), ("127.0.0.1", udp_port))
    await arrives("ä to one")
    both = ("simulate-2", "to all")
    await client.told(MarkerMessage, lambda each: (each.session, each.label) == both)
    assert numbers(service)["mimamba_datagrams_refused_total", ""] == 4


async def test_what_is_refused_is_reported() -> None:
    with live("simulate://", model="none") as service:
        service.opened("simulate-1")
        async with talk(service.url) as client:
            refused = {
                "bad_label": Mark("simulate-1", "\n", id=1),
                "bad_timestamp": Mark("simulate-1", "x", time.time(), id=2),
                "no_session": Mark("simulate-9", "x", id=3),
            }
            for code, asked in refused.items():
                await client.say(asked)
                error = await client.find(Error)
                assert (error.code, error.id) == (code, asked.id)
        told = numbers(service)
        assert {code: told["mimamba_errors_total", code] for code in refused} == dict.fromkeys(
            refused, 1
        )
        for new, status in (
            ({"label": "a\tb"}, 422),
            ({"label": "x", "timestamp": 1e9}, 422),
            ({"label": 5}, 422),
            ({}, 422),
        ):
            answer = service.http.post("/v1/sessions/simulate-1/markers", json=new)
            assert answer.status_code == status
            assert answer.json()["title"]
        answer = service.http.post("/v1/sessions/nobody/markers", json={"label": "x"})
        assert answer.status_code == 404


def test_malformed_datagrams_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with staged(None) as stage:
        udp = UDPMarkers(lambda: {"scripted": stage.session})
        for data in (b"\xff", b"", b"\n", b"nobody\tx", b"x" * 60_000, b"scripted\t\x07"):
            udp.datagram_received(data, ("127.0.0.1", 5))
        assert udp.refused == 6
        udp.datagram_received(b"fine", ("127.0.0.1", 5))
        assert udp.refused == 6
    assert len(caplog.records) == 1


def test_a_port_in_use_is_reported_in_one_line() -> None:
    with bind_datagrams(0) as taken:
        udp_port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["serve", "--port", "0", "--udp-markers", str(udp_port)])
        assert (done.exit_code, done.output.count("\n")) == (2, 1)
        assert done.output.startswith("mimamba: Cannot receive markers at UDP port")
        with pytest.raises(CannotListen):
            bind_datagrams(udp_port)
