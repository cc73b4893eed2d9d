"""Each measurement finds its figures, in next to no time; how large they are is another thing."""

from __future__ import annotations

import asyncio
import importlib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from mimamba.service.bench import held, sessions, subscribers
from mimamba.service.bench.bench import STOLEN
from mimamba.service.bench.figures import Figure
from mimamba.service.bench.machine import StealTime
from mimamba.service.bench.registry import MEASUREMENTS, NoMeasurement, choose
from mimamba.service.bench.service_process import ServiceProcess
from mimamba.service.cli.main import app
from tests.service.live import live

TINY = 0.25
UNITS = {
    "held": ["sessions", "ms", "ms"],
    "score": ["times real time"] * 2,
    "growth": ["ms a session"] * 2 + ["kB"] * 2,
    "signal": ["µs a chunk"] * 3 + ["times"] + ["µs a chunk"] * 2 + ["times"] + ["µs a chunk"],
}


def check(found: list[Figure], units: list[str]) -> None:
    assert [figure.unit for figure in found] == units
    assert len({figure.what for figure in found}) == len(found)
    assert all(figure.aim is not None for figure in found if figure.met is not None)
    assert not any(math.isnan(figure.value) for figure in found)
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(found)), list[Figure]) == found


@pytest.mark.parametrize("name", UNITS)
def test_a_measurement_finds_its_figures(name: str) -> None:
    check(MEASUREMENTS[name].run(TINY), UNITS[name])


def test_lateness_is_a_number_though_hops_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held.Late, "publish", lambda *_: None)
    found = MEASUREMENTS["held"].run(TINY)
    check(found, UNITS["held"])
    assert found[0].value == 0
    assert found[-1].value > 1e3 * held.LATENESS


def in_time_enough(measure: Callable[[float], list[Figure]], units: list[str]) -> list[Figure]:
    """What is found in a short time, or in a longer one if nothing had come in that."""
    for seconds in (TINY, 1.0, 5.0, 20.0):
        found = measure(seconds)
        if [figure.unit for figure in found] == units:
            break
    check(found, units)
    return found


def test_subscribers_are_measured() -> None:
    with live("simulate://", model="none") as service:
        service.opened("simulate-1")
        there = ServiceProcess(service.url, os.getpid())
        found = in_time_enough(
            lambda seconds: asyncio.run(subscribers.subscribers(there, seconds, 3, 1)),
            ["per second", "", "ms", "ms", "MB", "clients", "clients"],
        )
    assert found[0].value > 0
    assert found[1].met
    assert found[-1].met


def test_sessions_are_measured() -> None:
    with live("simulate://", "simulate://?seed=2", model="demo") as service:
        there = ServiceProcess(service.url, os.getpid())
        found = in_time_enough(
            lambda seconds: asyncio.run(sessions.figures(there, 2, 4 * seconds)),
            ["%", "ms", "ms", "hops", "MB"],
        )
    assert math.isfinite(found[1].value)


def test_all_that_can_be_measured_is_there() -> None:
    for measurement in MEASUREMENTS.values():
        assert callable(
            importlib.import_module(f"mimamba.service.bench.{measurement.module}").measure
        )


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    asked = ["bench", "--only", "signal", "--seconds", "0.1", "--json", str(file)]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0
    assert "ring: a chunk into the log" in told.stdout
    written = msgspec.json.decode(file.read_bytes())
    assert "cores" in written["machine"]
    figures = msgspec.convert(written["figures"]["signal"], list[Figure])
    units = [figure.unit for figure in figures if figure.what != STOLEN]
    assert units == UNITS["signal"]


def test_what_the_host_took_is_a_share_of_what_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = tmp_path / "stat"
    monkeypatch.setattr("mimamba.service.bench.machine.TIMES", times)
    assert StealTime().share() is None  # no such file
    times.write_text("cpu  10 0 10 70 0 0 0 10 5 5\ncpu0 1 1 1 1\n")
    stolen = StealTime()
    times.write_text("cpu  20 0 20 120 0 0 0 40 50 50\ncpu0 1 1 1 1\n")
    assert stolen.share() == 30.0


def test_an_unknown_measurement_is_refused() -> None:
    with pytest.raises(NoMeasurement, match=r"one of startup, .*, but found 'speed'. Run: mimamba"):
        choose(["signal", "speed"])
    told = CliRunner().invoke(app, ["bench", "--only", "speed"])
    assert told.exit_code == 2


def test_the_exit_status_tells_whether_an_aim_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    for met, status in ((True, 0), (False, 1), (None, 0)):
        found = [Figure("made up", 1.0, "s", None if met is None else "<= 1 s", met)]
        monkeypatch.setattr("mimamba.service.bench.signal.measure", lambda _, found=found: found)
        assert CliRunner().invoke(app, ["bench", "--only", "signal"]).exit_code == status


def test_what_takes_ten_minutes_is_measured_only_where_it_is_named() -> None:
    assert set(MEASUREMENTS) - set(choose([])) == {"soak"}
    assert list(choose(["soak"])) == ["soak"]


def test_what_cannot_be_run_is_one_line_and_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mne_lsl", None)
    file = tmp_path / "bench.json"
    asked = ["bench", "--only", "signal", "--only", "mne-lsl", "--seconds", "0.1"]
    told = CliRunner().invoke(app, [*asked, "--json", str(file)])
    assert told.exit_code == 0
    last = told.stdout.splitlines()[-1]
    assert last.startswith("mne-lsl: not run: Expected MNE-LSL beside, but found ")
    written = msgspec.json.decode(file.read_bytes())
    assert written["figures"].keys() == {"signal"}
    assert last == f"mne-lsl: not run: {written['not_run']['mne-lsl']}"
