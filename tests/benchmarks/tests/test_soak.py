"""The soak: all kinds of clients are served, and a faulty service is noticed."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path

import msgspec
import pytest

from mimamba.drivers.formats.read import read_recording
from mimamba.service.bench.figures import Figure
from mimamba.service.bench.service_process import ServiceProcess, start_service
from tests.benchmarks.soak import load_clients, soak
from tests.benchmarks.soak.leak_check import Leftovers, threads_left
from tests.service.live import live


def line(level: str, event: str) -> str:
    return json.dumps({"level": level, "event": event})


def report(leftovers: Leftovers) -> str:
    return msgspec.json.encode(leftovers).decode()


def missed(figures: list[Figure]) -> list[str]:
    return [each.what for each in figures if each.met is False]


def test_a_quiet_log_and_nothing_left_meet_their_aims() -> None:
    lines = [
        line("info", "client came"),
        line("warning", "client erred"),
        report(Leftovers([], [])),
    ]
    found = soak.log_figures(lines, erred=1)
    assert [each.value for each in found] == [1, 0, 0, 0]
    assert not missed(found)


@pytest.mark.parametrize(
    ("added", "wrong"),
    [
        (line("warning", "link lost"), "other warnings in the log"),
        (line("error", "client erred"), "other warnings in the log"),
        ("Exception ignored in: <function>", "other warnings in the log"),
        (line("warning", "client erred"), "warnings of clients' errors"),
        (report(Leftovers(["a task"], [])), "tasks left at the end"),
        (report(Leftovers([], ["a thread"])), "threads left at the end"),
    ],
)
def test_a_fault_misses_its_aim(added: str, wrong: str) -> None:
    assert missed(soak.log_figures([report(Leftovers([], [])), added], erred=0)) == [wrong]


def test_a_service_without_a_report_misses_its_aims() -> None:
    assert missed(soak.log_figures([], 0)) == ["tasks left at the end", "threads left at the end"]


def test_memory_is_judged_by_its_maximum_since_the_logs_were_full() -> None:
    flat, grown = soak.Memory(300, 400, 401, 419), soak.Memory(300, 400, 401, 421)
    assert not missed(soak.memory_figures(flat, 7200, 600))
    assert missed(soak.memory_figures(grown, 7200, 600)) == ["growth since 450 s, largest"]


def test_a_recording_is_as_long_as_it_must_be(tmp_path: Path) -> None:
    made = read_recording(soak.write_muse(tmp_path / "muse.csv", 2))
    assert made.timestamps[-1] - made.timestamps[0] == pytest.approx(240, abs=0.01)
    assert made.n_times == 2 * (120 * 256 - 20)


def test_threads_that_stay_are_seen() -> None:
    over = threading.Event()
    stays = threading.Thread(target=over.wait, daemon=True)
    stays.start()
    assert stays in threads_left(settling=0.05)
    over.set()
    stays.join()
    assert stays not in threads_left()


def test_clients_of_all_kinds_are_served(tmp_path: Path) -> None:
    soak.write_muse(tmp_path / "short.csv", 1)
    with live(
        "simulate://", f"replay://{tmp_path}/short.csv?loop=1", model="none", data_dir=tmp_path
    ) as service:
        service.opened("simulate-1", "replay-2")
        clients = load_clients.LoadClients(
            service.url, "simulate-1", "replay-2", "simulate-1", stay=0.1
        )

        async def visit() -> None:
            for kind in clients.kinds:
                await clients.visit(kind)

        asyncio.run(visit())
        assert not service.http.get("/v1/recordings").json()  # clients delete what they record
    assert not clients.failures
    assert clients.recordings == 1
    assert set(clients.visits.values()) == {1}


def test_memory_is_read_even_if_the_time_is_over() -> None:
    with live("simulate://", model="none") as service:
        service.opened("simulate-1")
        process = ServiceProcess(service.url, os.getpid())
        memory, predictions = asyncio.run(soak.watch_memory(process, "simulate-1", 0.0))
    assert min(memory.early, memory.full, memory.end) > 50
    assert predictions == 0


def test_a_service_reports_what_is_left() -> None:
    patient = (
        "import mimamba.service.server.server as server\n"
        "from tests.benchmarks.soak.leak_check import main\n"
        "server.LAST_SECONDS = 60\nmain(settling=30)"
    )
    with start_service(code=patient, log_format="json") as service:
        assert service.wait_until_ready().rss() > 50
        service.stop()
        assert service.process.returncode == 0
        found = soak.log_figures(service.stderr.read_text().splitlines(), 0)
    assert not missed(found)
