"""The soak: what visitors do is survived, and what is wrong with a service is seen."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path

import msgspec
import pytest

from mimamba.drivers.formats.read import read_recording
from mimamba.service.bench import remains, soak, visitors
from mimamba.service.bench.figures import Figure
from mimamba.service.bench.remains import PROGRAM, Leftovers, threads_left
from mimamba.service.bench.service_process import ServiceProcess, begun
from tests.service.live import live


def line(level: str, event: str) -> str:
    return json.dumps({"level": level, "event": event})


def said(remains: Leftovers) -> str:
    return msgspec.json.encode(remains).decode()


def missed(figures: list[Figure]) -> list[str]:
    return [each.what for each in figures if each.met is False]


def test_a_quiet_log_and_nothing_left_are_well() -> None:
    lines = [line("info", "client came"), line("warning", "client erred"), said(Leftovers([], []))]
    found = soak.of_log(lines, erred=1)
    assert [each.value for each in found] == [1, 0, 0, 0]
    assert not missed(found)


@pytest.mark.parametrize(
    ("added", "wrong"),
    [
        (line("warning", "link lost"), "other warnings in the log"),
        (line("error", "client erred"), "other warnings in the log"),
        ("Exception ignored in: <function>", "other warnings in the log"),
        (line("warning", "client erred"), "warnings of visitors' errors"),
        (said(Leftovers(["a task"], [])), "tasks left at the end"),
        (said(Leftovers([], ["a thread"])), "threads left at the end"),
    ],
)
def test_what_is_wrong_is_told(added: str, wrong: str) -> None:
    assert missed(soak.of_log([said(Leftovers([], [])), added], erred=0)) == [wrong]


def test_a_service_that_does_not_say_what_is_left_is_not_well() -> None:
    assert missed(soak.of_log([], 0)) == ["tasks left at the end", "threads left at the end"]


def test_memory_is_judged_by_the_most_there_was_since_the_logs_were_full() -> None:
    flat, grown = soak.Memory(300, 400, 401, 419), soak.Memory(300, 400, 401, 421)
    assert not missed(soak.of_memory(flat, 7200, 600))
    assert missed(soak.of_memory(grown, 7200, 600)) == ["growth since 450 s, at most"]


def test_a_recording_is_as_long_as_it_must_be(tmp_path: Path) -> None:
    made = read_recording(soak.write_muse(tmp_path / "muse.csv", 2))
    assert made.timestamps[-1] - made.timestamps[0] == pytest.approx(240, abs=0.01)
    assert made.n_times == 2 * (120 * 256 - 20)


def test_threads_that_stay_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remains, "SETTLING", 0.05)
    over = threading.Event()
    stays = threading.Thread(target=over.wait, daemon=True)
    stays.start()
    assert stays in threads_left()
    over.set()
    stays.join()
    assert stays not in threads_left()


def test_visitors_of_all_kinds_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "STAY", 0.1)
    soak.write_muse(tmp_path / "short.csv", 1)
    with live(
        "simulate://", f"replay://{tmp_path}/short.csv?loop=1", model="none", data_dir=tmp_path
    ) as service:
        service.opened("simulate-1", "replay-2")
        them = visitors.LoadClients(service.url, "simulate-1", "replay-2", "simulate-1")

        async def visit() -> None:
            for kind in them.kinds:
                await them.visit(kind)

        asyncio.run(visit())
        assert not service.http.get("/v1/recordings").json()  # the one that was made is deleted
    assert not them.failures
    assert them.recordings == 1
    assert set(them.visits.values()) == {1}


def test_memory_is_looked_at_though_time_is_over_at_once() -> None:
    with live("simulate://", model="none") as service:
        service.opened("simulate-1")
        there = ServiceProcess(service.url, os.getpid())
        memory, told = asyncio.run(soak.look(there, "simulate-1", 0.0))
    assert min(memory.early, memory.full, memory.end) > 50
    assert told == 0


def test_a_service_tells_what_is_left_of_it() -> None:
    patient = (
        "import mimamba.service.bench.remains as remains, mimamba.service.server.server as server\n"
        f"remains.SETTLING, server.LAST_SECONDS = 30, 60\n{PROGRAM}"
    )
    with begun(code=patient, log_format="json") as service:
        assert service.served().rss() > 50
        service.end()
        assert service.process.returncode == 0
        found = soak.of_log(service.said.read_text().splitlines(), 0)
    assert not missed(found)
